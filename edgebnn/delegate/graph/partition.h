// A run of nodes that the interpreter executes as one: shapes, passes, memory of the tensors inside, execution.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "graph/arena.h"
#include "graph/fusion.h"
#include "graph/profile.h"
#include "graph/workspace.h"
#include "ops/op.h"
#include "tflite_abi.h"

namespace edgebnn {

class Partition {
 public:
  // Reads the nodes of `params` (in execution order). Refusal names the op and the reason. `profile` may be nullptr.
  Partition(TfLiteContext* context, const TfLiteDelegateParams& params, Choice choice,
            std::shared_ptr<ThreadPool> pool, std::shared_ptr<Workspace> workspace, std::shared_ptr<Profile> profile);

  // Infers all shapes from the inputs', resizes the outputs and plans passes and memory. Called after every resize.
  void Prepare(TfLiteContext* context);

  void Invoke(TfLiteContext* context) const;

 private:
  static constexpr int kHost = -1;
  struct Operand {
    int tensor;    // kTfLiteOptionalTensor where absent
    int place;     // index into inside_, or kHost
    size_t bytes;  // for which the op was prepared
    bool changes;  // no constant
  };
  struct Step {
    int node;
    std::unique_ptr<Op> op;
    std::string title;  // of messages: "LceBconv2d (node 3)"
    std::vector<Operand> inputs;
    Operand output;
    bool kept = true;  // whether the output is written to its tensor; else the next step of its pass alone reads it
  };
  struct Inside {  // a tensor that only this partition sees: the host gives it no memory
    int tensor;
    size_t offset;  // in the workspace
  };

  Step ReadStep(TfLiteContext* context, int index, Choice choice) const;
  int Place(int tensor) const;
  uint8_t* Data(const TfLiteContext* context, const Operand& operand) const;
  void PrepareStep(TfLiteContext* context, Step& step) const;
  void PlanPasses();
  void PlanMemory();
  void ShareMemory(std::vector<int>* owners) const;
  void RunProfiled(const TfLiteContext* context, ThreadPool& pool) const;
  void RunGroup(const TfLiteContext* context, const Group& group, ThreadPool& pool) const;

  std::vector<Step> steps_;
  std::vector<Group> groups_;  // of steps_, in the order in which they run
  std::vector<Inside> inside_;
  std::shared_ptr<ThreadPool> pool_;
  std::shared_ptr<Profile> profile_;
  mutable bool worth_waking_ = false;  // the pool's workers: until an invoke was too short for them
  size_t most_inputs_ = 0;  // of a step
  std::shared_ptr<Workspace> workspace_;  // tensors inside, then scratch
  size_t scratch_offset_ = 0;
};

}  // namespace edgebnn

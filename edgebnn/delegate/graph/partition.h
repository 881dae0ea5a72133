// A run of LCE ops that the interpreter executes as one node: shapes, memory of the tensors inside, execution.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "graph/arena.h"
#include "kernels/buffer.h"
#include "ops/op.h"
#include "tflite_abi.h"

namespace edgebnn {

class Partition {
 public:
  // Reads the nodes of `params` (in execution order). Refusal names the op and the reason.
  Partition(TfLiteContext* context, const TfLiteDelegateParams& params, Choice choice,
            std::shared_ptr<ThreadPool> pool);

  // Infers all shapes from the inputs', resizes the outputs and plans the memory inside. Called after every resize.
  void Prepare(TfLiteContext* context);

  void Invoke(TfLiteContext* context) const;

 private:
  struct Step {
    std::unique_ptr<Op> op;
    std::string title;  // of messages: "LceBconv2d (node 3)"
    std::vector<int> inputs;  // tensors
    int output;
    int input_place, output_place;  // where inputs[0] and output live: index into inside_, or kHost
    size_t input_bytes = 0, output_bytes = 0;  // for which the op was prepared
  };
  struct Inside {  // a tensor that only this partition sees: the host gives it no memory
    int tensor;
    size_t offset;  // in memory_
  };
  static constexpr int kHost = -1;

  int Place(int tensor) const;
  uint8_t* Data(const TfLiteContext* context, int tensor, int place) const;
  static TensorInfo Info(const TfLiteContext* context, int tensor);
  void PrepareStep(TfLiteContext* context, Step& step);
  void PlanMemory(const TfLiteContext* context);

  std::vector<Step> steps_;
  std::vector<Inside> inside_;
  std::shared_ptr<ThreadPool> pool_;
  mutable bool worth_waking_ = false;  // the pool's workers: until an invoke was too short for them
  Buffer memory_;  // tensors inside, then scratch
  size_t memory_bytes_ = 0, scratch_offset_ = 0;
};

}  // namespace edgebnn

// The delegate: which nodes of a graph it takes, and its options.
#pragma once

#include <memory>
#include <string>

#include "graph/profile.h"
#include "graph/workspace.h"
#include "kernels/threads.h"
#include "kernels/variant.h"
#include "tflite_abi.h"

namespace edgebnn {

struct DelegateOptions {
  int num_threads = 1;
  Choice kernel = Choice::automatic;
  bool fuse = true, profile = false;

  // Sets one option from its text; Refusal when its name or value is unknown.
  void Set(const std::string& name, const std::string& value);
};

// The TfLiteDelegate that a host holds. May serve several interpreters, also at the same time.
class Delegate {
 public:
  explicit Delegate(const DelegateOptions& options);

  TfLiteDelegate* host() { return &host_; }
  static Delegate* From(TfLiteDelegate* host) { return static_cast<Delegate*>(host->data_); }

  // nullptr without the option `profile`.
  Profile* profile() const { return profile_.get(); }

  // Claims nodes of the graph (graph/claim.h).
  static TfLiteStatus Prepare(TfLiteContext* context, TfLiteDelegate* host);

 private:
  friend struct PartitionNode;

  TfLiteDelegate host_{};
  const DelegateOptions options_;
  std::shared_ptr<ThreadPool> pool_;
  std::shared_ptr<Profile> profile_;
  Workspaces workspaces_;
};

}  // namespace edgebnn

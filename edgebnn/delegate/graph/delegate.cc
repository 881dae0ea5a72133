#include "graph/delegate.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <vector>

#include "graph/abi_guard.h"
#include "graph/claim.h"
#include "graph/read.h"
#include "graph/partition.h"

namespace edgebnn {
namespace {

// The host strings all messages together, so each ends in ". ".
TfLiteStatus Report(TfLiteContext* context, const std::exception& error) {
  context->ReportError(context, "edgebnn: %s. ", error.what());
  return kTfLiteError;
}

template <class Body>
TfLiteStatus Guarded(TfLiteContext* context, Body body) {
  try {
    body();
    return kTfLiteOk;
  } catch (const std::exception& error) {
    return Report(context, error);
  }
}

int ParseThreads(const std::string& value) {
  const bool digits = !value.empty() && value.size() <= 3 && value.find_first_not_of("0123456789") == std::string::npos;
  const int threads = digits ? std::stoi(value) : 0;
  Require(threads >= 1 && threads <= 64, "option num_threads is '", value, "', expected 1 to 64");
  return threads;
}

Choice ParseKernel(const std::string& value) {
  if (value == "auto") return Choice::automatic;
  if (value == "portable") return Choice::portable;
  if (value == "reference") return Choice::reference;
  if (value == "avx2") {
    Require(Has(Feature::avx2), "option kernel is 'avx2', which this CPU does not have, expected auto");
    return Choice::avx2;
  }
  throw Refusal("option kernel is '" + value + "', expected auto, avx2, portable or reference");
}

bool ParseSwitch(const std::string& name, const std::string& value) {
  Require(value == "0" || value == "1", "option ", name, " is '", value, "', expected 0 or 1");
  return value == "1";
}

// Whether the model leaves a dimension open, other than the batch.
bool IsOpen(const TfLiteTensor& tensor) {
  const TfLiteIntArray* sizes = tensor.dims_signature;
  if (sizes == nullptr || tensor.dims == nullptr || sizes->size != tensor.dims->size) return false;
  return std::any_of(sizes->data + std::min(1, sizes->size), sizes->data + sizes->size, [](int size) { return size < 0; });
}

// Whether an op takes its tensors as they are now. Inputs of open shapes may come to be broadcast: those are left alone.
bool Supports(const TfLiteContext* context, const NodeInfo& node) {
  try {
    const auto op = MakeOp(node.kind, Choice::reference);
    std::vector<TensorInfo> infos;
    infos.reserve(node.inputs.size());
    std::vector<const TensorInfo*> inputs;
    bool open = false;
    for (const int tensor : node.inputs) {
      infos.push_back(ReadTensor(context, tensor));
      inputs.push_back(&infos.back());
      open = open || IsOpen(context->tensors[tensor]);
    }
    Require(!open || inputs.size() == 1, "its inputs may get other shapes");
    Require(node.outputs.size() == 1, "it has more than one output");
    const TensorInfo output = ReadTensor(context, node.outputs[0]);
    const Dims dims = op->Prepare(inputs, output);
    // Another number of channels than the file says: parameters that are not laid out as we think.
    return dims.size() == output.dims.size() && dims.back() == output.dims.back() && output.constant == nullptr;
  } catch (const Refusal&) {
    return false;
  }
}

GraphNode Describe(const TfLiteContext* context, const NodeInfo& node, bool fuse) {
  Claimable kind = Claimable::other;
  if (IsLce(node.kind)) {
    kind = Claimable::binary;
  } else if (fuse && IsGlue(node.kind) && Supports(context, node)) {
    kind = Claimable::glue;
  }
  return {kind, node.inputs, node.outputs};
}

}  // namespace

void DelegateOptions::Set(const std::string& name, const std::string& value) {
  if (name == "num_threads") {
    num_threads = ParseThreads(value);
  } else if (name == "kernel") {
    kernel = ParseKernel(value);
  } else if (name == "fuse") {
    fuse = ParseSwitch(name, value);
  } else if (name == "profile") {
    profile = ParseSwitch(name, value);
  } else {
    throw Refusal("option '" + name + "' is unknown, expected num_threads, kernel, fuse or profile");
  }
}

// What the host calls for a partition. user_data is nullptr when init failed; the reason was reported then.
struct PartitionNode {
  static void* Init(TfLiteContext* context, const char* buffer, size_t) {
    const auto* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
    Partition* partition = nullptr;
    Guarded(context, [&] {
      Delegate& delegate = *Delegate::From(params->delegate);
      partition = new Partition(context, *params, delegate.options_.kernel, delegate.pool_,
                                delegate.workspaces_.Of(context), delegate.profile_);
    });
    return partition;
  }

  static void Free(TfLiteContext*, void* partition) { delete static_cast<Partition*>(partition); }

  static TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
    if (node->user_data == nullptr) return kTfLiteError;
    return Guarded(context, [&] { static_cast<Partition*>(node->user_data)->Prepare(context); });
  }

  static TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
    return Guarded(context, [&] { static_cast<const Partition*>(node->user_data)->Invoke(context); });
  }
};

Delegate::Delegate(const DelegateOptions& options)
    : options_(options),
      // A forked child has none of the workers and could not join them: there the pool is left alone.
      pool_(new ThreadPool(options.num_threads), [owner = getpid()](ThreadPool* pool) {
        if (getpid() == owner) delete pool;
      }),
      profile_(options.profile ? std::make_shared<Profile>() : nullptr) {
  host_.data_ = this;
  host_.Prepare = &Delegate::Prepare;
  host_.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
}

TfLiteStatus Delegate::Prepare(TfLiteContext* context, TfLiteDelegate* host) {
  if (!CheckAbi(context)) return kTfLiteError;
  TfLiteStatus replaced = kTfLiteOk;
  const TfLiteStatus claimed = Guarded(context, [&] {
    TfLiteIntArray* plan = nullptr;
    Require(context->GetExecutionPlan(context, &plan) == kTfLiteOk, "the execution plan cannot be read");
    std::vector<GraphNode> graph;
    for (int i = 0; i < plan->size; ++i) {
      graph.push_back(Describe(context, ReadNode(context, plan->data[i]), Delegate::From(host)->options_.fuse));
    }
    std::vector<int> nodes = {0};  // a TfLiteIntArray: the size, then the indices
    for (const int position : Claim(graph, Delegate::From(host)->options_.fuse)) nodes.push_back(plan->data[position]);
    nodes[0] = static_cast<int>(nodes.size()) - 1;
    if (nodes[0] == 0) return;
    TfLiteRegistration registration{};
    registration.init = PartitionNode::Init;
    registration.free = PartitionNode::Free;
    registration.prepare = PartitionNode::Prepare;
    registration.invoke = PartitionNode::Invoke;
    registration.custom_name = "EdgebnnDelegate";
    registration.version = 1;
    replaced = context->ReplaceNodeSubsetsWithDelegateKernels(
        context, registration, reinterpret_cast<const TfLiteIntArray*>(nodes.data()), host);
  });
  return claimed != kTfLiteOk ? claimed : replaced;
}

}  // namespace edgebnn

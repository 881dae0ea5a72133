// The host's nodes and tensors, read with suspicion.
#pragma once

#include "ops/op.h"
#include "tflite_abi.h"

namespace edgebnn {

// Bytes of an element; Refusal for types that no op of ours has.
size_t ElementBytes(TfLiteType type);

// Refusal when the tensor makes no sense, or a constant does not have the bytes that its shape says.
TensorInfo ReadTensor(const TfLiteContext* context, int tensor);

struct NodeInfo {
  NodeKind kind;
  std::vector<int> inputs, outputs;  // tensors, or kTfLiteOptionalTensor
};

NodeInfo ReadNode(TfLiteContext* context, int index);

}  // namespace edgebnn

#include "graph/read.h"

namespace edgebnn {

size_t ElementBytes(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
    case kTfLiteInt32:
      return 4;
    case kTfLiteInt8:
    case kTfLiteBool:
      return 1;
    default:
      throw Refusal("a tensor has type " + std::to_string(static_cast<int>(type)) +
                    ", expected float32, int32, int8 or bool");
  }
}

TensorInfo ReadTensor(const TfLiteContext* context, int tensor) {
  Require(tensor >= 0 && static_cast<size_t>(tensor) < context->tensors_size, "tensor ", tensor, " is not there");
  const TfLiteTensor& host = context->tensors[tensor];
  Require(host.dims != nullptr, "tensor ", tensor, " has no shape");
  TensorInfo info = {host.type, Dims(host.dims->data, host.dims->data + host.dims->size), host.params.scale,
                     host.params.zero_point, nullptr};
  if (host.allocation_type == kTfLiteMmapRo) {
    Require(host.bytes == Elements(info.dims) * ElementBytes(info.type), "its constant tensor ", tensor, " has ",
            host.bytes, " bytes, not what its shape says");
    Require(reinterpret_cast<uintptr_t>(host.data) % ElementBytes(info.type) == 0, "its constant tensor ", tensor,
            " does not lie at a multiple of ", ElementBytes(info.type), " bytes");
    info.constant = host.data;
  }
  return info;
}

NodeInfo ReadNode(TfLiteContext* context, int index) {
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  Require(context->GetNodeAndRegistration(context, index, &node, &registration) == kTfLiteOk, "node ", index,
          " cannot be read");
  const auto list = [](const TfLiteIntArray* array) { return std::vector<int>(array->data, array->data + array->size); };
  return {{registration->builtin_code, registration->custom_name, node->custom_initial_data,
           node->custom_initial_data_size, node->builtin_data},
          list(node->inputs),
          list(node->outputs)};
}

}  // namespace edgebnn

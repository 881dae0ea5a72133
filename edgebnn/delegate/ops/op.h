// LCE's four ops. An op has one input that changes and one output; whatever else it reads is constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/threads.h"
#include "kernels/variant.h"
#include "ops/options.h"
#include "ops/refusal.h"
#include "tflite_abi.h"

namespace edgebnn {

using Dims = std::vector<int>;

// What an op is told of a tensor. `constant` is its data where the model holds it, else nullptr.
struct TensorInfo {
  TfLiteType type;
  Dims dims;
  float scale;  // 0 where it is not quantized
  int32_t zero_point;
  const void* constant;
};

// Elements of a tensor; Refusal when a dimension is not positive or the product does not fit 31 bits.
size_t Elements(const Dims& dims);

// Words of 32 channels.
inline int Words(int channels) { return channels / 32 + (channels % 32 != 0); }

class Op {
 public:
  virtual ~Op() = default;

  // Checks the tensors (inputs[i] is nullptr where an optional one is absent), gets ready for their shapes and returns
  // the output's dims; Refusal says why it cannot. May be called again with other shapes.
  virtual Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) = 0;

  // Bytes of scratch that Run needs with so many threads.
  virtual size_t ScratchBytes(int /*threads*/) const { return 0; }

  virtual void Run(const void* input, void* output, uint8_t* scratch, ThreadPool& pool) const = 0;
};

// Whether a custom op is one of LCE's.
bool IsLceOp(const std::string& name);

// The op for its custom name and options (nullptr and 0 where it has none); Refusal when the options are bad.
std::unique_ptr<Op> MakeOp(const std::string& name, const void* options, size_t options_size, Choice choice);

std::unique_ptr<Op> MakeQuantize(Choice choice);
std::unique_ptr<Op> MakeDequantize(Choice choice);
std::unique_ptr<Op> MakeBConv2D(const Options& options, Choice choice);
std::unique_ptr<Op> MakeBMaxPool(const Options& options, Choice choice);

}  // namespace edgebnn

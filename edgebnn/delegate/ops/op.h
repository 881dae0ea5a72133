// Operators: TFLite's tensors and parameters in, kernel calls out. An op has one output; inputs change, or are constants
// of the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/elementwise/pass.h"
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

// An op's part in a pass over a float map (kernels/elementwise/pass.h): it makes the values, changes each of them, or
// takes their signs.
enum class Part { none, source, stage, signs };

class Op {
 public:
  virtual ~Op() = default;

  // Checks the tensors (inputs[i] is nullptr where an optional one is absent), gets ready for their shapes and returns
  // the output's dims; Refusal says why it cannot. May be called again with other shapes. What follows needs it.
  virtual Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) = 0;

  // Bytes of scratch that Run needs with so many threads.
  virtual size_t ScratchBytes(int /*threads*/) const { return 0; }

  // inputs[i] is the data of its i-th input, nullptr for constants and absent ones.
  virtual void Run(const void* const* inputs, void* output, uint8_t* scratch, ThreadPool& pool) const = 0;

  virtual Part part() const { return Part::none; }

  // source: runs, and the pass after it on each block of values; `output` is nullptr where only the pass reads them.
  virtual void RunWithPass(const void* const* /*inputs*/, void* /*output*/, const Pass& /*pass*/, uint8_t* /*scratch*/,
                           ThreadPool& /*pool*/) const {}

  // stage and signs: whether it can take its `input`-th input from a pass.
  virtual bool TakesFromPass(int /*input*/) const { return false; }

  // stage and signs: puts itself at the end of a pass, which gives it that input. `output` as above.
  virtual void Append(const void* const* /*inputs*/, int /*input*/, void* /*output*/, Pass* /*pass*/) const {}

  // stage and signs: rows and channels of its map.
  virtual size_t Rows() const { return 0; }
  virtual int Channels() const { return 0; }
};

// What a node is, as the host shows it.
struct NodeKind {
  int builtin_code;
  const char* custom_name;  // of kTfLiteBuiltinCustom, else anything
  const void* custom_options;
  int custom_options_size;
  const void* builtin_data;
};

// Whether a node is an op of Larq Compute Engine.
bool IsLce(const NodeKind& kind);

// Whether it is a builtin op that we know.
bool IsGlue(const NodeKind& kind);

// For messages: "LceBconv2d", "ADD".
std::string Name(const NodeKind& kind);

// The op of a node; Refusal when we do not know it or its options are bad.
std::unique_ptr<Op> MakeOp(const NodeKind& kind, Choice choice);

std::unique_ptr<Op> MakeQuantize(Choice choice);
std::unique_ptr<Op> MakeDequantize(Choice choice);
std::unique_ptr<Op> MakeBConv2D(const Options& options, Choice choice);
std::unique_ptr<Op> MakeBMaxPool(const Options& options, Choice choice);
std::unique_ptr<Op> MakeArithmetic(int builtin_code, const void* params, Choice choice);
std::unique_ptr<Op> MakeActivation(int builtin_code, const void* params, Choice choice);
std::unique_ptr<Op> MakePool(int builtin_code, const void* params, Choice choice);
std::unique_ptr<Op> MakeConcatenation(const void* params, Choice choice);
std::unique_ptr<Op> MakePad(Choice choice);
std::unique_ptr<Op> MakeResize(int builtin_code, const void* params, Choice choice);

}  // namespace edgebnn

#include "ops/op.h"

#include <algorithm>
#include <limits>

namespace edgebnn {
namespace {

struct Builtin {
  int code;
  const char* name;
};

constexpr Builtin kGlue[] = {
    {kTfLiteBuiltinAdd, "ADD"},
    {kTfLiteBuiltinAveragePool2d, "AVERAGE_POOL_2D"},
    {kTfLiteBuiltinConcatenation, "CONCATENATION"},
    {kTfLiteBuiltinMaxPool2d, "MAX_POOL_2D"},
    {kTfLiteBuiltinMul, "MUL"},
    {kTfLiteBuiltinRelu, "RELU"},
    {kTfLiteBuiltinReluN1To1, "RELU_N1_TO_1"},
    {kTfLiteBuiltinRelu6, "RELU6"},
    {kTfLiteBuiltinResizeBilinear, "RESIZE_BILINEAR"},
    {kTfLiteBuiltinPad, "PAD"},
    {kTfLiteBuiltinSub, "SUB"},
    {kTfLiteBuiltinDiv, "DIV"},
    {kTfLiteBuiltinPrelu, "PRELU"},
    {kTfLiteBuiltinResizeNearestNeighbor, "RESIZE_NEAREST_NEIGHBOR"},
    {kTfLiteBuiltinLeakyRelu, "LEAKY_RELU"},
};

const Builtin* Find(int code) {
  const auto* found = std::find_if(std::begin(kGlue), std::end(kGlue), [=](const Builtin& b) { return b.code == code; });
  return found == std::end(kGlue) ? nullptr : found;
}

}  // namespace

size_t Elements(const Dims& dims) {
  int64_t product = 1;
  for (const int dim : dims) {
    Require(dim > 0, "a tensor has a dimension of ", dim);
    product *= dim;
    Require(product <= std::numeric_limits<int32_t>::max(), "a tensor has 2^31 elements or more");
  }
  return static_cast<size_t>(product);
}

bool IsLce(const NodeKind& kind) {
  if (kind.builtin_code != kTfLiteBuiltinCustom || kind.custom_name == nullptr) return false;
  const std::string name = kind.custom_name;
  return name == "LceQuantize" || name == "LceDequantize" || name == "LceBconv2d" || name == "LceBMaxPool2d";
}

bool IsGlue(const NodeKind& kind) { return Find(kind.builtin_code) != nullptr; }

std::string Name(const NodeKind& kind) {
  const Builtin* glue = Find(kind.builtin_code);
  return glue != nullptr ? glue->name : kind.custom_name != nullptr ? kind.custom_name : "an op";
}

std::unique_ptr<Op> MakeOp(const NodeKind& kind, Choice choice) {
  const int code = kind.builtin_code;
  if (IsLce(kind)) {
    const std::string name = kind.custom_name;
    if (name == "LceQuantize") return MakeQuantize(choice);
    if (name == "LceDequantize") return MakeDequantize(choice);
    const Options options(kind.custom_options, static_cast<size_t>(std::max(kind.custom_options_size, 0)));
    return name == "LceBconv2d" ? MakeBConv2D(options, choice) : MakeBMaxPool(options, choice);
  }
  switch (code) {
    case kTfLiteBuiltinAdd:
    case kTfLiteBuiltinSub:
    case kTfLiteBuiltinMul:
    case kTfLiteBuiltinDiv:
      return MakeArithmetic(code, kind.builtin_data, choice);
    case kTfLiteBuiltinRelu:
    case kTfLiteBuiltinReluN1To1:
    case kTfLiteBuiltinRelu6:
    case kTfLiteBuiltinPrelu:
    case kTfLiteBuiltinLeakyRelu:
      return MakeActivation(code, kind.builtin_data, choice);
    case kTfLiteBuiltinMaxPool2d:
    case kTfLiteBuiltinAveragePool2d:
      return MakePool(code, kind.builtin_data, choice);
    case kTfLiteBuiltinConcatenation:
      return MakeConcatenation(kind.builtin_data, choice);
    case kTfLiteBuiltinPad:
      return MakePad(choice);
    case kTfLiteBuiltinResizeBilinear:
    case kTfLiteBuiltinResizeNearestNeighbor:
      return MakeResize(code, kind.builtin_data, choice);
    default:
      throw Refusal("it is not an op that edgebnn knows");
  }
}

}  // namespace edgebnn

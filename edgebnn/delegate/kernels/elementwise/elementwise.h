// Elementwise float arithmetic on rows of channels, one stage:
//
//   y   = x | x + o | x - o | x * o | x / o | (x < 0 ? x * o : x)
//   out = min(max(y, low), high)
//
// where o is an array of the channels or a map like x. NaN stays NaN. Each operation is rounded by itself, as in the
// stock runtime's kernels, so that results are theirs bit for bit.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/variant.h"

namespace edgebnn {

enum class Form { none, add, subtract, multiply, divide, scale_negative };

struct Stage {
  Form form;
  bool per_channel;      // the operand is [channels], else [rows][channels]; nullptr for Form::none
  const float* operand;
  float low, high;       // -inf and inf where nothing is clamped
};

struct ElementwiseVariant {
  const char* name;
  Feature feature;
  // in, out [rows][channels]; `out` may be `in` or the operand.
  void (*run)(const Stage& stage, const float* in, size_t rows, int channels, float* out);
};

// All variants of this build, slowest first.
const std::vector<const ElementwiseVariant*>& ElementwiseVariants();

const ElementwiseVariant& SelectElementwise(Choice choice);

}  // namespace edgebnn

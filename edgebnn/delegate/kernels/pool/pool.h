// Float 2-D pooling, NHWC. Of the elements of a window that lie inside the input:
//   maximum: the largest
//   average: their sum, times 1 / their number
// then min(max(y, low), high). Sums are rounded as XNNPACK's are, so that a network's signs do not depend on who pools:
// with the window's elements e column by column, zero where they lie outside,
//   up to 9 elements: ((e2 + e3) + (e4 + e5)) + (((e0 + e1) + e8) + (e6 + e7))
//   more: those inside, one by one (there XNNPACK has another order)
#pragma once

#include <vector>

#include "kernels/variant.h"

namespace edgebnn {

struct PoolShape {
  int batches, in_height, in_width, channels;
  int out_height, out_width;
  int filter_height, filter_width, stride_height, stride_width;
  int pad_top, pad_left;
  bool average;
  float low, high;
};

struct PoolVariant {
  const char* name;
  Feature feature;
  // Lines [first, first + lines) of all batches * out_height output lines; `in` and `out` are whole maps.
  void (*run)(const PoolShape& shape, const float* in, int first, int lines, float* out);
};

// All variants of this build, slowest first.
const std::vector<const PoolVariant*>& PoolVariants();

const PoolVariant& SelectPool(Choice choice);

}  // namespace edgebnn

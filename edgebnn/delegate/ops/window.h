// Output size and padding of a sliding window, as TFLite computes them.
#pragma once

#include "ops/op.h"

namespace edgebnn {

enum class Padding { same = 0, valid = 1 };  // the schema's numbers

constexpr int kMostReach = 1 << 29;  // positions stay inside int

struct Window {
  int out;  // output size
  int pad;  // before the first input element (the rest of an odd padding goes behind the last)
};

// One dimension: `in` elements under a filter of `filter` taps. Refusal when nothing comes out.
inline Window SlidingWindow(Padding padding, int in, int filter, int stride, int dilation) {
  const int64_t reach = int64_t{filter - 1} * dilation + 1;
  Require(reach <= kMostReach, "its filter spans ", reach, " elements, more than ", kMostReach);
  Require(in <= kMostReach, "its input is ", in, " elements wide or high, more than ", kMostReach);
  if (padding == Padding::valid) {
    Require(reach <= in, "its filter spans ", reach, " elements, more than its input's ", in);
    return {static_cast<int>((in - reach) / stride + 1), 0};
  }
  const int out = static_cast<int>((int64_t{in} + stride - 1) / stride);
  const int64_t missing = int64_t{out - 1} * stride + reach - in;
  return {out, static_cast<int>(missing > 0 ? missing / 2 : 0)};
}

// NHWC; Refusal when it is something else.
inline void RequireImage(const Dims& dims) {
  Require(dims.size() == 4, "its input has ", dims.size(), " dimensions, expected 4");
  Elements(dims);
}

// Fills in what a kernel's shape says of a window that slides over an image: batches, input, output, padding before it.
// Reads the shape's filter and strides.
template <class Shape>
void Slide(const Dims& image, Padding padding, int dilation_height, int dilation_width, Shape* shape) {
  const Window rows = SlidingWindow(padding, image[1], shape->filter_height, shape->stride_height, dilation_height);
  const Window columns = SlidingWindow(padding, image[2], shape->filter_width, shape->stride_width, dilation_width);
  shape->batches = image[0];
  shape->in_height = image[1];
  shape->in_width = image[2];
  shape->out_height = rows.out;
  shape->out_width = columns.out;
  shape->pad_top = rows.pad;
  shape->pad_left = columns.pad;
}

}  // namespace edgebnn

// Float maps moved to other places: concatenation, padding with zeros, and resizing, NHWC.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/variant.h"

namespace edgebnn {

// out[outer] = the `widths[i]` values of each input, one input behind the other.
struct ConcatShape {
  size_t outer;
  int parts;
  const size_t* widths;  // [parts]
};

// Zeros around an input of four dimensions.
struct PadShape {
  int in[4], before[4], after[4];
};

// Where one output position of an axis comes from: in[low] + (in[high] - in[low]) * weight. Nearest: weight 0.
struct Sample {
  int low, high;
  float weight;
};

// Lines first, as in[y][x] = one pixel: top = tl + (tr - tl) * wx, bottom alike, out = top + (bottom - top) * wy.
struct ResizeShape {
  int batches, in_height, in_width, channels;
  int out_height, out_width;
  bool nearest;
  const Sample *rows, *columns;  // [out_height], [out_width]
};

struct MoveVariant {
  const char* name;
  Feature feature;
  // [first, first + count) of the outer index
  void (*concat)(const ConcatShape& shape, const float* const* ins, size_t first, size_t count, float* out);
  void (*pad)(const PadShape& shape, const float* in, float* out);
  // output lines [first, first + lines) of all batches * out_height
  void (*resize)(const ResizeShape& shape, const float* in, int first, int lines, float* out);
};

// All variants of this build, slowest first.
const std::vector<const MoveVariant*>& MoveVariants();

const MoveVariant& SelectMove(Choice choice);

}  // namespace edgebnn

// Whole runs of channels at a time.
#pragma once

#include <cstddef>

#include "kernels/move/move.h"

namespace edgebnn {
namespace {  // each instruction set gets its own copy

void Concat(const ConcatShape& shape, const float* const* ins, size_t first, size_t count, float* out) {
  const size_t* const widths = shape.widths;
  size_t width = 0;
  for (int i = 0; i < shape.parts; ++i) width += widths[i];
  out += first * width;
  for (size_t row = first; row < first + count; ++row) {
    for (int i = 0; i < shape.parts; ++i) {
      __builtin_memcpy(out, ins[i] + row * widths[i], sizeof(float) * widths[i]);
      out += widths[i];
    }
  }
}

inline float* Zeros(float* out, size_t count) {
  __builtin_memset(out, 0, sizeof(float) * count);
  return out + count;
}

void Pad(const PadShape& s, const float* in, float* out) {
  size_t outer[4];  // values in one step of an axis of the output
  size_t step = 1;
  for (int i = 3; i >= 0; --i) {
    outer[i] = step;
    step *= static_cast<size_t>(s.before[i]) + s.in[i] + s.after[i];
  }
  const size_t run = static_cast<size_t>(s.in[3]);
  out = Zeros(out, s.before[0] * outer[0]);
  for (int a = 0; a < s.in[0]; ++a) {
    out = Zeros(out, s.before[1] * outer[1]);
    for (int b = 0; b < s.in[1]; ++b) {
      out = Zeros(out, s.before[2] * outer[2]);
      for (int c = 0; c < s.in[2]; ++c, in += run) {
        out = Zeros(out, s.before[3]);
        __builtin_memcpy(out, in, sizeof(float) * run);
        out = Zeros(out + run, s.after[3]);
      }
      out = Zeros(out, s.after[2] * outer[2]);
    }
    out = Zeros(out, s.after[1] * outer[1]);
  }
  Zeros(out, s.after[0] * outer[0]);
}

inline void Blend(const float* tl, const float* tr, const float* bl, const float* br, float wx, float wy, int channels,
                  float* __restrict out) {
  for (int c = 0; c < channels; ++c) {
    const float top = tl[c] + (tr[c] - tl[c]) * wx;
    const float bottom = bl[c] + (br[c] - bl[c]) * wx;
    out[c] = top + (bottom - top) * wy;
  }
}

void Resize(const ResizeShape& s, const float* in, int first, int lines, float* out) {
  const int height = s.out_height, width = s.out_width;
  const size_t pixel = static_cast<size_t>(s.channels), in_line = pixel * s.in_width;
  out += first * pixel * width;
  for (int line = first; line < first + lines; ++line) {
    const Sample row = s.rows[line % height];
    const float* image = in + line / height * in_line * s.in_height;
    const float *top = image + row.low * in_line, *bottom = image + row.high * in_line;
    if (s.nearest && line > first && line % height > 0 && s.rows[line % height - 1].low == row.low) {
      __builtin_memcpy(out, out - pixel * width, sizeof(float) * pixel * width);
      out += pixel * width;
      continue;
    }
    for (int x = 0; x < width; ++x, out += pixel) {
      const Sample column = s.columns[x];
      if (s.nearest) {
        __builtin_memcpy(out, top + column.low * pixel, sizeof(float) * pixel);
      } else {
        Blend(top + column.low * pixel, top + column.high * pixel, bottom + column.low * pixel,
              bottom + column.high * pixel, column.weight, row.weight, s.channels, out);
      }
    }
  }
}

}  // namespace
}  // namespace edgebnn

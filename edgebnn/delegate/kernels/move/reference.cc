#include "kernels/move/move.h"

namespace edgebnn {
namespace {

void Concat(const ConcatShape& shape, const float* const* ins, size_t first, size_t count, float* out) {
  size_t width = 0;
  for (int i = 0; i < shape.parts; ++i) width += shape.widths[i];
  for (size_t row = first; row < first + count; ++row) {
    size_t at = row * width;
    for (int i = 0; i < shape.parts; ++i) {
      for (size_t c = 0; c < shape.widths[i]; ++c) out[at++] = ins[i][row * shape.widths[i] + c];
    }
  }
}

void Pad(const PadShape& s, const float* in, float* out) {
  int size[4];
  for (int i = 0; i < 4; ++i) size[i] = s.before[i] + s.in[i] + s.after[i];
  for (int a = 0; a < size[0]; ++a) {
    for (int b = 0; b < size[1]; ++b) {
      for (int c = 0; c < size[2]; ++c) {
        for (int d = 0; d < size[3]; ++d) {
          const int at[4] = {a - s.before[0], b - s.before[1], c - s.before[2], d - s.before[3]};
          bool inside = true;
          size_t from = 0;
          for (int i = 0; i < 4; ++i) {
            inside = inside && at[i] >= 0 && at[i] < s.in[i];
            from = from * s.in[i] + at[i];
          }
          *out++ = inside ? in[from] : 0;
        }
      }
    }
  }
}

void Resize(const ResizeShape& s, const float* in, int first, int lines, float* out) {
  for (int line = first; line < first + lines; ++line) {
    const Sample row = s.rows[line % s.out_height];
    const auto element = [&](int y, int x, int c) {
      return in[((size_t{1} * (line / s.out_height) * s.in_height + y) * s.in_width + x) * s.channels + c];
    };
    for (int x = 0; x < s.out_width; ++x) {
      const Sample column = s.columns[x];
      for (int c = 0; c < s.channels; ++c) {
        float value = element(row.low, column.low, c);
        if (!s.nearest) {
          const float right = element(row.low, column.high, c), bottom = element(row.high, column.low, c);
          const float top = value + (right - value) * column.weight;
          const float below = bottom + (element(row.high, column.high, c) - bottom) * column.weight;
          value = top + (below - top) * row.weight;
        }
        out[(size_t{1} * line * s.out_width + x) * s.channels + c] = value;
      }
    }
  }
}

}  // namespace

extern const MoveVariant kMoveReference = {"reference", Feature::none, Concat, Pad, Resize};

}  // namespace edgebnn

// The AND of a window stays in a register for four, two or one words at a time.

#include <arm_neon.h>

#include <algorithm>

#include "kernels/bmaxpool/bmaxpool.h"

namespace edgebnn {
namespace {

void Run(const BMaxPoolShape& shape, const uint32_t* in, uint32_t* out) {
  const BMaxPoolShape s = shape;
  const size_t line_words = size_t{1} * s.in_width * s.words;
  for (int b = 0; b < s.batches; ++b) {
    const uint32_t* image = in + b * s.in_height * line_words;
    for (int y = 0; y < s.out_height; ++y) {
      const int top = std::max(0, y * s.stride_height - s.pad_top);
      const int bottom = std::min(s.in_height, y * s.stride_height - s.pad_top + s.filter_height);
      for (int x = 0; x < s.out_width; ++x, out += s.words) {
        const int left = std::max(0, x * s.stride_width - s.pad_left);
        const int right = std::min(s.in_width, x * s.stride_width - s.pad_left + s.filter_width);
        const auto pixel = [&](int v, int u) { return image + v * line_words + size_t{1} * u * s.words; };
        int w = 0;
        for (; w + 4 <= s.words; w += 4) {
          uint32x4_t all = vdupq_n_u32(~uint32_t{0});
          for (int v = top; v < bottom; ++v) {
            for (int u = left; u < right; ++u) all = vandq_u32(all, vld1q_u32(pixel(v, u) + w));
          }
          vst1q_u32(out + w, all);
        }
        if (w + 2 <= s.words) {
          uint32x2_t all = vdup_n_u32(~uint32_t{0});
          for (int v = top; v < bottom; ++v) {
            for (int u = left; u < right; ++u) all = vand_u32(all, vld1_u32(pixel(v, u) + w));
          }
          vst1_u32(out + w, all);
          w += 2;
        }
        if (w < s.words) {
          uint32_t all = ~uint32_t{0};
          for (int v = top; v < bottom; ++v) {
            for (int u = left; u < right; ++u) all &= pixel(v, u)[w];
          }
          out[w] = all;
        }
      }
    }
  }
}

}  // namespace

extern const BMaxPoolVariant kBMaxPoolNeon = {"arm_neon", Feature::neon, Run};

}  // namespace edgebnn

// Window clipped once per output pixel; the inner loop runs along the words, as compilers like it.

#include <algorithm>
#include <cstring>

#include "kernels/bmaxpool/bmaxpool.h"

namespace edgebnn {
namespace {

void Run(const BMaxPoolShape& s, const uint32_t* in, uint32_t* out) {
  for (int b = 0; b < s.batches; ++b) {
    const uint32_t* image = in + size_t{1} * b * s.in_height * s.in_width * s.words;
    for (int y = 0; y < s.out_height; ++y) {
      const int top = std::max(0, y * s.stride_height - s.pad_top);
      const int bottom = std::min(s.in_height, y * s.stride_height - s.pad_top + s.filter_height);
      for (int x = 0; x < s.out_width; ++x, out += s.words) {
        const int left = std::max(0, x * s.stride_width - s.pad_left);
        const int right = std::min(s.in_width, x * s.stride_width - s.pad_left + s.filter_width);
        std::memset(out, 0xff, size_t{4} * s.words);
        for (int v = top; v < bottom; ++v) {
          for (int u = left; u < right; ++u) {
            const uint32_t* pixel = image + (size_t{1} * v * s.in_width + u) * s.words;
            for (int w = 0; w < s.words; ++w) out[w] &= pixel[w];
          }
        }
      }
    }
  }
}

}  // namespace

extern const BMaxPoolVariant kBMaxPoolPortable = {"portable", Feature::none, Run};

}  // namespace edgebnn

#include "kernels/bmaxpool/bmaxpool.h"

#include <cstddef>

namespace edgebnn {
namespace {

void Run(const BMaxPoolShape& s, const uint32_t* in, uint32_t* out) {
  for (int b = 0; b < s.batches; ++b) {
    for (int y = 0; y < s.out_height; ++y) {
      for (int x = 0; x < s.out_width; ++x) {
        for (int w = 0; w < s.words; ++w) {
          uint32_t all = ~uint32_t{0};
          const int top = y * s.stride_height - s.pad_top, left = x * s.stride_width - s.pad_left;
          for (int v = 0; v < s.in_height; ++v) {
            for (int u = 0; u < s.in_width; ++u) {
              if (v < top || v >= top + s.filter_height || u < left || u >= left + s.filter_width) continue;
              all &= in[((size_t{1} * b * s.in_height + v) * s.in_width + u) * s.words + w];
            }
          }
          *out++ = all;
        }
      }
    }
  }
}

}  // namespace

extern const BMaxPoolVariant kBMaxPoolReference = {"reference", Feature::none, Run};

}  // namespace edgebnn

#include <cstddef>
#include <cstdint>

#include "kernels/pool/pool.h"

namespace edgebnn {
namespace {

float Value(const PoolShape& s, const float* image, int64_t top, int64_t left, int channel) {
  float value = 0;
  int count = 0;
  for (int64_t y = 0; y < s.in_height; ++y) {
    for (int64_t x = 0; x < s.in_width; ++x) {
      if (y < top || y >= top + s.filter_height || x < left || x >= left + s.filter_width) continue;
      const float element = image[(y * s.in_width + x) * s.channels + channel];
      value = count++ == 0 ? element : s.average ? value + element : element > value ? element : value;
    }
  }
  return s.average && count > 0 ? value / static_cast<float>(count) : value;
}

void Run(const PoolShape& s, const float* in, int first, int lines, float* out) {
  for (int line = first; line < first + lines; ++line) {
    const float* image = in + size_t{1} * (line / s.out_height) * s.in_height * s.in_width * s.channels;
    const int64_t top = int64_t{line % s.out_height} * s.stride_height - s.pad_top;
    for (int x = 0; x < s.out_width; ++x) {
      for (int channel = 0; channel < s.channels; ++channel) {
        float y = Value(s, image, top, int64_t{x} * s.stride_width - s.pad_left, channel);
        if (y < s.low) y = s.low;
        if (y > s.high) y = s.high;
        out[(size_t{1} * line * s.out_width + x) * s.channels + channel] = y;
      }
    }
  }
}

}  // namespace

extern const PoolVariant kPoolReference = {"reference", Feature::none, Run};

}  // namespace edgebnn

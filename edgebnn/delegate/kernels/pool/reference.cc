#include <cstddef>
#include <cstdint>

#include "kernels/pool/pool.h"

namespace edgebnn {
namespace {

float Value(const PoolShape& s, const float* image, int64_t top, int64_t left, int channel) {
  const bool few = int64_t{s.filter_height} * s.filter_width <= 9;
  float e[9] = {}, largest = 0, sum = 0;
  int count = 0;
  const auto see = [&](int64_t y, int64_t x, const auto& use) {
    if (y < top || y >= top + s.filter_height || x < left || x >= left + s.filter_width) return;
    use(image[(y * s.in_width + x) * s.channels + channel], (x - left) * s.filter_height + y - top);
  };
  if (!s.average) {
    for (int64_t y = 0; y < s.in_height; ++y) {
      for (int64_t x = 0; x < s.in_width; ++x) {
        see(y, x, [&](float element, int64_t) { largest = count++ == 0 || element > largest ? element : largest; });
      }
    }
    return largest;
  }
  for (int64_t x = 0; x < s.in_width; ++x) {
    for (int64_t y = 0; y < s.in_height; ++y) {
      see(y, x, [&](float element, int64_t place) {
        sum = count++ == 0 ? element : sum + element;
        if (few) e[place] = element;
      });
    }
  }
  if (few) sum = ((e[2] + e[3]) + (e[4] + e[5])) + (((e[0] + e[1]) + e[8]) + (e[6] + e[7]));
  return sum * (1.0f / static_cast<float>(count));
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

// Windows clipped once per output pixel; a few channels at a time stay in registers while the window passes.
#pragma once

#include <cstddef>

#include "kernels/pool/pool.h"

namespace edgebnn {
namespace {  // each instruction set gets its own copy

struct Range {
  int low, high;
};

inline Range Clip(int position, int stride, int pad, int filter, int in) {
  const long long first = static_cast<long long>(position) * stride - pad, end = first + filter;
  return {static_cast<int>(first < 0 ? 0 : first), static_cast<int>(end < in ? end : in)};
}

// kChannels channels of one output pixel; `window` is the first element inside.
template <bool kAverage, int kChannels>
inline void RunPixel(const PoolShape& s, const float* window, int height, int width, float* out) {
  const size_t pixel = static_cast<size_t>(s.channels), line = pixel * s.in_width;
  float values[kChannels];
  for (int c = 0; c < kChannels; ++c) values[c] = window[c];
  for (int y = 0; y < height; ++y, window += line) {
    for (int x = y == 0 ? 1 : 0; x < width; ++x) {
      const float* element = window + x * pixel;
      for (int c = 0; c < kChannels; ++c) {
        values[c] = kAverage ? values[c] + element[c] : element[c] > values[c] ? element[c] : values[c];
      }
    }
  }
  const float count = static_cast<float>(height * width), low = s.low, high = s.high;
  for (int c = 0; c < kChannels; ++c) {
    float y = kAverage ? values[c] / count : values[c];
    y = y < low ? low : y;
    out[c] = y > high ? high : y;
  }
}

template <bool kAverage>
void RunLine(const PoolShape& s, const float* image, int y, float* out) {
  const Range rows = Clip(y, s.stride_height, s.pad_top, s.filter_height, s.in_height);
  for (int x = 0; x < s.out_width; ++x, out += s.channels) {
    const Range columns = Clip(x, s.stride_width, s.pad_left, s.filter_width, s.in_width);
    const int height = rows.high - rows.low, width = columns.high - columns.low;
    const float* window = image + (static_cast<size_t>(rows.low) * s.in_width + columns.low) * s.channels;
    int c = 0;
    for (; c + 32 <= s.channels; c += 32) RunPixel<kAverage, 32>(s, window + c, height, width, out + c);
    for (; c + 8 <= s.channels; c += 8) RunPixel<kAverage, 8>(s, window + c, height, width, out + c);
    for (; c < s.channels; ++c) RunPixel<kAverage, 1>(s, window + c, height, width, out + c);
  }
}

void RunLoops(const PoolShape& s, const float* in, int first, int lines, float* out) {
  const size_t image = static_cast<size_t>(s.in_height) * s.in_width * s.channels;
  const size_t out_line = static_cast<size_t>(s.out_width) * s.channels;
  const auto run = s.average ? RunLine<true> : RunLine<false>;
  for (int line = first; line < first + lines; ++line) {
    run(s, in + line / s.out_height * image, line % s.out_height, out + line * out_line);
  }
}

}  // namespace
}  // namespace edgebnn

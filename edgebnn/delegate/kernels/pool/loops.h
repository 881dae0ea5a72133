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

// The part of a window inside the input: its first element, and where it lies in the window.
struct Window {
  const float* first;
  int height, width, top, left;
};

template <int kChannels>
inline void Clamp(const PoolShape& s, const float* values, float* out) {
  const float low = s.low, high = s.high;
  for (int c = 0; c < kChannels; ++c) {
    const float y = values[c] < low ? low : values[c];
    out[c] = y > high ? high : y;
  }
}

// kChannels channels of one output pixel, from `channel` on.
template <int kChannels>
inline void Maximum(const PoolShape& s, const Window& window, int channel, float* out) {
  const size_t pixel = static_cast<size_t>(s.channels), line = pixel * s.in_width;
  const float* first = window.first + channel;
  float values[kChannels];
  for (int c = 0; c < kChannels; ++c) values[c] = first[c];
  for (int y = 0; y < window.height; ++y, first += line) {
    for (int x = y == 0 ? 1 : 0; x < window.width; ++x) {
      const float* element = first + x * pixel;
      for (int c = 0; c < kChannels; ++c) values[c] = element[c] > values[c] ? element[c] : values[c];
    }
  }
  Clamp<kChannels>(s, values, out + channel);
}

template <int kChannels>
inline void Average(const PoolShape& s, const Window& window, int channel, float* out) {
  const size_t pixel = static_cast<size_t>(s.channels), line = pixel * s.in_width;
  const float* first = window.first + channel;
  const float share = 1.0f / static_cast<float>(window.height * window.width);
  float values[kChannels];
  if (static_cast<long long>(s.filter_height) * s.filter_width <= 9) {
    static const float kZeros[kChannels] = {};
    const float* e[9] = {kZeros, kZeros, kZeros, kZeros, kZeros, kZeros, kZeros, kZeros, kZeros};
    for (int x = 0; x < window.width; ++x) {
      for (int y = 0; y < window.height; ++y) {
        e[(window.left + x) * s.filter_height + window.top + y] = first + y * line + x * pixel;
      }
    }
    for (int c = 0; c < kChannels; ++c) {
      values[c] = ((e[2][c] + e[3][c]) + (e[4][c] + e[5][c])) + (((e[0][c] + e[1][c]) + e[8][c]) + (e[6][c] + e[7][c]));
    }
  } else {
    for (int c = 0; c < kChannels; ++c) values[c] = first[c];
    for (int x = 0; x < window.width; ++x) {
      for (int y = x == 0 ? 1 : 0; y < window.height; ++y) {
        const float* element = first + y * line + x * pixel;
        for (int c = 0; c < kChannels; ++c) values[c] += element[c];
      }
    }
  }
  for (int c = 0; c < kChannels; ++c) values[c] *= share;
  Clamp<kChannels>(s, values, out + channel);
}

template <bool kAverage, int kChannels>
inline void RunChannels(const PoolShape& s, const Window& window, int channel, float* out) {
  if (kAverage) {
    Average<kChannels>(s, window, channel, out);
  } else {
    Maximum<kChannels>(s, window, channel, out);
  }
}

template <bool kAverage>
void RunLine(const PoolShape& s, const float* image, int y, float* out) {
  const Range rows = Clip(y, s.stride_height, s.pad_top, s.filter_height, s.in_height);
  for (int x = 0; x < s.out_width; ++x, out += s.channels) {
    const Range columns = Clip(x, s.stride_width, s.pad_left, s.filter_width, s.in_width);
    const Window window = {image + (static_cast<size_t>(rows.low) * s.in_width + columns.low) * s.channels,
                           rows.high - rows.low, columns.high - columns.low, rows.low - (y * s.stride_height - s.pad_top),
                           columns.low - (x * s.stride_width - s.pad_left)};
    int c = 0;
    for (; c + 32 <= s.channels; c += 32) RunChannels<kAverage, 32>(s, window, c, out);
    for (; c + 8 <= s.channels; c += 8) RunChannels<kAverage, 8>(s, window, c, out);
    for (; c < s.channels; ++c) RunChannels<kAverage, 1>(s, window, c, out);
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

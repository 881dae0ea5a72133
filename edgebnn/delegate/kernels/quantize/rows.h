// Rows of channels to rows of words, given how to pack one word. `Pack(in, count)` packs `count` values, 1 to 32.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgebnn {
namespace {  // each instruction set gets its own copy

template <class T, class PackWord>
inline void PackRows(const T* in, size_t rows, int channels, uint32_t* out, PackWord pack) {
  if (channels % 32 == 0) {  // no padding: one long row
    for (size_t i = 0; i < rows * (channels / 32); ++i) out[i] = pack(in + 32 * i, 32);
    return;
  }
  for (size_t row = 0; row < rows; ++row) {
    for (int channel = 0; channel < channels; channel += 32) {
      const int left = channels - channel;
      *out++ = pack(in + channel, left < 32 ? left : 32);
    }
    in += channels;
  }
}

template <class T, class Negative>
inline uint32_t PackSlowly(const T* in, int count, Negative negative) {
  uint32_t word = 0;
  for (int i = 0; i < count; ++i) word |= static_cast<uint32_t>(negative(in[i])) << i;
  return word;
}

}  // namespace
}  // namespace edgebnn

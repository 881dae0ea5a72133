// The epilogue of one value, for the variants without vector code.
#pragma once

#include <cmath>
#include <cstring>

#include "kernels/bconv2d/bconv2d.h"

namespace edgebnn {
namespace {  // each instruction set gets its own copy

// Writes x (without correction) of a block's pixel and channel. Bits are or-ed into zeroed words.
inline void Store(const BConv2DBlock& block, int pixel, int channel, int32_t x) {
  if (block.corrections[pixel] != nullptr) x += block.corrections[pixel][channel];
  uint8_t* const out = block.outs[pixel];
  const int at = block.first_channel + channel;
  if (block.form == OutputForm::bits) {
    uint32_t bit = x > block.thresholds[channel] ? uint32_t{1} << at % 32 : 0, word;
    std::memcpy(&word, out + at / 32 * 4, 4);
    word |= bit;
    std::memcpy(out + at / 32 * 4, &word, 4);
    return;
  }
  const int32_t low = x < block.clamp_max ? x : block.clamp_max;
  const float clamped = static_cast<float>(low > block.clamp_min ? low : block.clamp_min);
  const float y = clamped * block.multiplier[channel] + block.bias[channel];
  if (block.form == OutputForm::float32) {
    std::memcpy(out + size_t{4} * at, &y, 4);
  } else {
    const float rounded = std::round(y);  // half away from zero
    const float high = rounded < 127.0f ? rounded : 127.0f;
    reinterpret_cast<int8_t*>(out)[at] = static_cast<int8_t>(high > -128.0f ? high : -128.0f);
  }
}

}  // namespace
}  // namespace edgebnn

// Tiles of 4 output channels x 2 pixels: EOR, CNT and ADD on 128 bits, byte sums of at most 31 vectors. The epilogue is
// scalar: vectors of floats flush denormal numbers to zero on 32-bit ARM.

#include <arm_neon.h>

#include "kernels/bconv2d/store.h"

namespace edgebnn {
namespace {

constexpr int kChannels = 4;
constexpr int kTile = 2;
constexpr int kPixels = 16;
static_assert(kPixels <= kMostPixels);
constexpr int kFlush = 31;  // a byte holds at most 31 * 8 bits
constexpr int kStepBytes = 16 * kChannels;
constexpr int64_t kMaxRowBits = 65535 / 128 * 128;

size_t Blocks(int channels) { return (size_t{1} * channels + kChannels - 1) / kChannels; }

size_t WeightBytes(int channels, int words) { return Blocks(channels) * kStepBytes * (words / 4); }

// [channel block][4 words][channel][16 bytes]
void Pack(const uint32_t* filter, int channels, int words, uint8_t* weights) {
  for (size_t block = 0; block < Blocks(channels); ++block) {
    for (int w = 0; w < words; w += 4) {
      for (int j = 0; j < kChannels; ++j, weights += 16) {
        const size_t o = block * kChannels + j;
        if (o < static_cast<size_t>(channels)) {
          std::memcpy(weights, filter + o * words + w, 16);
        } else {
          std::memset(weights, 0, 16);
        }
      }
    }
  }
}

size_t ScratchBytes(int, int) { return 0; }

// sums[p][j] = popcount of row p against channel j.
template <int kRows>
inline void Multiply(const uint8_t* const rows[kRows], const uint8_t* weights, int steps,
                     uint32_t sums[kRows][kChannels]) {
  uint16x8_t totals[kRows][kChannels];
  for (int p = 0; p < kRows; ++p) {
    for (int j = 0; j < kChannels; ++j) totals[p][j] = vdupq_n_u16(0);
  }
  size_t at = 0;
  while (steps > 0) {
    const int count = steps < kFlush ? steps : kFlush;
    steps -= count;
    uint8x16_t octets[kRows][kChannels];
    for (int p = 0; p < kRows; ++p) {
      for (int j = 0; j < kChannels; ++j) octets[p][j] = vdupq_n_u8(0);
    }
    for (int i = 0; i < count; ++i, at += 16, weights += kStepBytes) {
      for (int p = 0; p < kRows; ++p) {
        const uint8x16_t x = vld1q_u8(rows[p] + at);
        for (int j = 0; j < kChannels; ++j) {
          octets[p][j] = vaddq_u8(octets[p][j], vcntq_u8(veorq_u8(x, vld1q_u8(weights + 16 * j))));
        }
      }
    }
    for (int p = 0; p < kRows; ++p) {
      for (int j = 0; j < kChannels; ++j) totals[p][j] = vpadalq_u8(totals[p][j], octets[p][j]);
    }
  }
  for (int p = 0; p < kRows; ++p) {
    uint32x2_t pairs[kChannels];
    for (int j = 0; j < kChannels; ++j) {
      const uint32x4_t fours = vpaddlq_u16(totals[p][j]);
      pairs[j] = vadd_u32(vget_low_u32(fours), vget_high_u32(fours));
    }
    vst1_u32(sums[p], vpadd_u32(pairs[0], pairs[1]));
    vst1_u32(sums[p] + 2, vpadd_u32(pairs[2], pairs[3]));
  }
}

// Four channels of kRows pixels from `pixel` on.
template <int kRows>
inline void RunTile(const BConv2DBlock& block, const uint8_t* weights, int channel, int pixel) {
  const uint8_t* rows[kRows];
  for (int p = 0; p < kRows; ++p) {
    rows[p] = reinterpret_cast<const uint8_t*>(block.rows + (size_t{1} * pixel + p) * block.words);
  }
  uint32_t sums[kRows][kChannels];
  Multiply<kRows>(rows, weights, block.words / 4, sums);
  const int channels = block.channels - channel < kChannels ? block.channels - channel : kChannels;
  for (int p = 0; p < kRows; ++p) {
    for (int j = 0; j < channels; ++j) Store(block, pixel + p, channel + j, static_cast<int32_t>(2 * sums[p][j]));
  }
}

void Run(const BConv2DBlock& block) {
  const uint8_t* weights = block.weights;
  for (int channel = 0; channel < block.channels; channel += kChannels, weights += size_t{kStepBytes} * (block.words / 4)) {
    int pixel = 0;
    for (; pixel + kTile <= block.pixels; pixel += kTile) RunTile<kTile>(block, weights, channel, pixel);
    for (; pixel < block.pixels; ++pixel) RunTile<1>(block, weights, channel, pixel);
  }
}

}  // namespace

extern const BConv2DVariant kBConv2DNeon = {
    "arm32_neon", Feature::neon, kPixels, 4, kMaxRowBits, 1, WeightBytes, Pack, ScratchBytes, Run, nullptr};

}  // namespace edgebnn

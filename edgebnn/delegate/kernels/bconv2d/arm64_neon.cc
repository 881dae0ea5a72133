// Tiles of 8 output channels x 4 pixels: EOR and CNT on 128 bits, then a tree of ADDP brings the eight channels' counts
// into one vector and UADALP adds them to 16-bit sums (32 EOR + 32 CNT + 28 ADDP + 4 UADALP a step).

#include <arm_neon.h>

#include "kernels/bconv2d/bconv2d.h"

namespace edgebnn {
namespace {

constexpr int kChannels = 8;
constexpr int kTile = 4;
constexpr int kPixels = 16;
constexpr int64_t kMaxRowBits = 65535 / 128 * 128;

size_t Blocks(int channels) { return (size_t{1} * channels + kChannels - 1) / kChannels; }

// [channel block][16 bytes of the row][channel][16 bytes]
size_t WeightBytes(int channels, int words) { return Blocks(channels) * kChannels * words * 4; }

void Pack(const uint32_t* filter, int channels, int words, uint8_t* weights) {
  auto* out = reinterpret_cast<uint32_t*>(weights);
  for (size_t block = 0; block < Blocks(channels); ++block) {
    for (int w = 0; w < words; w += 4) {
      for (int j = 0; j < kChannels; ++j, out += 4) {
        const size_t o = block * kChannels + j;
        for (int i = 0; i < 4; ++i) out[i] = o < static_cast<size_t>(channels) ? filter[o * words + w + i] : 0;
      }
    }
  }
}

size_t ScratchBytes(int, int) { return 0; }

inline uint8x16_t Load(const uint32_t* words) { return vreinterpretq_u8_u32(vld1q_u32(words)); }

// sums[p] = popcounts of 4 rows against 8 channels; `words` is a multiple of 4.
inline void Multiply(const uint32_t* const rows[kTile], const uint8_t* weights, int words, uint16x8_t sums[kTile]) {
  const uint32_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  uint16x8_t s[kTile] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};
  for (int k = 0; k < words; k += 4, weights += 16 * kChannels) {
    const uint8x16_t x[kTile] = {Load(r0 + k), Load(r1 + k), Load(r2 + k), Load(r3 + k)};
    uint8x16_t w[kChannels];
#pragma GCC unroll 8
    for (int j = 0; j < kChannels; ++j) w[j] = vld1q_u8(weights + 16 * j);
#pragma GCC unroll 4
    for (int p = 0; p < kTile; ++p) {
      uint8x16_t c[kChannels];
#pragma GCC unroll 8
      for (int j = 0; j < kChannels; ++j) c[j] = vcntq_u8(veorq_u8(x[p], w[j]));
      const uint8x16_t low = vpaddq_u8(vpaddq_u8(c[0], c[1]), vpaddq_u8(c[2], c[3]));
      const uint8x16_t high = vpaddq_u8(vpaddq_u8(c[4], c[5]), vpaddq_u8(c[6], c[7]));
      s[p] = vpadalq_u8(s[p], vpaddq_u8(low, high));
    }
  }
  for (int p = 0; p < kTile; ++p) sums[p] = s[p];
}

inline int32x4_t Doubled(uint16x4_t sum, const int32_t* correction) {
  const int32x4_t x = vreinterpretq_s32_u32(vshll_n_u16(sum, 1));
  return correction == nullptr ? x : vaddq_s32(x, vld1q_s32(correction));
}

inline float32x4_t Affine(const BConv2DBlock& block, int32x4_t x, int channel) {
  const int32x4_t clamped = vmaxq_s32(vminq_s32(x, vdupq_n_s32(block.clamp_max)), vdupq_n_s32(block.clamp_min));
  // A multiplication and an addition, never FMA: an exact zero must stay one, or the next sign flips.
  return vaddq_f32(vmulq_f32(vcvtq_f32_s32(clamped), vld1q_f32(block.multiplier + channel)),
                   vld1q_f32(block.bias + channel));
}

// Writes `count` (at most 8) channels of one pixel, from `channel` of the group on.
inline void Store(const BConv2DBlock& block, uint16x8_t sums, int pixel, int channel, int count) {
  const int32_t* correction = block.corrections[pixel];
  if (correction != nullptr) correction += channel;
  const int at = block.first_channel + channel;
  uint8_t* out = block.outs[pixel];
  const int32x4_t low = Doubled(vget_low_u16(sums), correction);
  const int32x4_t high = Doubled(vget_high_u16(sums), correction == nullptr ? nullptr : correction + 4);
  if (block.form == OutputForm::bits) {
    const uint32x4_t above_low = vcgtq_s32(low, vld1q_s32(block.thresholds + channel));
    const uint32x4_t above_high = vcgtq_s32(high, vld1q_s32(block.thresholds + channel + 4));
    const uint8x8_t mask = vmovn_u16(vcombine_u16(vmovn_u32(above_low), vmovn_u32(above_high)));
    static const uint8_t kBits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const unsigned bits = vaddv_u8(vand_u8(mask, vld1_u8(kBits)));
    out[at / 8] = static_cast<uint8_t>(bits & ((1u << count) - 1));
    return;
  }
  const float32x4_t y_low = Affine(block, low, channel), y_high = Affine(block, high, channel + 4);
  if (block.form == OutputForm::float32) {
    float* floats = reinterpret_cast<float*>(out) + at;
    if (count == 8) {
      vst1q_f32(floats, y_low);
      vst1q_f32(floats + 4, y_high);
      return;
    }
    float last[8];
    vst1q_f32(last, y_low);
    vst1q_f32(last + 4, y_high);
    __builtin_memcpy(floats, last, size_t{4} * count);
    return;
  }
  // FCVTAS rounds half away from zero and saturates.
  const int16x8_t words = vcombine_s16(vqmovn_s32(vcvtaq_s32_f32(y_low)), vqmovn_s32(vcvtaq_s32_f32(y_high)));
  int8_t last[8];
  vst1_s8(last, vqmovn_s16(words));
  __builtin_memcpy(out + at, last, count);
}

void Run(const BConv2DBlock& block) {
  for (int channel = 0; channel < block.channels; channel += kChannels) {
    const uint8_t* weights = block.weights + size_t{1} * channel * block.words * 4;
    const int left = block.channels - channel, count = left < kChannels ? left : kChannels;
    for (int first = 0; first < block.pixels; first += kTile) {
      const int pixels = block.pixels - first < kTile ? block.pixels - first : kTile;
      const uint32_t* rows[kTile];
      for (int p = 0; p < kTile; ++p) {
        rows[p] = block.rows + size_t{1} * (first + (p < pixels ? p : 0)) * block.words;
      }
      uint16x8_t sums[kTile];
      Multiply(rows, weights, block.words, sums);
      for (int p = 0; p < pixels; ++p) Store(block, sums[p], first + p, channel, count);
    }
  }
}

}  // namespace

// Bits are written by bytes into words that the driver has zeroed.
extern const BConv2DVariant kBConv2DNeon = {
    "arm64_neon", Feature::neon, kPixels, 4, kMaxRowBits, 8, WeightBytes, Pack, ScratchBytes, Run, nullptr};

}  // namespace edgebnn

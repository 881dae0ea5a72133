// Tiles of 8 output channels x 4 pixels: EOR and CNT on 128 bits, then a tree of ADDP brings the eight channels' counts
// into one vector and UADALP adds them to 16-bit sums (32 EOR + 32 CNT + 28 ADDP + 4 UADALP a step). Half a vector at a
// row's end is shared by two pixels, a quarter by four.

#include <arm_neon.h>

#include "kernels/bconv2d/bconv2d.h"

namespace edgebnn {
namespace {

constexpr int kChannels = 8;
constexpr int kStepBytes = 16 * kChannels;
constexpr int kTile = 4;
constexpr int kPixels = 16;
static_assert(kPixels <= kMostPixels);
constexpr int64_t kMaxRowBits = 65535 / 32 * 32;

size_t Blocks(int channels) { return (size_t{1} * channels + kChannels - 1) / kChannels; }

size_t BlockBytes(int words) { return size_t{kStepBytes} * (words / 4 + words / 2 % 2 + words % 2); }

// One step more than is used: the next step's weights are loaded ahead.
size_t WeightBytes(int channels, int words) { return Blocks(channels) * BlockBytes(words) + kStepBytes; }

// [channel block][step][channel][16 bytes]; a step is 4 words of the row, or at its end 2 words twice, or 1 four times.
void Pack(const uint32_t* filter, int channels, int words, uint8_t* weights) {
  auto* out = reinterpret_cast<uint32_t*>(weights);
  for (size_t block = 0; block < Blocks(channels); ++block) {
    for (int w = 0, step = 0; w < words; w += step) {
      const int left = words - w;
      step = left >= 4 ? 4 : left >= 2 ? 2 : 1;
      for (int j = 0; j < kChannels; ++j, out += 4) {
        const size_t o = block * kChannels + j;
        for (int i = 0; i < 4; ++i) out[i] = o < static_cast<size_t>(channels) ? filter[o * words + w + i % step] : 0;
      }
    }
  }
  __builtin_memset(out, 0, kStepBytes);
}

size_t ScratchBytes(int, int) { return 0; }

inline uint8x16_t Tree(const uint8x16_t c[4]) { return vpaddq_u8(vpaddq_u8(c[0], c[1]), vpaddq_u8(c[2], c[3])); }

// c[j] = popcounts of x's bytes against channel j.
inline void Count(uint8x16_t x, const uint8x16_t w[kChannels], uint8x16_t c[kChannels]) {
#pragma GCC unroll 8
  for (int j = 0; j < kChannels; ++j) c[j] = vcntq_u8(veorq_u8(x, w[j]));
}

inline void LoadStep(const uint8_t* weights, uint8x16_t w[kChannels]) {
#pragma GCC unroll 8
  for (int j = 0; j < kChannels; ++j) w[j] = vld1q_u8(weights + 16 * j);
}

inline uint16x8_t AddLow(uint16x8_t sum, uint8x16_t pairs) {
  return vaddq_u16(sum, vandq_u16(vreinterpretq_u16_u8(pairs), vdupq_n_u16(255)));
}

inline uint16x8_t AddHigh(uint16x8_t sum, uint8x16_t pairs) {
  return vsraq_n_u16(sum, vreinterpretq_u16_u8(pairs), 8);
}

// sums[p][j] = popcount of row p against channel j; rows [kRows][words], weights one channel block.
template <int kRows>
inline __attribute__((always_inline)) void Multiply(const uint32_t* rows, const uint8_t* weights, int words,
                                                    uint16x8_t sums[kRows]) {
  const uint8_t* r[kRows];
  uint16x8_t s[kRows];
  uint8x16_t w[kChannels], c[kChannels];
#pragma GCC unroll 4
  for (int p = 0; p < kRows; ++p) {
    r[p] = reinterpret_cast<const uint8_t*>(rows + size_t{1} * p * words);
    s[p] = vdupq_n_u16(0);
  }
  LoadStep(weights, w);
  if (words >= 4) {
    // In-order cores run this as it is written: the end of a pixel's tree between the EORs of the next pixel, the loads of
    // the next weights behind the last use of these.
    const uint8_t* const end = weights + size_t{kStepBytes} * (words / 4);
    uint8x16_t t[4] = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};
    do {
      weights += kStepBytes;
#pragma GCC unroll 4
      for (int p = 0; p < kRows; ++p) {
        const int before = p > 0 ? p - 1 : kRows - 1;
        const auto count = [&](int j, uint8x16_t x) {
          c[j] = veorq_u8(x, w[j]);
          if (p == kRows - 1) w[j] = vld1q_u8(weights + 16 * j);
        };
        const uint8x16_t x = vld1q_u8(r[p]);
        r[p] += 16;
        count(0, x);
        t[0] = vpaddq_u8(t[0], t[1]);
        count(1, x);
        t[2] = vpaddq_u8(t[2], t[3]);
        count(2, x);
        count(3, x);
        count(4, x);
        count(5, x);
        t[0] = vpaddq_u8(t[0], t[2]);
        count(6, x);
        count(7, x);
#pragma GCC unroll 8
        for (int j = 0; j < 4; ++j) c[j] = vcntq_u8(c[j]);
        s[before] = vpadalq_u8(s[before], t[0]);
#pragma GCC unroll 8
        for (int j = 4; j < kChannels; ++j) c[j] = vcntq_u8(c[j]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) t[i] = vpaddq_u8(c[2 * i], c[2 * i + 1]);
      }
    } while (weights != end);
    s[kRows - 1] = vpadalq_u8(s[kRows - 1], Tree(t));
  }
  if (words & 2) {
#pragma GCC unroll 2
    for (int p = 0; p < kRows; p += 2) {
      const int q = p + 1 < kRows ? p + 1 : p;
      Count(vcombine_u8(vld1_u8(r[p]), vld1_u8(r[q])), w, c);
      const uint8x16_t pairs = vpaddq_u8(Tree(c), Tree(c + 4));  // [channel][pixel p, q]
      s[p] = AddLow(s[p], pairs);
      if (q > p) s[q] = AddHigh(s[q], pairs);
    }
#pragma GCC unroll 4
    for (int p = 0; p < kRows; ++p) r[p] += 8;
  }
  if (words & 1) {
    if (words & 2) LoadStep(weights + kStepBytes, w);
    const auto word = [&r](int p) { return reinterpret_cast<const uint32_t*>(r[p < kRows ? p : 0]); };
    uint32x4_t x = vld1q_dup_u32(word(0));
    if (kRows > 1) x = vld1q_lane_u32(word(3), vld1q_lane_u32(word(2), vld1q_lane_u32(word(1), x, 1), 2), 3);
    Count(vreinterpretq_u8_u32(x), w, c);
    const uint8x16_t low = Tree(c), high = Tree(c + 4);  // [channel][pixel]
    const uint8x16_t even = vuzp1q_u8(low, high), odd = vuzp2q_u8(low, high);
    s[0] = AddLow(s[0], even);
    if constexpr (kRows > 1) {
      s[1] = AddLow(s[1], odd);
      s[2] = AddHigh(s[2], even);
      s[3] = AddHigh(s[3], odd);
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < kRows; ++p) sums[p] = s[p];
}

// Writes channels `channel` .. channel + 7 of kRows pixels; kWhole: all of them exist. `outs` and `corrections` begin at
// the first pixel.
template <OutputForm kForm, bool kClamped, bool kWhole, int kRows>
inline __attribute__((always_inline)) void Store(const BConv2DBlock& block, const uint16x8_t sums[kRows],
                                                 uint8_t* const* outs, const int32_t* const* corrections, int channel,
                                                 size_t offset) {
  constexpr int kValueBytes = kForm == OutputForm::float32 ? 4 : 1;
  int32x4_t x[kRows][2];
  uintptr_t corrected = 0;
#pragma GCC unroll 4
  for (int p = 0; p < kRows; ++p) {
    x[p][0] = vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(sums[p]), 1));
    x[p][1] = vreinterpretq_s32_u32(vshll_high_n_u16(sums[p], 1));
    corrected |= reinterpret_cast<uintptr_t>(corrections[p]);
  }
  if (__builtin_expect(corrected != 0, 0)) {
#pragma GCC unroll 4
    for (int p = 0; p < kRows; ++p) {
      if (corrections[p] == nullptr) continue;
      x[p][0] = vaddq_s32(x[p][0], vld1q_s32(corrections[p] + channel));
      x[p][1] = vaddq_s32(x[p][1], vld1q_s32(corrections[p] + channel + 4));
    }
  }
  if constexpr (kForm == OutputForm::bits) {
    const int32x4_t low = vld1q_s32(block.thresholds + channel), high = vld1q_s32(block.thresholds + channel + 4);
    const uint16x8_t places = {1, 2, 4, 8, 16, 32, 64, 128};
#pragma GCC unroll 4
    for (int p = 0; p < kRows; ++p) {
      const uint16x8_t above = vuzp1q_u16(vreinterpretq_u16_u32(vcgtq_s32(x[p][0], low)),
                                          vreinterpretq_u16_u32(vcgtq_s32(x[p][1], high)));
      const unsigned bits = vaddvq_u16(vandq_u16(above, places));
      outs[p][offset] = static_cast<uint8_t>(kWhole ? bits : bits & ((1u << (block.channels - channel)) - 1));
    }
    return;
  } else {
    float32x4_t multiplier[2], bias[2];
    for (int half = 0; half < 2; ++half) {
      multiplier[half] = vld1q_f32(block.multiplier + channel + 4 * half);
      bias[half] = vld1q_f32(block.bias + channel + 4 * half);
    }
    const int32x4_t clamp_min = vdupq_n_s32(block.clamp_min), clamp_max = vdupq_n_s32(block.clamp_max);
#pragma GCC unroll 4
    for (int p = 0; p < kRows; ++p) {
      float32x4_t y[2];
      for (int half = 0; half < 2; ++half) {
        if constexpr (kClamped) x[p][half] = vmaxq_s32(vminq_s32(x[p][half], clamp_max), clamp_min);
        // A multiplication and an addition, never FMA: an exact zero must stay one, or the next sign flips.
        y[half] = vaddq_f32(vmulq_f32(vcvtq_f32_s32(x[p][half]), multiplier[half]), bias[half]);
      }
      uint8_t last[kValueBytes * kChannels];
      uint8_t* const to = kWhole ? outs[p] + offset : last;
      if constexpr (kForm == OutputForm::float32) {
        vst1q_u8(to, vreinterpretq_u8_f32(y[0]));
        vst1q_u8(to + 16, vreinterpretq_u8_f32(y[1]));
      } else {
        // FCVTAS rounds half away from zero and saturates.
        const int16x8_t words = vcombine_s16(vqmovn_s32(vcvtaq_s32_f32(y[0])), vqmovn_s32(vcvtaq_s32_f32(y[1])));
        vst1_u8(to, vreinterpret_u8_s8(vqmovn_s16(words)));
      }
      if constexpr (!kWhole) {
        __builtin_memcpy(outs[p] + offset, last, size_t{kValueBytes} * (block.channels - channel));
      }
    }
  }
}

// All pixels of a block, channels `channel` .. channel + 7.
template <OutputForm kForm, bool kClamped, bool kWhole>
inline __attribute__((always_inline)) void RunChannels(const BConv2DBlock& block, const uint8_t* weights, int channel) {
  const uint32_t* rows = block.rows;
  uint8_t* const* outs = block.outs;
  const int32_t* const* corrections = block.corrections;
  const int words = block.words, at = block.first_channel + channel;
  const size_t offset = kForm == OutputForm::bits ? at / 8 : kForm == OutputForm::int8 ? at : size_t{4} * at;
  uint16x8_t sums[kTile];
  int left = block.pixels;
  for (; left >= kTile; left -= kTile, rows += size_t{kTile} * words, outs += kTile, corrections += kTile) {
    Multiply<kTile>(rows, weights, words, sums);
    Store<kForm, kClamped, kWhole, kTile>(block, sums, outs, corrections, channel, offset);
  }
  for (; left > 0; --left, rows += words, ++outs, ++corrections) {
    Multiply<1>(rows, weights, words, sums);
    Store<kForm, kClamped, kWhole, 1>(block, sums, outs, corrections, channel, offset);
  }
}

template <OutputForm kForm, bool kClamped>
void RunLast(const BConv2DBlock& block, const uint8_t* weights, int channel) {
  RunChannels<kForm, kClamped, false>(block, weights, channel);
}

template <OutputForm kForm, bool kClamped>
void RunForm(const BConv2DBlock& block) {
  const size_t block_bytes = BlockBytes(block.words);
  const uint8_t* weights = block.weights;
  int channel = 0;
  for (; channel + kChannels <= block.channels; channel += kChannels, weights += block_bytes) {
    RunChannels<kForm, kClamped, true>(block, weights, channel);
  }
  if (channel < block.channels) RunLast<kForm, kClamped>(block, weights, channel);
}

void Run(const BConv2DBlock& block) {
  const bool clamped = block.clamp_min != INT32_MIN || block.clamp_max != INT32_MAX;
  switch (block.form) {
    case OutputForm::bits:
      return RunForm<OutputForm::bits, false>(block);
    case OutputForm::int8:
      return clamped ? RunForm<OutputForm::int8, true>(block) : RunForm<OutputForm::int8, false>(block);
    case OutputForm::float32:
      return clamped ? RunForm<OutputForm::float32, true>(block) : RunForm<OutputForm::float32, false>(block);
  }
}

}  // namespace
}  // namespace edgebnn

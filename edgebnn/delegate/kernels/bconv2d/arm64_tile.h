// Tiles of 8 output channels x 8 pixels: EOR and CNT on 128 bits, then a tree of ADDP brings the eight channels' counts
// into one vector and UADALP adds them to 16-bit sums (64 EOR + 64 CNT + 56 ADDP + 8 UADALP a step). Half a vector at a
// row's end is shared by two pixels, a quarter by four. 29 vector registers are in use.

#include <arm_neon.h>

#include <algorithm>
#include <utility>

#include "kernels/bconv2d/bconv2d.h"

namespace edgebnn {
namespace {

#define EDGEBNN_INLINE inline __attribute__((always_inline))

constexpr int kChannels = 8;
constexpr int kStepBytes = 16 * kChannels;
constexpr int kTile = 8;
constexpr int kPixels = 32;  // 18 kB of rows at 3x3x512: they stay in the first cache
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

// One instruction each, volatile: the compiler allocates registers and keeps the order. In-order cores run the inner loop as
// it is written; compilers sort it for another core, or spill.
EDGEBNN_INLINE uint8x16_t Xor(uint8x16_t a, uint8x16_t b) {
  uint8x16_t result;
  asm volatile("eor %0.16b, %1.16b, %2.16b" : "=w"(result) : "w"(a), "w"(b));
  return result;
}

EDGEBNN_INLINE uint8x16_t CountBits(uint8x16_t a) {
  uint8x16_t result;
  asm volatile("cnt %0.16b, %1.16b" : "=w"(result) : "w"(a));
  return result;
}

EDGEBNN_INLINE uint8x16_t AddPairs(uint8x16_t a, uint8x16_t b) {
  uint8x16_t result;
  asm volatile("addp %0.16b, %1.16b, %2.16b" : "=w"(result) : "w"(a), "w"(b));
  return result;
}

EDGEBNN_INLINE uint16x8_t AccumulatePairs(uint16x8_t sum, uint8x16_t a) {
  asm volatile("uadalp %0.8h, %1.16b" : "+w"(sum) : "w"(a));
  return sum;
}

EDGEBNN_INLINE uint8x16_t Load(const uint8_t* base, size_t offset) {
  uint8x16_t result;
  asm volatile("ldr %q0, [%1, %2]" : "=w"(result) : "r"(base), "r"(offset));
  return result;
}

template <int kOffset>
EDGEBNN_INLINE uint8x16_t Load(const uint8_t* base) {
  uint8x16_t result;
  asm volatile("ldr %q0, [%1, %2]" : "=w"(result) : "r"(base), "n"(kOffset));
  return result;
}

EDGEBNN_INLINE uint16x8_t AddLow(uint16x8_t sum, uint8x16_t pairs) {
  return vaddq_u16(sum, vandq_u16(vreinterpretq_u16_u8(pairs), vdupq_n_u16(255)));
}

EDGEBNN_INLINE uint16x8_t AddHigh(uint16x8_t sum, uint8x16_t pairs) {
  return vsraq_n_u16(sum, vreinterpretq_u16_u8(pairs), 8);
}

// Popcounts of kRows (1, 4 or 8) rows against eight channels. The end of a vector's tree falls into the next vector's step: so
// six operations lie between any two that depend on each other, the latency of Cortex-A53.
template <int kRows>
struct Tile {
  static constexpr int kLast = kRows - 1, kLastPair = kRows == 1 ? 0 : kRows - 2;
  const uint8_t* rows[kRows];
  uint16x8_t sums[kRows];
  uint8x16_t w[kChannels];
  uint8x16_t c[kChannels];  // bits that differ, then their counts by bytes
  uint8x16_t t0, t1, t2;    // of the tree: channels 0 and 1, 2 and 3, 4 and 5

  EDGEBNN_INLINE void Begin(const uint8_t* first, size_t row_bytes, const uint8_t* weights) {
    asm volatile("" ::: "memory");  // the loads below read what was stored before
#pragma GCC unroll 8
    for (int p = 0; p < kRows; ++p) {
      rows[p] = p == 0 ? first : rows[p - 1] + row_bytes;
      sums[p] = vdupq_n_u16(0);
    }
    LoadWeights<0, 1, 2, 3, 4, 5, 6, 7>(weights);
    c[6] = c[7] = t0 = t1 = t2 = vdupq_n_u8(0);
  }

  template <int... kJ>
  EDGEBNN_INLINE void LoadWeights(const uint8_t* weights) {
    ((w[kJ] = Load<16 * kJ>(weights)), ...);
  }

  template <bool kLoad, int... kJ>
  EDGEBNN_INLINE void Differ(uint8x16_t x, const uint8_t* next_weights) {
    ((c[kJ] = Xor(x, w[kJ]), w[kJ] = kLoad ? Load<16 * kJ>(next_weights) : w[kJ]), ...);
  }

  template <int... kJ>
  EDGEBNN_INLINE void Count() {
    ((c[kJ] = CountBits(c[kJ])), ...);
  }

  // Adds counts [channel][two halves] to row kFirst, or the halves to kFirst and the row behind it.
  template <int kFirst, int kShared>
  EDGEBNN_INLINE void Finish(uint8x16_t counts) {
    if constexpr (kShared == 1) {
      sums[kFirst] = AccumulatePairs(sums[kFirst], counts);
    } else {
      sums[kFirst] = AddLow(sums[kFirst], counts);
      if constexpr (kRows > 1) sums[kFirst + 1] = AddHigh(sums[kFirst + 1], counts);
    }
  }

  // Counts x and finishes the vector before. Meanwhile loads what is asked for: the weights that follow; the next vector,
  // which it returns.
  template <int kFirstBefore, int kSharedBefore, bool kLoadWeights, bool kLoadRow = false>
  EDGEBNN_INLINE uint8x16_t Step(uint8x16_t x, const uint8_t* next_weights, const uint8_t* row = nullptr, size_t at = 0) {
    Differ<kLoadWeights, 0, 1>(x, next_weights);
    const uint8x16_t t3 = AddPairs(c[6], c[7]);
    Differ<kLoadWeights, 2>(x, next_weights);
    t0 = AddPairs(t0, t1);
    Differ<kLoadWeights, 3, 4, 5>(x, next_weights);
    t2 = AddPairs(t2, t3);
    Differ<kLoadWeights, 6, 7>(x, next_weights);
    if constexpr (kLoadRow) x = Load(row, at);
    Count<0, 1, 2>();
    const uint8x16_t before = AddPairs(t0, t2);
    Count<3, 4, 5>();
    t0 = AddPairs(c[0], c[1]);
    Count<6, 7>();
    t1 = AddPairs(c[2], c[3]);
    Finish<kFirstBefore, kSharedBefore>(before);
    t2 = AddPairs(c[4], c[5]);
    return x;
  }

  EDGEBNN_INLINE uint8x16_t Drain() const {
    return vpaddq_u8(vpaddq_u8(t0, t1), vpaddq_u8(t2, vpaddq_u8(c[6], c[7])));
  }

  // The step of row kP and, while it is counted, the load of the row behind it, or of the first row's next vector.
  template <int kP>
  EDGEBNN_INLINE uint8x16_t RowStep(uint8x16_t x, const uint8_t* next_weights, size_t at, size_t next) {
    constexpr bool last = kP == kLast;
    return Step<kP == 0 ? kLast : kP - 1, 1, last, true>(x, next_weights, rows[last ? 0 : kP + 1], last ? next : at);
  }

  // Steps of four words, `end` bytes of them and more than none. Returns the weights behind them.
  template <int... kP>
  EDGEBNN_INLINE const uint8_t* Fours(size_t end, const uint8_t* weights, std::integer_sequence<int, kP...>) {
    size_t at = 0;
    uint8x16_t x = Load<0>(rows[0]);
    do {
      weights += kStepBytes;
      const size_t next = std::min(at + 16, end - 16);
      ((x = RowStep<kP>(x, weights, at, next)), ...);
      at += 16;
    } while (at != end);
    return weights;
  }

  EDGEBNN_INLINE void Advance(size_t bytes) {
#pragma GCC unroll 8
    for (int p = 0; p < kRows; ++p) rows[p] += bytes;
  }

  // Two words of two rows in a vector.
  template <bool kLoadWeights>
  EDGEBNN_INLINE void Twos(const uint8_t* next_weights) {
    const auto pair = [this](int p) { return vcombine_u8(vld1_u8(rows[p]), vld1_u8(rows[p + 1])); };
    if constexpr (kRows == 1) {
      Step<0, 1, kLoadWeights>(vcombine_u8(vld1_u8(rows[0]), vdup_n_u8(0)), next_weights);
    } else {
      Step<kLast, 1, false>(pair(0), nullptr);
      if constexpr (kRows == 8) {
        Step<0, 2, false>(pair(2), nullptr);
        Step<2, 2, false>(pair(4), nullptr);
      }
      Step<kLastPair - 2, 2, kLoadWeights>(pair(kLastPair), next_weights);
    }
    Advance(8);
  }

  // A word of four rows in a vector.
  template <int kFirstBefore, int kSharedBefore>
  EDGEBNN_INLINE void Ones() {
    const auto word = [this](int p) { return reinterpret_cast<const uint32_t*>(rows[p]); };
    const auto quad = [word](int p) {
      const uint32x4_t x = vld1q_lane_u32(word(p + 1), vld1q_dup_u32(word(p)), 1);
      return vreinterpretq_u8_u32(vld1q_lane_u32(word(p + 3), vld1q_lane_u32(word(p + 2), x, 2), 3));
    };
    if constexpr (kRows == 1) {
      Step<kFirstBefore, kSharedBefore, false>(vreinterpretq_u8_u32(vld1q_dup_u32(word(0))), nullptr);
    } else {
      Step<kFirstBefore, kSharedBefore, false>(quad(0), nullptr);
    }
    FinishQuad<0>(vpaddq_u8(t0, t1), vpaddq_u8(t2, vpaddq_u8(c[6], c[7])));
    if constexpr (kRows == 8) {
      Differ<false, 0, 1, 2, 3, 4, 5, 6, 7>(quad(4), nullptr);  // a step with nothing before it
      Count<0, 1, 2, 3, 4, 5, 6, 7>();
      t0 = AddPairs(c[0], c[1]);
      t1 = AddPairs(c[2], c[3]);
      t2 = AddPairs(c[4], c[5]);
      FinishQuad<4>(vpaddq_u8(t0, t1), vpaddq_u8(t2, vpaddq_u8(c[6], c[7])));
    }
  }

  // Adds counts [channel][row] of channels 0 to 3 and 4 to 7.
  template <int kFirst>
  EDGEBNN_INLINE void FinishQuad(uint8x16_t low, uint8x16_t high) {
    const uint8x16_t even = vuzp1q_u8(low, high), odd = vuzp2q_u8(low, high);
    sums[kFirst] = AddLow(sums[kFirst], even);
    if constexpr (kRows > 1) {
      sums[kFirst + 1] = AddLow(sums[kFirst + 1], odd);
      sums[kFirst + 2] = AddHigh(sums[kFirst + 2], even);
      sums[kFirst + 3] = AddHigh(sums[kFirst + 3], odd);
    }
  }
};

// sums[p][j] = popcount of row p against channel j; rows [kRows][words], weights one channel block.
template <int kRows>
EDGEBNN_INLINE void Multiply(const uint8_t* rows, unsigned words, const uint8_t* weights, uint16x8_t sums[kRows]) {
  using Rows = Tile<kRows>;
  constexpr int kLast = Rows::kLast, kLastPair = Rows::kLastPair;
  Rows tile;
  tile.Begin(rows, size_t{4} * words, weights);
  const size_t fours = words / 4 * size_t{16};
  if (fours > 0) weights = tile.Fours(fours, weights, std::make_integer_sequence<int, kRows>());
  const unsigned left = words % 4;
  if (left == 0) {
    tile.template Finish<kLast, 1>(tile.Drain());
  } else {
    tile.Advance(fours);
    if (left == 1) {
      tile.template Ones<kLast, 1>();
    } else if (left == 2) {
      tile.template Twos<false>(nullptr);
      tile.template Finish<kLastPair, 2>(tile.Drain());
    } else {
      tile.template Twos<true>(weights + kStepBytes);
      tile.template Ones<kLastPair, 2>();
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < kRows; ++p) sums[p] = tile.sums[p];
}

// Writes eight channels from `channel` on of kRows pixels at outs[p] + offset. `corrections` is nullptr where no pixel of the
// block has any.
template <OutputForm kForm, bool kClamped, int kRows>
EDGEBNN_INLINE void Store(const BConv2DBlock& block, const uint16x8_t sums[kRows], uint8_t* const* outs, size_t offset,
                          const int32_t* const* corrections, int channel) {
  int32x4_t x[kRows][2];
#pragma GCC unroll 8
  for (int p = 0; p < kRows; ++p) {
    x[p][0] = vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(sums[p]), 1));
    x[p][1] = vreinterpretq_s32_u32(vshll_high_n_u16(sums[p], 1));
  }
  if (__builtin_expect(corrections != nullptr, 0)) {
#pragma GCC unroll 8
    for (int p = 0; p < kRows; ++p) {
      if (corrections[p] == nullptr) continue;
      x[p][0] = vaddq_s32(x[p][0], vld1q_s32(corrections[p] + channel));
      x[p][1] = vaddq_s32(x[p][1], vld1q_s32(corrections[p] + channel + 4));
    }
  }
  if constexpr (kForm == OutputForm::bits) {
    const int32x4_t low = vld1q_s32(block.thresholds + channel), high = vld1q_s32(block.thresholds + channel + 4);
    const uint16x8_t places = {1, 2, 4, 8, 16, 32, 64, 128};
#pragma GCC unroll 8
    for (int p = 0; p < kRows; ++p) {
      const uint16x8_t above = vuzp1q_u16(vreinterpretq_u16_u32(vcgtq_s32(x[p][0], low)),
                                          vreinterpretq_u16_u32(vcgtq_s32(x[p][1], high)));
      outs[p][offset] = static_cast<uint8_t>(vaddvq_u16(vandq_u16(above, places)));
    }
  } else {
    const float32x4_t multiplier[] = {vld1q_f32(block.multiplier + channel), vld1q_f32(block.multiplier + channel + 4)};
    const float32x4_t bias[] = {vld1q_f32(block.bias + channel), vld1q_f32(block.bias + channel + 4)};
    const int32x4_t clamp_min = vdupq_n_s32(block.clamp_min), clamp_max = vdupq_n_s32(block.clamp_max);
#pragma GCC unroll 8
    for (int p = 0; p < kRows; ++p) {
      float32x4_t y[2];
      for (int half = 0; half < 2; ++half) {
        if constexpr (kClamped) x[p][half] = vmaxq_s32(vminq_s32(x[p][half], clamp_max), clamp_min);
        // A multiplication and an addition, never FMA: an exact zero must stay one, or the next sign flips.
        y[half] = vaddq_f32(vmulq_f32(vcvtq_f32_s32(x[p][half]), multiplier[half]), bias[half]);
      }
      uint8_t* to = outs[p] + offset;
      asm("" : "+r"(to));  // one address, so that two stores become a pair
      if constexpr (kForm == OutputForm::float32) {
        vst1q_u8(to, vreinterpretq_u8_f32(y[0]));
        vst1q_u8(to + 16, vreinterpretq_u8_f32(y[1]));
      } else {
        // FCVTAS rounds half away from zero and saturates.
        const int16x8_t words = vcombine_s16(vqmovn_s32(vcvtaq_s32_f32(y[0])), vqmovn_s32(vcvtaq_s32_f32(y[1])));
        vst1_u8(to, vreinterpret_u8_s8(vqmovn_s16(words)));
      }
    }
  }
}

template <int kRows>
EDGEBNN_INLINE void StoreForm(const BConv2DBlock& block, bool clamped, const uint16x8_t sums[kRows], uint8_t* const* outs,
                              size_t offset, const int32_t* const* corrections, int channel) {
  switch (block.form) {
    case OutputForm::bits:
      return Store<OutputForm::bits, false, kRows>(block, sums, outs, offset, corrections, channel);
    case OutputForm::int8:
      return Store<OutputForm::int8, true, kRows>(block, sums, outs, offset, corrections, channel);
    case OutputForm::float32:
      if (clamped) return Store<OutputForm::float32, true, kRows>(block, sums, outs, offset, corrections, channel);
      return Store<OutputForm::float32, false, kRows>(block, sums, outs, offset, corrections, channel);
  }
}

// The last channels of a group, fewer than eight.
template <int kRows>
__attribute__((noinline)) void StoreLast(const BConv2DBlock& block, const uint16x8_t* sums, uint8_t* const* outs,
                                         size_t offset, const int32_t* const* corrections, int channel) {
  uint8_t values[kRows][4 * kChannels];
  uint8_t* to[kRows];
  for (int p = 0; p < kRows; ++p) to[p] = values[p];
  StoreForm<kRows>(block, true, sums, to, 0, corrections, channel);
  const int left = block.channels - channel;
  for (int p = 0; p < kRows; ++p) {
    if (block.form == OutputForm::bits) {
      outs[p][offset] = values[p][0] & ((1u << left) - 1);
    } else {
      __builtin_memcpy(outs[p] + offset, values[p], left * (block.form == OutputForm::float32 ? 4 : 1));
    }
  }
}

struct Epilogue {
  bool clamped, corrected;
};

// Eight channels of kRows pixels from `pixel` on.
template <int kRows>
EDGEBNN_INLINE void RunTile(const BConv2DBlock& block, Epilogue epilogue, const uint8_t* weights, int channel,
                            size_t offset, int pixel, const uint8_t* rows) {
  uint16x8_t sums[kRows];
  Multiply<kRows>(rows, block.words, weights, sums);
  uint8_t* const* const outs = block.outs + pixel;
  const int32_t* const* const corrections = epilogue.corrected ? block.corrections + pixel : nullptr;
  if (__builtin_expect(channel + kChannels <= block.channels, 1)) {
    StoreForm<kRows>(block, epilogue.clamped, sums, outs, offset, corrections, channel);
  } else {
    uint16x8_t copy[kRows];  // only this one needs an address
#pragma GCC unroll 8
    for (int p = 0; p < kRows; ++p) copy[p] = sums[p];
    StoreLast<kRows>(block, copy, outs, offset, corrections, channel);
  }
}

void Run(const BConv2DBlock& block) {
  Epilogue epilogue = {block.clamp_min != INT32_MIN || block.clamp_max != INT32_MAX, false};
  for (int p = 0; p < block.pixels; ++p) epilogue.corrected |= block.corrections[p] != nullptr;
  const size_t block_bytes = BlockBytes(block.words), row_bytes = size_t{4} * block.words;
  const uint8_t* weights = block.weights;
  for (int channel = 0; channel < block.channels; channel += kChannels, weights += block_bytes) {
    const int at = block.first_channel + channel;
    const size_t offset = block.form == OutputForm::bits ? at / 8 : block.form == OutputForm::int8 ? at : size_t{4} * at;
    const auto* row = reinterpret_cast<const uint8_t*>(block.rows);
    int pixel = 0;
    for (; pixel + kTile <= block.pixels; pixel += kTile, row += kTile * row_bytes) {
      RunTile<kTile>(block, epilogue, weights, channel, offset, pixel, row);
    }
    for (; pixel + kTile / 2 <= block.pixels; pixel += kTile / 2, row += kTile / 2 * row_bytes) {
      RunTile<kTile / 2>(block, epilogue, weights, channel, offset, pixel, row);
    }
    for (; pixel < block.pixels; ++pixel, row += row_bytes) {
      RunTile<1>(block, epilogue, weights, channel, offset, pixel, row);
    }
  }
}

}  // namespace
}  // namespace edgebnn

// Look-up tables instead of popcounts. A table for four activation bits has popcount(bits ^ w) for each of the 16 nibbles
// w; PSHUFB with one weight nibble per byte looks 32 output channels up at once. One byte counts for two pixels: the even
// one in its low nibble, the odd one in its high nibble, so a step is one shuffle for 2 x 32 x 4 products. A nibble holds
// three steps (3 * 4 <= 15), a byte sum 63 steps (63 * 4 <= 255), and then 16-bit sums take over.
// No inline function of the standard library here: the linker could keep this file's copy for machines without AVX2.

#include <immintrin.h>

#include "kernels/bconv2d/bconv2d.h"

namespace edgebnn {
namespace {

constexpr int kPixels = 32;
static_assert(kPixels <= kMostPixels);
constexpr int kWide = 64;     // output channels of a weight block; the last one may have kNarrow
constexpr int kNarrow = 32;
constexpr int kSteps = 63;    // nibbles until byte sums are flushed
constexpr int64_t kMaxRowBits = 65535 / 32 * 32;

struct PairTables {
  alignas(64) uint8_t count[256][16];
};

constexpr PairTables MakePairTables() {
  constexpr uint8_t ones[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};
  PairTables tables{};
  for (int pair = 0; pair < 256; ++pair) {
    for (int w = 0; w < 16; ++w) {
      tables.count[pair][w] = static_cast<uint8_t>(ones[(pair & 15) ^ w] | ones[(pair >> 4) ^ w] << 4);
    }
  }
  return tables;
}

constexpr PairTables kTables = MakePairTables();

size_t Padded(int channels) { return (size_t{1} * channels + kNarrow - 1) / kNarrow * kNarrow; }

// [channel block][nibble][channel]: one nibble per byte.
size_t WeightBytes(int channels, int words) { return Padded(channels) * words * 8; }

int BlockChannels(int channels, int first) { return Padded(channels) - first >= kWide ? kWide : kNarrow; }

void Pack(const uint32_t* filter, int channels, int words, uint8_t* weights) {
  const int nibbles = words * 8;
  for (int first = 0; first < channels; first += kWide) {
    const int width = BlockChannels(channels, first);
    uint8_t* block = weights + size_t{1} * first * nibbles;
    for (int k = 0; k < nibbles; ++k) {
      for (int j = 0; j < width; ++j) {
        const bool real = first + j < channels;
        const uint32_t word = real ? filter[size_t{1} * (first + j) * words + k / 8] : 0;
        block[size_t{1} * k * width + j] = word >> (4 * (k % 8)) & 15;
      }
    }
  }
}

size_t SumBytes() { return size_t{2} * kPixels * kWide; }

size_t ScratchBytes(int, int words) { return SumBytes() + kPixels / 2 * size_t{16} * words; }

// Offsets into kTables of the nibbles of two rows: pairs[k] = 16 * (even's nibble k | odd's nibble k << 4).
inline __m256i ExpandEight(__m128i even, __m128i odd) {
  const __m128i low = _mm_set1_epi8(15), high = _mm_set1_epi8(-16);
  // Bytes to nibbles: lane 2i has byte i's low nibble, lane 2i + 1 its high one; even's at bits 4..7, odd's at 0..3.
  const __m128i x = _mm_unpacklo_epi8(_mm_slli_epi16(_mm_and_si128(even, low), 4), _mm_and_si128(even, high));
  const __m128i y = _mm_unpacklo_epi8(_mm_and_si128(odd, low), _mm_srli_epi16(_mm_and_si128(odd, high), 4));
  return _mm256_or_si256(_mm256_cvtepu8_epi16(x), _mm256_slli_epi16(_mm256_cvtepu8_epi16(y), 8));
}

void Expand(const uint32_t* even, const uint32_t* odd, int words, uint16_t* pairs) {
  int w = 0;
  for (; w + 2 <= words; w += 2) {
    const __m256i eight = ExpandEight(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(even + w)),
                                      _mm_loadl_epi64(reinterpret_cast<const __m128i*>(odd + w)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(pairs + 8 * w), eight);
  }
  if (w < words) {
    const __m256i four = ExpandEight(_mm_cvtsi32_si128(static_cast<int>(even[w])),
                                     _mm_cvtsi32_si128(static_cast<int>(odd[w])));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(pairs + 8 * w), _mm256_castsi256_si128(four));
  }
}

// BConv2DExpansion::line.
void ExpandLine(const uint32_t* line, int width, int words, int first, int partner, int columns, uint8_t* out) {
  auto* pairs = reinterpret_cast<uint16_t*>(out);
  if (line == nullptr) {
    __builtin_memset(out, 0, size_t{16} * columns * words);
    return;
  }
  static const uint32_t kOutside[16] = {};
  for (int column = 0; column < columns;) {
    const int even = first + column, odd = even + partner;
    uint16_t* const to = pairs + size_t{8} * column * words;
    if (even >= 0 && odd < width) {  // from here on pixels follow each other
      const int run = width - odd < columns - column ? width - odd : columns - column;
      Expand(line + size_t{1} * even * words, line + size_t{1} * odd * words, run * words, to);
      column += run;
      continue;
    }
    const bool even_inside = even >= 0 && even < width, odd_inside = odd >= 0 && odd < width;
    for (int w = 0; w < words; w += 16) {
      const int part = words - w < 16 ? words - w : 16;
      Expand(even_inside ? line + size_t{1} * even * words + w : kOutside,
             odd_inside ? line + size_t{1} * odd * words + w : kOutside, part, to + 8 * w);
    }
    ++column;
  }
}

inline __m256i Table(uint16_t offset) {
  const auto* table = reinterpret_cast<const __m128i*>(&kTables.count[0][0] + offset);
  return _mm256_broadcastsi128_si256(_mm_load_si128(table));
}

inline __m256i LookUp(__m256i table, const uint8_t* weights) {
  return _mm256_shuffle_epi8(table, _mm256_load_si256(reinterpret_cast<const __m256i*>(weights)));
}

// Adds `steps` (at most kSteps) nibbles of kPairs pixel pairs and kVectors * 32 channels to sums[pixel][channel], 16 bits
// each. Within 32 channels the order is 0..7, 16..23, 8..15, 24..31 (that of UNPCKLBW and UNPCKHBW).
template <int kPairs, int kVectors>
inline __attribute__((always_inline)) void AddSteps(const uint16_t* const* pairs, const uint8_t* weights, int steps,
                                                    bool first, uint16_t* sums) {
  constexpr int kChannels = 32 * kVectors;
  const __m256i nibble = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
  __m256i even[kPairs][kVectors], odd[kPairs][kVectors];
  for (int p = 0; p < kPairs; ++p) {
    for (int v = 0; v < kVectors; ++v) even[p][v] = odd[p][v] = zero;
  }
  int k = 0;
  for (; k + 3 <= steps; k += 3, weights += 3 * kChannels) {
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) {
      const uint16_t* offsets = pairs[p] + k;
      const __m256i t0 = Table(offsets[0]), t1 = Table(offsets[1]), t2 = Table(offsets[2]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const __m256i sum = _mm256_add_epi8(
            _mm256_add_epi8(LookUp(t0, weights + 32 * v), LookUp(t1, weights + kChannels + 32 * v)),
            LookUp(t2, weights + 2 * kChannels + 32 * v));
        even[p][v] = _mm256_add_epi8(even[p][v], _mm256_and_si256(sum, nibble));
        odd[p][v] = _mm256_add_epi8(odd[p][v], _mm256_and_si256(_mm256_srli_epi16(sum, 4), nibble));
      }
    }
  }
  for (; k < steps; ++k, weights += kChannels) {
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) {
      const __m256i table = Table(pairs[p][k]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const __m256i sum = LookUp(table, weights + 32 * v);
        even[p][v] = _mm256_add_epi8(even[p][v], _mm256_and_si256(sum, nibble));
        odd[p][v] = _mm256_add_epi8(odd[p][v], _mm256_and_si256(_mm256_srli_epi16(sum, 4), nibble));
      }
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPairs; ++p) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const __m256i octets = half != 0 ? odd[p][v] : even[p][v];
        auto* sum = reinterpret_cast<__m256i*>(sums + (2 * p + half) * kChannels + 32 * v);
        __m256i low = _mm256_unpacklo_epi8(octets, zero), high = _mm256_unpackhi_epi8(octets, zero);
        if (!first) {
          low = _mm256_add_epi16(low, sum[0]);
          high = _mm256_add_epi16(high, sum[1]);
        }
        sum[0] = low;
        sum[1] = high;
      }
    }
  }
}

// sums[pixel][channel] of all pairs of a block for kVectors * 32 channels. A chunk of weights stays in L1 while the pairs
// pass. Pair p reads segment i at origins[p] + segments[i].
template <int kVectors>
void Multiply(const uint8_t* const* origins, int pairs, const size_t* segments, int segment_count, int segment_words,
              const uint8_t* weights, uint16_t* sums) {
  constexpr int kChannels = 32 * kVectors;
  const int nibbles = 8 * segment_words;
  bool first = true;
  for (int segment = 0; segment < segment_count; ++segment) {
    for (int k = 0; k < nibbles; k += kSteps) {
      const int steps = nibbles - k < kSteps ? nibbles - k : kSteps;
      const size_t offset = segments[segment] + sizeof(uint16_t) * k;
      const auto at = [&](int p) { return reinterpret_cast<const uint16_t*>(origins[p] + offset); };
      int p = 0;
      for (; p + 2 <= pairs; p += 2) {
        const uint16_t* const two[2] = {at(p), at(p + 1)};
        AddSteps<2, kVectors>(two, weights, steps, first, sums + 2 * p * kChannels);
      }
      if (p < pairs) {
        const uint16_t* const one[1] = {at(p)};
        AddSteps<1, kVectors>(one, weights, steps, first, sums + 2 * p * kChannels);
      }
      weights += steps * kChannels;
      first = false;
    }
  }
}

// x of channels 8 * q .. 8 * q + 7 of 32 sums.
inline __m256i Doubled(const uint16_t* sums, int q, const int32_t* correction) {
  constexpr int kOrder[4] = {0, 2, 1, 3};
  const __m128i eight = _mm_load_si128(reinterpret_cast<const __m128i*>(sums) + kOrder[q]);
  const __m256i x = _mm256_slli_epi32(_mm256_cvtepu16_epi32(eight), 1);
  if (correction == nullptr) return x;
  return _mm256_add_epi32(x, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(correction + 8 * q)));
}

inline __m256 Affine(const BConv2DBlock& block, __m256i x, int channel) {
  const __m256i clamped = _mm256_max_epi32(_mm256_min_epi32(x, _mm256_set1_epi32(block.clamp_max)),
                                           _mm256_set1_epi32(block.clamp_min));
  // A multiplication and an addition, never FMA: an exact zero must stay one, or the next sign flips.
  return _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(clamped), _mm256_loadu_ps(block.multiplier + channel)),
                       _mm256_loadu_ps(block.bias + channel));
}

inline __m256i RoundHalfAway(__m256 y) {
  const __m256 sign = _mm256_and_ps(y, _mm256_set1_ps(-0.0f));
  const __m256 bounded = _mm256_max_ps(_mm256_min_ps(y, _mm256_set1_ps(200.0f)), _mm256_set1_ps(-200.0f));
  return _mm256_cvttps_epi32(_mm256_add_ps(bounded, _mm256_or_ps(sign, _mm256_set1_ps(0x1.fffffep-2f))));
}

// Writes `count` (at most 32) channels of one pixel, from `channel` of the group on.
template <OutputForm kForm>
inline void Store(const BConv2DBlock& block, const uint16_t* sums, int pixel, int channel, int count) {
  const int32_t* correction = block.corrections[pixel];
  if (correction != nullptr) correction += channel;
  const int at = block.first_channel + channel;
  uint8_t* out = block.outs[pixel];
  if constexpr (kForm == OutputForm::bits) {
    uint32_t word = 0;
    for (int q = 0; q < 4; ++q) {
      const __m256i limit = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.thresholds + channel + 8 * q));
      const __m256i above = _mm256_cmpgt_epi32(Doubled(sums, q, correction), limit);
      word |= static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(above))) << (8 * q);
    }
    if (count < 32) word &= (uint32_t{1} << count) - 1;
    __builtin_memcpy(out + at / 32 * 4, &word, 4);
    return;
  }
  if constexpr (kForm == OutputForm::float32) {
    alignas(32) float last[32];
    float* floats = count == 32 ? reinterpret_cast<float*>(out) + at : last;
    for (int q = 0; q < 4; ++q) {
      _mm256_storeu_ps(floats + 8 * q, Affine(block, Doubled(sums, q, correction), channel + 8 * q));
    }
    if (floats == last) __builtin_memcpy(out + size_t{4} * at, last, size_t{4} * count);
  }
  if constexpr (kForm == OutputForm::int8) {
    alignas(32) int8_t octets[32];
    for (int q = 0; q < 4; ++q) {
      const __m256i rounded = RoundHalfAway(Affine(block, Doubled(sums, q, correction), channel + 8 * q));
      const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(octets + 8 * q), _mm_packs_epi16(words, words));
    }
    __builtin_memcpy(out + at, octets, count);
  }
}

// Writes the `width` channels from `first` on of all pixels.
template <OutputForm kForm>
void StoreAll(const BConv2DBlock& block, const uint16_t* sums, int first, int width) {
  const int channels = block.channels - first < width ? block.channels - first : width;
  for (int pixel = 0; pixel < block.pixels; ++pixel, sums += width) {
    if (block.outs[pixel] == nullptr) continue;
    for (int part = 0; part < channels; part += 32) {
      const int left = channels - part;
      Store<kForm>(block, sums + part, pixel, first + part, left < 32 ? left : 32);
    }
  }
}

void Run(const BConv2DBlock& block) {
  auto* sums = reinterpret_cast<uint16_t*>(block.scratch);
  const int pairs = (block.pixels + 1) / 2;
  const uint8_t* row_origins[kPixels / 2];
  const size_t whole_row[1] = {0};
  BConv2DBlock expanded = block;
  if (block.rows != nullptr) {
    const size_t row_bytes = size_t{16} * block.words;
    uint8_t* rows = block.scratch + SumBytes();
    for (int p = 0; p < pairs; ++p, rows += row_bytes) {
      const uint32_t* even = block.rows + size_t{2} * p * block.words;
      const uint32_t* odd = 2 * p + 1 < block.pixels ? even + block.words : even;
      Expand(even, odd, block.words, reinterpret_cast<uint16_t*>(rows));
      row_origins[p] = rows;
    }
    expanded.origins = row_origins;
    expanded.segments = whole_row;
    expanded.segment_count = 1;
    expanded.segment_words = block.words;
  }
  const auto store = block.form == OutputForm::float32 ? StoreAll<OutputForm::float32>
                     : block.form == OutputForm::int8  ? StoreAll<OutputForm::int8>
                                                       : StoreAll<OutputForm::bits>;
  for (int first = 0; first < block.channels; first += kWide) {
    const int width = BlockChannels(block.channels, first);
    const uint8_t* weights = block.weights + size_t{1} * first * block.words * 8;
    const auto multiply = width == kWide ? Multiply<2> : Multiply<1>;
    multiply(expanded.origins, pairs, expanded.segments, expanded.segment_count, expanded.segment_words, weights, sums);
    store(block, sums, first, width);
  }
}

constexpr BConv2DExpansion kExpansion = {2, 16, ExpandLine};

}  // namespace

extern const BConv2DVariant kBConv2DAvx2 = {
    "x86_avx2", Feature::avx2, kPixels, 2, kMaxRowBits, 32, WeightBytes, Pack, ScratchBytes, Run, &kExpansion};

}  // namespace edgebnn

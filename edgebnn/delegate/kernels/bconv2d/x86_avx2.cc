// Look-up tables instead of popcounts. A table for four activation bits has popcount(bits ^ w) for each of the 16 nibbles
// w; PSHUFB with one weight nibble per byte looks 32 output channels up at once. One byte counts for two pixels: the even
// one in its low nibble, the odd one in its high nibble, so a step is one shuffle for 2 x 32 x 4 products. A nibble holds
// three steps (3 * 4 <= 15); then their sum s goes, unmasked, into two vectors of bytes, modulo 256: all of s, and s >> 4 in
// 16-bit lanes. Both pixels' counts can be had from these for 63 steps (63 * 4 <= 255), when 16-bit sums take over.
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

// [channel block][nibble][channel]: one nibble per byte. Of 32 channels, channel i and 16 + i are neighbours.
size_t WeightBytes(int channels, int words) { return Padded(channels) * words * 8; }

int BlockChannels(int channels, int first) { return Padded(channels) - first >= kWide ? kWide : kNarrow; }

void Pack(const uint32_t* filter, int channels, int words, uint8_t* weights) {
  const int nibbles = words * 8;
  for (int first = 0; first < channels; first += kWide) {
    const int width = BlockChannels(channels, first);
    uint8_t* block = weights + size_t{1} * first * nibbles;
    for (int k = 0; k < nibbles; ++k) {
      for (int j = 0; j < width; ++j) {
        const int channel = first + j / 32 * 32 + j % 2 * 16 + j % 32 / 2;
        const uint32_t word = channel < channels ? filter[size_t{1} * channel * words + k / 8] : 0;
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

// Adds `steps` (at most kSteps) nibbles of kPairs pixel pairs and kVectors * 32 channels to sums[pixel][channel].
template <int kPairs, int kVectors>
inline __attribute__((always_inline)) void AddSteps(const uint16_t* const* pairs, const uint8_t* weights, int steps,
                                                    bool first, uint16_t* sums) {
  constexpr int kChannels = 32 * kVectors;
  __m256i all[kPairs][kVectors], shifted[kPairs][kVectors];  // sums of s and of s >> 4
#pragma GCC unroll 4
  for (int p = 0; p < kPairs; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) all[p][v] = shifted[p][v] = _mm256_setzero_si256();
  }
  const auto add = [&](int p, int v, __m256i s) __attribute__((always_inline)) {
    all[p][v] = _mm256_add_epi8(all[p][v], s);
    shifted[p][v] = _mm256_add_epi8(shifted[p][v], _mm256_srli_epi16(s, 4));
  };
  int k = 0;
  for (; k + 3 <= steps; k += 3, weights += 3 * kChannels) {
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) {
      const uint16_t* offsets = pairs[p] + k;
      const __m256i t0 = Table(offsets[0]), t1 = Table(offsets[1]), t2 = Table(offsets[2]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        add(p, v, _mm256_add_epi8(_mm256_add_epi8(LookUp(t0, weights + 32 * v), LookUp(t1, weights + kChannels + 32 * v)),
                                  LookUp(t2, weights + 2 * kChannels + 32 * v)));
      }
    }
  }
  for (; k < steps; ++k, weights += kChannels) {
#pragma GCC unroll 4
    for (int p = 0; p < kPairs; ++p) {
      const __m256i table = Table(pairs[p][k]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) add(p, v, LookUp(table, weights + 32 * v));
    }
  }
  // In each 16-bit lane, channel i below and 16 + i above, with counts even and odd of the two pixels, modulo 256:
  // all = even + 16 odd, and shifted = odd above, odd + 16 (even above) below.
  const __m256i low = _mm256_set1_epi16(255);
#pragma GCC unroll 4
  for (int p = 0; p < kPairs; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m256i a = all[p][v], b = shifted[p][v];
      const auto less_sixteen = [&](__m256i x, __m256i times) {
        return _mm256_and_si256(_mm256_sub_epi16(x, _mm256_slli_epi16(times, 4)), low);
      };
      const __m256i odd_above = _mm256_srli_epi16(b, 8);
      const __m256i even_above = less_sixteen(_mm256_srli_epi16(a, 8), odd_above);
      const __m256i odd_below = less_sixteen(b, even_above);
      const __m256i even_below = less_sixteen(a, odd_below);
      auto* const even = reinterpret_cast<__m256i*>(sums + 2 * p * kChannels + 32 * v);
      auto* const odd = reinterpret_cast<__m256i*>(sums + (2 * p + 1) * kChannels + 32 * v);
      even[0] = first ? even_below : _mm256_add_epi16(even[0], even_below);
      even[1] = first ? even_above : _mm256_add_epi16(even[1], even_above);
      odd[0] = first ? odd_below : _mm256_add_epi16(odd[0], odd_below);
      odd[1] = first ? odd_above : _mm256_add_epi16(odd[1], odd_above);
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

inline __m256i RoundHalfAway(__m256 y) {
  const __m256 sign = _mm256_and_ps(y, _mm256_set1_ps(-0.0f));
  const __m256 bounded = _mm256_max_ps(_mm256_min_ps(y, _mm256_set1_ps(200.0f)), _mm256_set1_ps(-200.0f));
  return _mm256_cvttps_epi32(_mm256_add_ps(bounded, _mm256_or_ps(sign, _mm256_set1_ps(0x1.fffffep-2f))));
}

inline __m256i LoadInts(const int32_t* in) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in)); }

// Writes `count` (at most 32) channels from `channel` of the group on, of all pixels; sums [pixel][stride].
template <OutputForm kForm>
inline void StorePart(const BConv2DBlock& block, const uint16_t* sums, size_t stride, int channel, int count) {
  constexpr bool kBits = kForm == OutputForm::bits;
  __m256 multiplier[4], bias[4];
  __m256i threshold[4];
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    if constexpr (kBits) {
      threshold[q] = LoadInts(block.thresholds + channel + 8 * q);
    } else {
      multiplier[q] = _mm256_loadu_ps(block.multiplier + channel + 8 * q);
      bias[q] = _mm256_loadu_ps(block.bias + channel + 8 * q);
    }
  }
  // x is between 0 and twice the bits of a row.
  const bool clamped = !kBits && (block.clamp_min > 0 || block.clamp_max < int64_t{64} * block.words);
  const __m256i low = _mm256_set1_epi32(block.clamp_min), high = _mm256_set1_epi32(block.clamp_max);
  const size_t at = block.first_channel + channel;
  const size_t offset = kBits ? at / 32 * 4 : kForm == OutputForm::float32 ? 4 * at : at;
  const uint32_t real = ~uint32_t{0} >> (32 - count);
  const int pixels = block.pixels;
  const int32_t* const* const corrections = block.corrections;
  uint8_t* const* const outs = block.outs;
  for (int pixel = 0; pixel < pixels; ++pixel, sums += stride) {
    if (outs[pixel] == nullptr) continue;
    uint8_t* const out = outs[pixel] + offset;
    const int32_t* const correction = corrections[pixel];
    __m256i x[4];
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      const __m256i sum = _mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(sums) + q));
      x[q] = _mm256_add_epi32(sum, sum);
      if (correction != nullptr) x[q] = _mm256_add_epi32(x[q], LoadInts(correction + channel + 8 * q));
    }
    if constexpr (kBits) {
      uint32_t word = 0;
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        const __m256i above = _mm256_cmpgt_epi32(x[q], threshold[q]);
        word |= static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(above))) << (8 * q);
      }
      word &= real;
      __builtin_memcpy(out, &word, 4);
      continue;
    }
    __m256 y[4];
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      if (clamped) x[q] = _mm256_max_epi32(_mm256_min_epi32(x[q], high), low);
      // A multiplication and an addition, never FMA: an exact zero must stay one, or the next sign flips.
      y[q] = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(x[q]), multiplier[q]), bias[q]);
    }
    if constexpr (kForm == OutputForm::float32) {
      alignas(32) float last[32];
      float* const floats = count == 32 ? reinterpret_cast<float*>(out) : last;
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) _mm256_storeu_ps(floats + 8 * q, y[q]);
      if (floats == last) __builtin_memcpy(out, last, size_t{4} * count);
    } else {
      // Packing interleaves the halves of its operands: the order is 0, 2, 4, 6, 1, 3, 5, 7 groups of four.
      const __m256i front = _mm256_packs_epi32(RoundHalfAway(y[0]), RoundHalfAway(y[1]));
      const __m256i back = _mm256_packs_epi32(RoundHalfAway(y[2]), RoundHalfAway(y[3]));
      const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
      const __m256i octets = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(front, back), order);
      if (count == 32) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), octets);
      } else {
        alignas(32) int8_t last[32];
        _mm256_store_si256(reinterpret_cast<__m256i*>(last), octets);
        __builtin_memcpy(out, last, count);
      }
    }
  }
}

// Writes the `width` channels from `first` on of all pixels.
template <OutputForm kForm>
void StoreAll(const BConv2DBlock& block, const uint16_t* sums, int first, int width) {
  const int channels = block.channels - first < width ? block.channels - first : width;
  for (int part = 0; part < channels; part += 32) {
    const int left = channels - part;
    StorePart<kForm>(block, sums + part, width, first + part, left < 32 ? left : 32);
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

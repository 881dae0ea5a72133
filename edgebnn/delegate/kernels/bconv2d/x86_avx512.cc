// For each output pixel and 16 output channels: broadcast 32 input bits, XOR with the channels' weights, VPOPCNTD, add.
// A tile of 4 pixels x 64 channels keeps its sums in registers, so that these three instructions per 512 products are all
// that counts: Zen 5 runs four of them a cycle, 683 products. Look-ups by VPERMB in 64 lanes, pairs of pixels as in
// x86_avx2.cc, need 2.2, but load more: 570 to 700 products were measured against 650 to 680, before any expansion.
// Carry-save adders need 2.5, but VPTERNLOG shares two of the four ports with VPOPCNTD: no gain.
// Input bits are read as they are: in place where nothing pads them, else from a padded copy.
// No inline function of the standard library here: the linker could keep this file's copy for machines without AVX-512.

#include <immintrin.h>

#include "kernels/bconv2d/bconv2d.h"

namespace edgebnn {
namespace {

constexpr int kPixels = 64;
static_assert(kPixels <= kMostPixels);
constexpr int kLanes = 16;       // channels of a vector
constexpr int kMostVectors = 4;  // of a weight block; the last one may have fewer
constexpr int kWide = kLanes * kMostVectors;
constexpr int kTile = 4;         // pixels that share each load of weights
constexpr int64_t kMaxRowBits = 1 << 29;

size_t Padded(int channels) { return (size_t{1} * channels + kLanes - 1) / kLanes * kLanes; }

int BlockVectors(int channels, int first) {
  const int vectors = static_cast<int>(Padded(channels) - first) / kLanes;
  return vectors < kMostVectors ? vectors : kMostVectors;
}

// [channel block][word][channel].
size_t WeightBytes(int channels, int words) { return Padded(channels) * words * 4; }

void Pack(const uint32_t* filter, int channels, int words, uint8_t* weights) {
  auto* to = reinterpret_cast<uint32_t*>(weights);
  for (int first = 0; first < channels; first += kWide) {
    const int width = BlockVectors(channels, first) * kLanes;
    for (int w = 0; w < words; ++w) {
      for (int c = first; c < first + width; ++c) *to++ = c < channels ? filter[size_t{1} * c * words + w] : 0;
    }
  }
}

size_t ScratchBytes(int, int) { return 0; }

// BConv2DExpansion::line: a copy with its padding.
void CopyLine(const uint32_t* line, int width, int words, int first, int, int columns, uint8_t* out) {
  const size_t pixel = size_t{4} * words;
  const int before = line == nullptr || first <= -columns ? columns : first < 0 ? -first : 0;
  const int left = width - (first + before), most = columns - before;
  const int inside = left < 0 ? 0 : left < most ? left : most;
  __builtin_memset(out, 0, before * pixel);
  if (inside > 0) __builtin_memcpy(out + before * pixel, line + size_t{1} * (first + before) * words, inside * pixel);
  __builtin_memset(out + (before + inside) * pixel, 0, (most - inside) * pixel);
}

inline __mmask16 Lanes(int count) { return static_cast<__mmask16>(count < kLanes ? (1 << count) - 1 : 0xffff); }

inline __m512i Load(const int32_t* in) { return _mm512_loadu_si512(in); }

inline __m512 Affine(__m512i x, __m512 multiplier, __m512 bias) {
  // A multiplication and an addition, never FMA: an exact zero must stay one, or the next sign flips.
  return _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(x), multiplier), bias);
}

inline __m128i RoundedOctets(__m512 y) {  // half away from zero, saturated
  const __m512i sign = _mm512_and_si512(_mm512_castps_si512(y), _mm512_set1_epi32(INT32_MIN));
  const __m512 bounded = _mm512_max_ps(_mm512_min_ps(y, _mm512_set1_ps(200.0f)), _mm512_set1_ps(-200.0f));
  const __m512i half = _mm512_or_si512(sign, _mm512_castps_si512(_mm512_set1_ps(0x1.fffffep-2f)));
  return _mm512_cvtsepi32_epi8(_mm512_cvttps_epi32(_mm512_add_ps(bounded, _mm512_castsi512_ps(half))));
}

// kVectors * 16 channels, from `first` of the group on, of kCount pixels.
template <OutputForm kForm, int kVectors, int kCount>
void Tile(const BConv2DBlock& block, const uint8_t* const* origins, int pixel, int first, const uint32_t* weights) {
  __m512i x[kCount][kVectors];
#pragma GCC unroll 4
  for (int p = 0; p < kCount; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) x[p][v] = _mm512_setzero_si512();
  }
  const int words = block.segment_words;
  for (int segment = 0; segment < block.segment_count; ++segment) {
    const uint32_t* bits[kCount];
#pragma GCC unroll 4
    for (int p = 0; p < kCount; ++p) {
      bits[p] = reinterpret_cast<const uint32_t*>(origins[pixel + p] + block.segments[segment]);
    }
    for (int w = 0; w < words; ++w, weights += kVectors * kLanes) {
      __m512i word[kCount];
#pragma GCC unroll 4
      for (int p = 0; p < kCount; ++p) word[p] = _mm512_set1_epi32(static_cast<int>(bits[p][w]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const __m512i weight = _mm512_load_si512(weights + v * kLanes);
#pragma GCC unroll 4
        for (int p = 0; p < kCount; ++p) {
          x[p][v] = _mm512_add_epi32(x[p][v], _mm512_popcnt_epi32(_mm512_xor_si512(word[p], weight)));
        }
      }
    }
  }
  const int at = block.first_channel + first, count = block.channels - first;
  const bool whole = count >= kVectors * kLanes;
  uint8_t* outs[kCount];
#pragma GCC unroll 4
  for (int p = 0; p < kCount; ++p) {
    outs[p] = block.outs[pixel + p];
    const int32_t* const correction = block.corrections[pixel + p];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) x[p][v] = _mm512_slli_epi32(x[p][v], 1);
    if (correction == nullptr) continue;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) x[p][v] = _mm512_add_epi32(x[p][v], Load(correction + first + v * kLanes));
  }

  if constexpr (kForm == OutputForm::bits) {
    uint64_t bits[kCount] = {};
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512i threshold = Load(block.thresholds + first + v * kLanes);
#pragma GCC unroll 4
      for (int p = 0; p < kCount; ++p) {
        bits[p] |= static_cast<uint64_t>(_mm512_cmpgt_epi32_mask(x[p][v], threshold)) << (v * kLanes);
      }
    }
    const uint64_t real = ~uint64_t{0} >> (whole ? 0 : 64 - count);
#pragma GCC unroll 4
    for (int p = 0; p < kCount; ++p) {
      bits[p] &= real;
      __builtin_memcpy(outs[p] + at / 32 * 4, &bits[p], (kVectors + 1) / 2 * 4);
    }
    return;
  }
  // x is between 0 and twice the bits of a row.
  if (block.clamp_min > 0 || block.clamp_max < int64_t{64} * block.words) {
    const __m512i low = _mm512_set1_epi32(block.clamp_min), high = _mm512_set1_epi32(block.clamp_max);
#pragma GCC unroll 4
    for (int p = 0; p < kCount; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) x[p][v] = _mm512_max_epi32(_mm512_min_epi32(x[p][v], high), low);
    }
  }
  const float *const multipliers = block.multiplier + first, *const biases = block.bias + first;
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const __m512 multiplier = _mm512_loadu_ps(multipliers + v * kLanes), bias = _mm512_loadu_ps(biases + v * kLanes);
    const bool all = v + 1 < kVectors || whole;
    const __mmask16 lanes = Lanes(count - v * kLanes);
#pragma GCC unroll 4
    for (int p = 0; p < kCount; ++p) {
      const __m512 y = Affine(x[p][v], multiplier, bias);
      uint8_t* const out = outs[p] + (at + v * kLanes) * (kForm == OutputForm::float32 ? sizeof(float) : 1);
      if constexpr (kForm == OutputForm::float32) {
        if (all) {
          _mm512_storeu_ps(out, y);
        } else {
          _mm512_mask_storeu_ps(out, lanes, y);
        }
      } else if (all) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), RoundedOctets(y));
      } else {
        _mm_mask_storeu_epi8(out, lanes, RoundedOctets(y));
      }
    }
  }
}

template <OutputForm kForm, int kVectors>
void Tiles(const BConv2DBlock& block, const uint8_t* const* origins, int first, const uint32_t* weights) {
  int pixel = 0;
  for (; pixel + kTile <= block.pixels; pixel += kTile) Tile<kForm, kVectors, kTile>(block, origins, pixel, first, weights);
  for (; pixel < block.pixels; ++pixel) Tile<kForm, kVectors, 1>(block, origins, pixel, first, weights);
}

// All channels of a block whose input is at origins.
template <OutputForm kForm>
void RunForm(const BConv2DBlock& block) {
  constexpr decltype(&Tiles<kForm, 1>) kTiles[kMostVectors] = {Tiles<kForm, 1>, Tiles<kForm, 2>, Tiles<kForm, 3>,
                                                               Tiles<kForm, 4>};
  const auto* weights = reinterpret_cast<const uint32_t*>(block.weights);
  for (int first = 0; first < block.channels; first += kWide) {
    kTiles[BlockVectors(block.channels, first) - 1](block, block.origins, first, weights + size_t{1} * first * block.words);
  }
}

void Run(const BConv2DBlock& given) {
  BConv2DBlock block = given;
  const uint8_t* row_origins[kPixels];
  const size_t whole_row[1] = {0};
  if (block.rows != nullptr) {
    for (int p = 0; p < block.pixels; ++p) {
      row_origins[p] = reinterpret_cast<const uint8_t*>(block.rows + size_t{1} * p * block.words);
    }
    block.origins = row_origins;
    block.segments = whole_row;
    block.segment_count = 1;
    block.segment_words = block.words;
  }
  const auto run = block.form == OutputForm::float32 ? RunForm<OutputForm::float32>
                   : block.form == OutputForm::int8  ? RunForm<OutputForm::int8>
                                                     : RunForm<OutputForm::bits>;
  run(block);
}

constexpr BConv2DExpansion kCopy = {1, 4, CopyLine};

}  // namespace

extern const BConv2DVariant kBConv2DAvx512 = {
    "x86_avx512", Feature::avx512, kPixels, 1, kMaxRowBits, 32, WeightBytes, Pack, ScratchBytes, Run, &kCopy};

}  // namespace edgebnn

#include <immintrin.h>

#include "kernels/quantize/quantize.h"
#include "kernels/quantize/rows.h"

namespace edgebnn {
namespace {

inline __m256i Load(const void* in) { return _mm256_loadu_si256(static_cast<const __m256i*>(in)); }

void Float32(const float* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [](const float* x, int count) {
    if (count < 32) return PackSlowly(x, count, [](float v) { return v < 0; });
    uint32_t word = 0;
    for (int q = 0; q < 4; ++q) {
      const __m256 negative = _mm256_cmp_ps(_mm256_loadu_ps(x + 8 * q), _mm256_setzero_ps(), _CMP_LT_OQ);
      word |= static_cast<uint32_t>(_mm256_movemask_ps(negative)) << (8 * q);
    }
    return word;
  });
}

void Int8(const int8_t* in, int32_t zero_point, size_t rows, int channels, uint32_t* out) {
  // A zero point beyond int8 makes the comparison constant; -128 and "above 127" stand for both.
  const bool all = zero_point > 127;
  const __m256i limit = _mm256_set1_epi8(static_cast<char>(zero_point < -128 ? -128 : zero_point));
  PackRows(in, rows, channels, out, [=](const int8_t* x, int count) {
    if (count < 32) return PackSlowly(x, count, [=](int8_t v) { return v < zero_point; });
    if (all) return ~uint32_t{0};
    return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpgt_epi8(limit, Load(x))));
  });
}

void Boolean(const uint8_t* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [](const uint8_t* x, int count) {
    if (count < 32) return PackSlowly(x, count, [](uint8_t v) { return v == 0; });
    return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(Load(x), _mm256_setzero_si256())));
  });
}

}  // namespace

extern const QuantizeVariant kQuantizeAvx2 = {"x86_avx2", Feature::avx2, Float32, Int8, Boolean};

}  // namespace edgebnn

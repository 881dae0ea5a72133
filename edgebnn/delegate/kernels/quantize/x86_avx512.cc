#include <immintrin.h>

#include "kernels/quantize/quantize.h"
#include "kernels/quantize/rows.h"

namespace edgebnn {
namespace {

// The lanes of `count` values, 1 to 32; masked loads touch nothing else.
inline __mmask32 Lanes(int count) { return ~__mmask32{0} >> (32 - count); }

inline __m256i Load(__mmask32 lanes, const void* in) { return _mm256_maskz_loadu_epi8(lanes, in); }

inline uint32_t Negative(__mmask16 lanes, const float* x) {
  return _mm512_mask_cmp_ps_mask(lanes, _mm512_maskz_loadu_ps(lanes, x), _mm512_setzero_ps(), _CMP_LT_OQ);
}

void Float32(const float* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [](const float* x, int count) {
    if (count == 32) return Negative(0xffff, x) | Negative(0xffff, x + 16) << 16;
    const __mmask32 lanes = Lanes(count);
    return Negative(static_cast<__mmask16>(lanes), x) | Negative(static_cast<__mmask16>(lanes >> 16), x + 16) << 16;
  });
}

void Int8(const int8_t* in, int32_t zero_point, size_t rows, int channels, uint32_t* out) {
  // A zero point beyond int8 makes the comparison constant; -128 and "above 127" stand for both.
  const bool all = zero_point > 127;
  const __m256i limit = _mm256_set1_epi8(static_cast<char>(zero_point < -128 ? -128 : zero_point));
  PackRows(in, rows, channels, out, [=](const int8_t* x, int count) -> uint32_t {
    const __mmask32 lanes = Lanes(count);
    return all ? lanes : _mm256_mask_cmplt_epi8_mask(lanes, Load(lanes, x), limit);
  });
}

void Boolean(const uint8_t* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [](const uint8_t* x, int count) -> uint32_t {
    const __mmask32 lanes = Lanes(count);
    return _mm256_mask_testn_epi8_mask(lanes, Load(lanes, x), _mm256_set1_epi8(-1));
  });
}

}  // namespace

extern const QuantizeVariant kQuantizeAvx512 = {"x86_avx512", Feature::avx512, Float32, Int8, Boolean};

}  // namespace edgebnn

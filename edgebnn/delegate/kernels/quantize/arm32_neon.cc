#include <arm_neon.h>

#include "kernels/quantize/quantize.h"
#include "kernels/quantize/rows.h"

namespace edgebnn {
namespace {

// 32 bytes of 0 or 255 to 32 bits.
inline uint32_t Gather(uint8x16_t low, uint8x16_t high) {
  static const uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vld1q_u8(kBits);
  low = vandq_u8(low, bits);
  high = vandq_u8(high, bits);
  const uint8x8_t twos_low = vpadd_u8(vget_low_u8(low), vget_high_u8(low));
  const uint8x8_t twos_high = vpadd_u8(vget_low_u8(high), vget_high_u8(high));
  const uint8x8_t fours = vpadd_u8(twos_low, twos_high);
  return vget_lane_u32(vreinterpret_u32_u8(vpadd_u8(fours, fours)), 0);
}

// Compared as integers: as floats, 32-bit NEON takes denormal numbers for zero. Negative ones lie above -0.0 (0x80000000)
// and not above -infinity (0xff800000).
inline uint32x4_t Negative(const float* x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x));
  return vcltq_u32(vsubq_u32(bits, vdupq_n_u32(0x80000001u)), vdupq_n_u32(0x7f800000u));
}

inline uint32_t Pack32(const float* x) {
  // vsliq(low, high, n): the lowest n bits of low, above them high. Lane i gets bits 0, 4 .. 28 from x[i], x[4 + i] ...
  uint32x4_t all = Negative(x + 28);
  for (int i = 6; i >= 0; --i) all = vsliq_n_u32(Negative(x + 4 * i), all, 4);
  static const uint32_t kPlaces[4] = {0x11111111, 0x22222222, 0x44444444, 0x88888888};
  all = vandq_u32(all, vld1q_u32(kPlaces));
  const uint32x2_t halves = vorr_u32(vget_low_u32(all), vget_high_u32(all));
  return vget_lane_u32(vpadd_u32(halves, halves), 0);
}

void Float32(const float* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [](const float* x, int count) {
    return count < 32 ? PackSlowly(x, count, [](float v) { return v < 0; }) : Pack32(x);
  });
}

void Int8(const int8_t* in, int32_t zero_point, size_t rows, int channels, uint32_t* out) {
  // A zero point beyond int8 makes the comparison constant; -128 and "above 127" stand for both.
  const bool all = zero_point > 127;
  const int8x16_t limit = vdupq_n_s8(static_cast<int8_t>(zero_point < -128 ? -128 : zero_point));
  PackRows(in, rows, channels, out, [=](const int8_t* x, int count) {
    if (count < 32) return PackSlowly(x, count, [=](int8_t v) { return v < zero_point; });
    if (all) return ~uint32_t{0};
    return Gather(vcltq_s8(vld1q_s8(x), limit), vcltq_s8(vld1q_s8(x + 16), limit));
  });
}

void Boolean(const uint8_t* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [](const uint8_t* x, int count) {
    if (count < 32) return PackSlowly(x, count, [](uint8_t v) { return v == 0; });
    const uint8x16_t zero = vdupq_n_u8(0);
    return Gather(vceqq_u8(vld1q_u8(x), zero), vceqq_u8(vld1q_u8(x + 16), zero));
  });
}

}  // namespace

extern const QuantizeVariant kQuantizeNeon = {"arm32_neon", Feature::neon, Float32, Int8, Boolean};

}  // namespace edgebnn

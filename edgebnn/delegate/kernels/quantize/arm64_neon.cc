#include <arm_neon.h>

#include "kernels/quantize/quantize.h"
#include "kernels/quantize/rows.h"

namespace edgebnn {
namespace {

// 32 bytes of 0 or 255 to 32 bits.
inline uint32_t Gather(uint8x16_t low, uint8x16_t high) {
  static const uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vld1q_u8(kBits);
  const uint8x16_t sums = vpaddq_u8(vandq_u8(low, bits), vandq_u8(high, bits));
  const uint8x16_t fours = vpaddq_u8(sums, sums);
  return vgetq_lane_u32(vreinterpretq_u32_u8(vpaddq_u8(fours, fours)), 0);
}

inline uint8x16_t Negative16(const float* x) {
  const uint16x8_t low = vcombine_u16(vmovn_u32(vcltzq_f32(vld1q_f32(x))), vmovn_u32(vcltzq_f32(vld1q_f32(x + 4))));
  const uint16x8_t high = vcombine_u16(vmovn_u32(vcltzq_f32(vld1q_f32(x + 8))), vmovn_u32(vcltzq_f32(vld1q_f32(x + 12))));
  return vcombine_u8(vmovn_u16(low), vmovn_u16(high));
}

void Float32(const float* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [](const float* x, int count) {
    if (count < 32) return PackSlowly(x, count, [](float v) { return v < 0; });
    return Gather(Negative16(x), Negative16(x + 16));
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
    return Gather(vceqzq_u8(vld1q_u8(x)), vceqzq_u8(vld1q_u8(x + 16)));
  });
}

}  // namespace

extern const QuantizeVariant kQuantizeNeon = {"arm64_neon", Feature::neon, Float32, Int8, Boolean};

}  // namespace edgebnn

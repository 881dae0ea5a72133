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

// Lane i: bits 0, 4 .. 28 plus i tell whether x[i], x[4 + i] .. x[28 + i] are negative; its other bits are zero.
inline uint32x4_t Negative32(const float* x) {
  const auto negative = [x](int i) { return vcltzq_f32(vld1q_f32(x + 4 * i)); };
  // vsliq(low, high, n): the lowest n bits of low, above them high.
  const uint32x4_t a = vsliq_n_u32(negative(0), negative(1), 4), b = vsliq_n_u32(negative(2), negative(3), 4);
  const uint32x4_t c = vsliq_n_u32(negative(4), negative(5), 4), d = vsliq_n_u32(negative(6), negative(7), 4);
  const uint32x4_t all = vsliq_n_u32(vsliq_n_u32(a, b, 8), vsliq_n_u32(c, d, 8), 16);
  static const uint32_t kPlaces[4] = {0x11111111, 0x22222222, 0x44444444, 0x88888888};
  return vandq_u32(all, vld1q_u32(kPlaces));
}

void Float32(const float* in, size_t rows, int channels, uint32_t* out) {
  if (channels % 32 == 0) {  // no padding: one long row, two words at a time
    size_t words = rows * (channels / 32);
    for (; words >= 2; words -= 2, in += 64, out += 2) {
      const uint32x4_t halves = vpaddq_u32(Negative32(in), Negative32(in + 32));
      vst1_u32(out, vget_low_u32(vpaddq_u32(halves, halves)));
    }
    rows = words;
    channels = 32;
  }
  PackRows(in, rows, channels, out, [](const float* x, int count) {
    if (count < 32) return PackSlowly(x, count, [](float v) { return v < 0; });
    return vaddvq_u32(Negative32(x));
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

#include <arm_neon.h>

#include "kernels/dequantize/dequantize.h"

namespace edgebnn {
namespace {

// Sixteen bytes, 255 where the bit is 1.
inline uint8x16_t Spread(uint32_t bits) {
  static const uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t octets = vcombine_u8(vdup_n_u8(static_cast<uint8_t>(bits)), vdup_n_u8(static_cast<uint8_t>(bits >> 8)));
  return vtstq_u8(octets, vld1q_u8(kBits));
}

void Float32(const uint32_t* in, size_t rows, int channels, float* out) {
  // Lane i: shifts bit i, 4 + i ... to the sign.
  static const int32_t kShifts[4] = {31, 30, 29, 28};
  const uint32x4_t sign = vdupq_n_u32(0x80000000u), one = vdupq_n_u32(0x3f800000u);
  for (size_t row = 0; row < rows; ++row) {
    for (int first = 0; first < channels; first += 32) {
      const uint32_t word = *in++;
      const int count = channels - first < 32 ? channels - first : 32;
      int i = 0;
      if (count == 32) {
        for (; i < 32; i += 4) {
          const uint32x4_t moved = vshlq_u32(vdupq_n_u32(word >> i), vld1q_s32(kShifts));
          vst1q_f32(out + i, vreinterpretq_f32_u32(vbslq_u32(sign, moved, one)));
        }
      }
      for (; i < count; ++i) out[i] = (word >> i & 1) != 0 ? -1.0f : 1.0f;
      out += count;
    }
  }
}

void Octets(const uint32_t* in, size_t rows, int channels, uint8_t zero, uint8_t one, uint8_t* out) {
  const uint8x16_t zeros = vdupq_n_u8(zero), ones = vdupq_n_u8(one);
  for (size_t row = 0; row < rows; ++row) {
    for (int first = 0; first < channels; first += 32) {
      const uint32_t word = *in++;
      const int count = channels - first < 32 ? channels - first : 32;
      int i = 0;
      for (; i + 16 <= count; i += 16) vst1q_u8(out + i, vbslq_u8(Spread(word >> i), ones, zeros));
      for (; i < count; ++i) out[i] = (word >> i & 1) != 0 ? one : zero;
      out += count;
    }
  }
}

}  // namespace

extern const DequantizeVariant kDequantizeNeon = {"arm_neon", Feature::neon, Float32, Octets};

}  // namespace edgebnn

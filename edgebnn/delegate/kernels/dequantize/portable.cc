// Branch-free by words: the bit becomes the sign of a float, or picks a byte by a mask.

#include <cstring>

#include "kernels/dequantize/dequantize.h"

namespace edgebnn {
namespace {

template <class T, class Value>
void Unpack(const uint32_t* in, size_t rows, int channels, T* out, Value value) {
  for (size_t row = 0; row < rows; ++row) {
    for (int first = 0; first < channels; first += 32) {
      const uint32_t word = *in++;
      const int count = channels - first < 32 ? channels - first : 32;
      for (int i = 0; i < count; ++i) *out++ = value(word >> i & 1);
    }
  }
}

void Float32(const uint32_t* in, size_t rows, int channels, float* out) {
  Unpack(in, rows, channels, out, [](uint32_t bit) {
    const uint32_t pattern = 0x3f800000u | bit << 31;
    float value;
    std::memcpy(&value, &pattern, sizeof(value));
    return value;
  });
}

void Octets(const uint32_t* in, size_t rows, int channels, uint8_t zero, uint8_t one, uint8_t* out) {
  const uint8_t differing = zero ^ one;
  Unpack(in, rows, channels, out,
         [=](uint32_t bit) { return static_cast<uint8_t>(zero ^ (differing & (0u - bit))); });
}

}  // namespace

extern const DequantizeVariant kDequantizePortable = {"portable", Feature::none, Float32, Octets};

}  // namespace edgebnn

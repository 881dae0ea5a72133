#include "kernels/dequantize/dequantize.h"

namespace edgebnn {
namespace {

template <class T>
void Unpack(const uint32_t* in, size_t rows, int channels, T zero, T one, T* out) {
  const size_t words = (size_t{1} * channels + 31) / 32;
  for (size_t row = 0; row < rows; ++row) {
    for (int c = 0; c < channels; ++c) {
      out[row * channels + c] = (in[row * words + c / 32] >> (c % 32) & 1) != 0 ? one : zero;
    }
  }
}

void Float32(const uint32_t* in, size_t rows, int channels, float* out) {
  Unpack(in, rows, channels, 1.0f, -1.0f, out);
}

void Octets(const uint32_t* in, size_t rows, int channels, uint8_t zero, uint8_t one, uint8_t* out) {
  Unpack(in, rows, channels, zero, one, out);
}

}  // namespace

extern const DequantizeVariant kDequantizeReference = {"reference", Feature::none, Float32, Octets};

}  // namespace edgebnn

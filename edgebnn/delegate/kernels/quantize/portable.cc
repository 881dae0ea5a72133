// Eight values at a time: comparisons that a compiler vectorises, then one multiplication gathers eight 0/1 bytes.

#include <cstring>

#include "kernels/quantize/quantize.h"
#include "kernels/quantize/rows.h"

namespace edgebnn {
namespace {

template <class T, class Negative>
uint32_t PackWord(const T* in, int count, Negative negative) {
  if (count < 32) return PackSlowly(in, count, negative);
  uint8_t flags[32];
  for (int i = 0; i < 32; ++i) flags[i] = negative(in[i]) ? 1 : 0;
  uint32_t word = 0;
  for (int octet = 0; octet < 4; ++octet) {
    uint64_t bytes;
    std::memcpy(&bytes, flags + 8 * octet, 8);
    word |= static_cast<uint32_t>((bytes * 0x0102040810204080u) >> 56) << (8 * octet);
  }
  return word;
}

void Float32(const float* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out,
           [](const float* x, int count) { return PackWord(x, count, [](float v) { return v < 0; }); });
}

void Int8(const int8_t* in, int32_t zero_point, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [=](const int8_t* x, int count) {
    return PackWord(x, count, [=](int8_t v) { return v < zero_point; });
  });
}

void Boolean(const uint8_t* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out,
           [](const uint8_t* x, int count) { return PackWord(x, count, [](uint8_t v) { return v == 0; }); });
}

}  // namespace

extern const QuantizeVariant kQuantizePortable = {"portable", Feature::none, Float32, Int8, Boolean};

}  // namespace edgebnn

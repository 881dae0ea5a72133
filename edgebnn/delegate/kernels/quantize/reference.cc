#include "kernels/quantize/quantize.h"
#include "kernels/quantize/rows.h"

namespace edgebnn {
namespace {

void Float32(const float* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out,
           [](const float* x, int count) { return PackSlowly(x, count, [](float v) { return v < 0; }); });
}

void Int8(const int8_t* in, int32_t zero_point, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out, [=](const int8_t* x, int count) {
    return PackSlowly(x, count, [=](int8_t v) { return v < zero_point; });
  });
}

void Boolean(const uint8_t* in, size_t rows, int channels, uint32_t* out) {
  PackRows(in, rows, channels, out,
           [](const uint8_t* x, int count) { return PackSlowly(x, count, [](uint8_t v) { return v == 0; }); });
}

}  // namespace

extern const QuantizeVariant kQuantizeReference = {"reference", Feature::none, Float32, Int8, Boolean};

}  // namespace edgebnn

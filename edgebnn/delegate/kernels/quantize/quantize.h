// Values to bits, 32 channels a word, bits beyond the channels zero:
//   bit = value < 0 (float32; -0.0 and NaN give 0), value < zero_point (int8), value == false (bool).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/variant.h"

namespace edgebnn {

struct QuantizeVariant {
  const char* name;
  Feature feature;
  // in [rows][channels], out [rows][words of channels]
  void (*float32)(const float* in, size_t rows, int channels, uint32_t* out);
  void (*int8)(const int8_t* in, int32_t zero_point, size_t rows, int channels, uint32_t* out);
  void (*boolean)(const uint8_t* in, size_t rows, int channels, uint32_t* out);
};

// All variants of this build, slowest first.
const std::vector<const QuantizeVariant*>& QuantizeVariants();

const QuantizeVariant& SelectQuantize(Choice choice);

}  // namespace edgebnn

// Bits to values: float32 +1 or -1; bytes `zero` for bit 0 and `one` for bit 1 (int8, bool).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/variant.h"

namespace edgebnn {

struct DequantizeVariant {
  const char* name;
  Feature feature;
  // in [rows][words of channels], out [rows][channels]
  void (*float32)(const uint32_t* in, size_t rows, int channels, float* out);
  void (*octets)(const uint32_t* in, size_t rows, int channels, uint8_t zero, uint8_t one, uint8_t* out);
};

// All variants of this build, slowest first.
const std::vector<const DequantizeVariant*>& DequantizeVariants();

const DequantizeVariant& SelectDequantize(Choice choice);

}  // namespace edgebnn

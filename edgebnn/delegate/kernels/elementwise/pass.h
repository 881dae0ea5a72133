// One pass over a float map: stages one behind the other, then perhaps the signs. The values of a few rows at a time go
// through all of them while they are in the L1 cache; a map is written only where somebody else reads it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/elementwise/elementwise.h"
#include "kernels/quantize/quantize.h"
#include "kernels/threads.h"

namespace edgebnn {

struct Pass {
  static constexpr int kMostStages = 8;
  struct Step {
    Stage stage;
    float* out;  // the map of this stage's values, [rows][channels]; nullptr: only what follows here reads them
  };

  int channels = 0;
  const ElementwiseVariant* elementwise = nullptr;  // where there are stages
  Step steps[kMostStages] = {};
  int step_count = 0;
  const QuantizeVariant* quantize = nullptr;  // where the signs are taken
  uint32_t* bits = nullptr;                   // [rows][words of channels]

  // Rows [first, first + rows): `values` are theirs, `scratch` has room for as many, and may be `values`.
  void Run(const float* values, size_t first, size_t rows, float* scratch) const;

  // All rows of a map, on the pool where they are many.
  void RunAll(const float* map, size_t rows, uint8_t* scratch, ThreadPool& pool) const;
  static size_t scratch_bytes(int channels, int threads);  // of RunAll
};

}  // namespace edgebnn

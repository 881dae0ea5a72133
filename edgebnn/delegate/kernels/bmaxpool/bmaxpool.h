// Binary 2-D max pooling: a maximum of +-1 is -1 only where all are, so the AND of the words inside the window.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/variant.h"

namespace edgebnn {

struct BMaxPoolShape {
  int batches, in_height, in_width, words;
  int out_height, out_width;
  int filter_height, filter_width, stride_height, stride_width;
  int pad_top, pad_left;
};

struct BMaxPoolVariant {
  const char* name;
  Feature feature;
  // in [batches][in_height][in_width][words], out [batches][out_height][out_width][words]
  void (*run)(const BMaxPoolShape& shape, const uint32_t* in, uint32_t* out);
};

// All variants of this build, slowest first.
const std::vector<const BMaxPoolVariant*>& BMaxPoolVariants();

const BMaxPoolVariant& SelectBMaxPool(Choice choice);

}  // namespace edgebnn

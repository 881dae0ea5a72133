#include "kernels/bconv2d/arm64_tile.h"

namespace edgebnn {

extern const BConv2DVariant kBConv2DNeon = {
    "arm64_neon", Feature::neon, kPixels, 1, kMaxRowBits, 8, WeightBytes, Pack, ScratchBytes, Run, nullptr};

}  // namespace edgebnn

#include "kernels/dequantize/dequantize.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const DequantizeVariant variant;
#include "kernels/dequantize/kernels.inc"
#undef EDGEBNN_KERNEL

const std::vector<const DequantizeVariant*>& DequantizeVariants() {
  static const std::vector<const DequantizeVariant*> variants = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/dequantize/kernels.inc"
#undef EDGEBNN_KERNEL
  };
  return variants;
}

const DequantizeVariant& SelectDequantize(Choice choice) { return Select(DequantizeVariants(), choice); }

}  // namespace edgebnn

#include "kernels/quantize/quantize.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const QuantizeVariant variant;
#include "kernels/quantize/kernels.inc"
#undef EDGEBNN_KERNEL

const std::vector<const QuantizeVariant*>& QuantizeVariants() {
  static const std::vector<const QuantizeVariant*> variants = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/quantize/kernels.inc"
#undef EDGEBNN_KERNEL
  };
  return variants;
}

const QuantizeVariant& SelectQuantize(Choice choice) { return Select(QuantizeVariants(), choice); }

}  // namespace edgebnn

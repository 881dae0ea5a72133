#include "kernels/bmaxpool/bmaxpool.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const BMaxPoolVariant variant;
#include "kernels/bmaxpool/kernels.inc"
#undef EDGEBNN_KERNEL

const std::vector<const BMaxPoolVariant*>& BMaxPoolVariants() {
  static const std::vector<const BMaxPoolVariant*> variants = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/bmaxpool/kernels.inc"
#undef EDGEBNN_KERNEL
  };
  return variants;
}

const BMaxPoolVariant& SelectBMaxPool(Choice choice) { return Select(BMaxPoolVariants(), choice); }

}  // namespace edgebnn

#include "kernels/pool/pool.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const PoolVariant variant;
#include "kernels/pool/kernels.inc"
#undef EDGEBNN_KERNEL

const std::vector<const PoolVariant*>& PoolVariants() {
  static const std::vector<const PoolVariant*> variants = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/pool/kernels.inc"
#undef EDGEBNN_KERNEL
  };
  return variants;
}

const PoolVariant& SelectPool(Choice choice) { return Select(PoolVariants(), choice); }

}  // namespace edgebnn

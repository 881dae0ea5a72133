#include "kernels/elementwise/elementwise.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const ElementwiseVariant variant;
#include "kernels/elementwise/kernels.inc"
#undef EDGEBNN_KERNEL

const std::vector<const ElementwiseVariant*>& ElementwiseVariants() {
  static const std::vector<const ElementwiseVariant*> variants = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/elementwise/kernels.inc"
#undef EDGEBNN_KERNEL
  };
  return variants;
}

const ElementwiseVariant& SelectElementwise(Choice choice) { return Select(ElementwiseVariants(), choice); }

}  // namespace edgebnn

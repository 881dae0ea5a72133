#include "kernels/move/move.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const MoveVariant variant;
#include "kernels/move/kernels.inc"
#undef EDGEBNN_KERNEL

const std::vector<const MoveVariant*>& MoveVariants() {
  static const std::vector<const MoveVariant*> variants = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/move/kernels.inc"
#undef EDGEBNN_KERNEL
  };
  return variants;
}

const MoveVariant& SelectMove(Choice choice) { return Select(MoveVariants(), choice); }

}  // namespace edgebnn

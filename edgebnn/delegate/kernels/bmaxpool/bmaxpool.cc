#include "kernels/bmaxpool/bmaxpool.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const BMaxPoolVariant variant;
#include "kernels/bmaxpool/kernels.inc"
#undef EDGEBNN_KERNEL

namespace {
const BMaxPoolVariant* const kVariants[] = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/bmaxpool/kernels.inc"
#undef EDGEBNN_KERNEL
};
}  // namespace

const BMaxPoolVariant& SelectBMaxPool(Choice choice) { return Select(kVariants, choice); }

}  // namespace edgebnn

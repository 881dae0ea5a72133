#include "kernels/quantize/quantize.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const QuantizeVariant variant;
#include "kernels/quantize/kernels.inc"
#undef EDGEBNN_KERNEL

namespace {
const QuantizeVariant* const kVariants[] = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/quantize/kernels.inc"
#undef EDGEBNN_KERNEL
};
}  // namespace

const QuantizeVariant& SelectQuantize(Choice choice) { return Select(kVariants, choice); }

}  // namespace edgebnn

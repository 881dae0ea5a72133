#include "kernels/dequantize/dequantize.h"

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const DequantizeVariant variant;
#include "kernels/dequantize/kernels.inc"
#undef EDGEBNN_KERNEL

namespace {
const DequantizeVariant* const kVariants[] = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/dequantize/kernels.inc"
#undef EDGEBNN_KERNEL
};
}  // namespace

const DequantizeVariant& SelectDequantize(Choice choice) { return Select(kVariants, choice); }

}  // namespace edgebnn

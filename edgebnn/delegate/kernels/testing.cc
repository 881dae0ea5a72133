// The kernel registry as a C interface, for tests and benchmarks that drive every variant from outside. Not in the wheel.
// Calls return 0, or -1 when the variant does not run on this CPU or does not take the shape.

#include <iterator>

#include "kernels/bconv2d/bconv2d.h"
#include "kernels/bmaxpool/bmaxpool.h"
#include "kernels/dequantize/dequantize.h"
#include "kernels/quantize/quantize.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace edgebnn {

namespace {

template <class Variants>
const char* Name(const Variants& variants, int index) {
  return index >= 0 && static_cast<size_t>(index) < std::size(variants) ? variants[index]->name : nullptr;
}

}  // namespace

// Names of a family's variants, slowest first; nullptr behind the last.
EXPORT const char* edgebnn_bconv2d_name(int index) { return Name(BConv2DVariants(), index); }
EXPORT const char* edgebnn_quantize_name(int index) { return Name(QuantizeVariants(), index); }
EXPORT const char* edgebnn_dequantize_name(int index) { return Name(DequantizeVariants(), index); }
EXPORT const char* edgebnn_bmaxpool_name(int index) { return Name(BMaxPoolVariants(), index); }

// `shape` as in BConv2DShape; form 0 float32, 1 int8, 2 bits; arrays of channels_out (those not used may be nullptr).
EXPORT int edgebnn_bconv2d(int index, const int shape[17], int form, const int32_t clamp[2], const float* multiplier,
                           const float* bias, const int32_t* thresholds, const uint32_t* filter, const uint32_t* input,
                           void* output, int threads) {
  const BConv2DShape s = {shape[0], shape[1], shape[2],  shape[3],  shape[4],  shape[5],  shape[6],  shape[7],
                          shape[8], shape[9], shape[10], shape[11], shape[12], shape[13], shape[14], shape[15],
                          shape[16] != 0};
  BConv2DEpilogue epilogue{static_cast<OutputForm>(form), clamp[0], clamp[1], {}, {}, {}};
  if (epilogue.form == OutputForm::bits) {
    epilogue.thresholds.assign(thresholds, thresholds + s.channels_out);
  } else {
    epilogue.multiplier.assign(multiplier, multiplier + s.channels_out);
    epilogue.bias.assign(bias, bias + s.channels_out);
  }
  const BConv2DVariant& variant = *BConv2DVariants()[index];
  if (!Takes(variant, s, epilogue.form)) return -1;
  const BConv2D convolution(s, epilogue, filter, variant);
  const Buffer scratch = AllocateBuffer(convolution.scratch_bytes(threads));
  ThreadPool pool(threads);
  convolution.Run(input, output, scratch.get(), pool);
  return 0;
}

// type: 0 float32, 1 int8, 2 bool.
EXPORT int edgebnn_quantize(int index, int type, const void* in, int32_t zero_point, size_t rows, int channels,
                            uint32_t* out) {
  const QuantizeVariant& variant = *QuantizeVariants()[index];
  if (!Has(variant.feature)) return -1;
  if (type == 0) variant.float32(static_cast<const float*>(in), rows, channels, out);
  if (type == 1) variant.int8(static_cast<const int8_t*>(in), zero_point, rows, channels, out);
  if (type == 2) variant.boolean(static_cast<const uint8_t*>(in), rows, channels, out);
  return 0;
}

// type: 0 float32, 1 bytes.
EXPORT int edgebnn_dequantize(int index, int type, const uint32_t* in, size_t rows, int channels, int zero, int one,
                              void* out) {
  const DequantizeVariant& variant = *DequantizeVariants()[index];
  if (!Has(variant.feature)) return -1;
  if (type == 0) {
    variant.float32(in, rows, channels, static_cast<float*>(out));
  } else {
    variant.octets(in, rows, channels, static_cast<uint8_t>(zero), static_cast<uint8_t>(one),
                   static_cast<uint8_t*>(out));
  }
  return 0;
}

// `shape` as in BMaxPoolShape.
EXPORT int edgebnn_bmaxpool(int index, const int shape[12], const uint32_t* in, uint32_t* out) {
  const BMaxPoolVariant& variant = *BMaxPoolVariants()[index];
  if (!Has(variant.feature)) return -1;
  variant.run({shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], shape[7], shape[8], shape[9],
               shape[10], shape[11]},
              in, out);
  return 0;
}

}  // namespace edgebnn

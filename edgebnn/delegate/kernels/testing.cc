// The kernel registry as a C interface, for tests and benchmarks that drive every variant from outside. Not in the wheel.
// Calls return 0, or -1 when the variant does not run on this CPU or does not take the shape.

#include <algorithm>
#include <iterator>

#include "kernels/bconv2d/bconv2d.h"
#include "kernels/bmaxpool/bmaxpool.h"
#include "kernels/dequantize/dequantize.h"
#include "kernels/elementwise/pass.h"
#include "kernels/move/move.h"
#include "kernels/pool/pool.h"
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
EXPORT const char* edgebnn_elementwise_name(int index) { return Name(ElementwiseVariants(), index); }
EXPORT const char* edgebnn_pool_name(int index) { return Name(PoolVariants(), index); }
EXPORT const char* edgebnn_move_name(int index) { return Name(MoveVariants(), index); }

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

// A float32 convolution, then in the same pass: + residual, clamp, and the signs. `values`, `sums` and `bits` may each be
// nullptr (not written). Arrays as in edgebnn_bconv2d.
EXPORT int edgebnn_bconv2d_pass(int index, const int shape[17], const float* multiplier, const float* bias,
                                const uint32_t* filter, const uint32_t* input, const float* residual,
                                const float clamp[2], float* values, float* sums, uint32_t* bits, int threads) {
  const BConv2DShape s = {shape[0], shape[1], shape[2],  shape[3],  shape[4],  shape[5],  shape[6],  shape[7],
                          shape[8], shape[9], shape[10], shape[11], shape[12], shape[13], shape[14], shape[15],
                          shape[16] != 0};
  const BConv2DEpilogue epilogue{OutputForm::float32,
                                 INT32_MIN,
                                 INT32_MAX,
                                 std::vector<float>(multiplier, multiplier + s.channels_out),
                                 std::vector<float>(bias, bias + s.channels_out),
                                 {}};
  const BConv2DVariant& variant = *BConv2DVariants()[index];
  if (!Takes(variant, s, epilogue.form)) return -1;
  const BConv2D convolution(s, epilogue, filter, variant);
  const Buffer scratch = AllocateBuffer(convolution.scratch_bytes(threads));
  ThreadPool pool(threads);
  Pass pass;
  pass.channels = s.channels_out;
  pass.elementwise = &SelectElementwise(Choice::automatic);
  pass.steps[pass.step_count++] = {{Form::add, false, residual, clamp[0], clamp[1]}, sums};
  if (bits != nullptr) {
    pass.quantize = &SelectQuantize(Choice::automatic);
    pass.bits = bits;
  }
  convolution.Run(input, values, scratch.get(), pool, &pass);
  return 0;
}

// form: as Form. The operand is [channels] where `per_channel`, else like `in`; `out` may be `in` or the operand.
EXPORT int edgebnn_elementwise(int index, int form, int per_channel, const float* operand, const float clamp[2],
                               const float* in, size_t rows, int channels, float* out) {
  const ElementwiseVariant& variant = *ElementwiseVariants()[index];
  if (!Has(variant.feature)) return -1;
  variant.run({static_cast<Form>(form), per_channel != 0, operand, clamp[0], clamp[1]}, in, rows, channels, out);
  return 0;
}

// `shape` as in PoolShape, up to pad_left.
EXPORT int edgebnn_pool(int index, const int shape[12], int average, const float clamp[2], const float* in, int first,
                        int lines, float* out) {
  const PoolVariant& variant = *PoolVariants()[index];
  if (!Has(variant.feature)) return -1;
  variant.run({shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], shape[6], shape[7], shape[8], shape[9],
               shape[10], shape[11], average != 0, clamp[0], clamp[1]},
              in, first, lines, out);
  return 0;
}

EXPORT int edgebnn_concat(int index, size_t outer, int parts, const size_t* widths, const float* const* ins, float* out) {
  const MoveVariant& variant = *MoveVariants()[index];
  if (!Has(variant.feature)) return -1;
  variant.concat({outer, parts, widths}, ins, 0, outer, out);
  return 0;
}

// shape: in[4], before[4], after[4].
EXPORT int edgebnn_pad(int index, const int shape[12], const float* in, float* out) {
  const MoveVariant& variant = *MoveVariants()[index];
  if (!Has(variant.feature)) return -1;
  PadShape pad{};
  std::copy(shape, shape + 4, pad.in);
  std::copy(shape + 4, shape + 8, pad.before);
  std::copy(shape + 8, shape + 12, pad.after);
  variant.pad(pad, in, out);
  return 0;
}

// shape: batches, in_height, in_width, channels, out_height, out_width; low, high and weight of all rows, then columns.
EXPORT int edgebnn_resize(int index, const int shape[6], int nearest, const int* low, const int* high,
                          const float* weight, const float* in, float* out) {
  const MoveVariant& variant = *MoveVariants()[index];
  if (!Has(variant.feature)) return -1;
  std::vector<Sample> samples;
  for (int i = 0; i < shape[4] + shape[5]; ++i) samples.push_back({low[i], high[i], weight[i]});
  variant.resize({shape[0], shape[1], shape[2], shape[3], shape[4], shape[5], nearest != 0, samples.data(),
                  samples.data() + shape[4]},
                 in, 0, shape[0] * shape[4], out);
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

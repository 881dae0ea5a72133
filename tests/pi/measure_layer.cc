// One layer, run some times, for measure_kernels.py to count its instructions:
//   measure_layer VARIANT SIZE CHANNELS_IN CHANNELS_OUT FILTER STRIDE FORM RUNS
// Input [SIZE][SIZE][CHANNELS_IN] float32; LceQuantize, then a convolution with SAME one padding. VARIANT is a name of
// kernels/bconv2d, or `auto`; FORM 0 float32, 1 int8, 2 bits. Prints the variant's name.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/bconv2d/bconv2d.h"
#include "kernels/quantize/quantize.h"

using namespace edgebnn;

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fprintf(stderr, "expected 8 arguments, got %d: see the top of measure_layer.cc\n", argc - 1);
    return 2;
  }
  const auto number = [argv](int i) { return std::atoi(argv[i]); };
  const int size = number(2), in = number(3), out = number(4), filter = number(5), stride = number(6), runs = number(8);
  const auto form = static_cast<OutputForm>(number(7));
  const int out_size = (size + stride - 1) / stride, reach = (out_size - 1) * stride + filter - size;
  const int pad = reach > 0 ? reach / 2 : 0;
  const BConv2DShape shape = {1,      size, size,   in,     out_size, out_size, out, filter, filter,
                              1, stride, stride, 1, 1, pad, pad, false};
  BConv2DEpilogue epilogue{form, INT32_MIN, INT32_MAX, {}, {}, {}};
  if (form == OutputForm::bits) {
    epilogue.thresholds.assign(out, shape.taps() * in);
  } else {
    epilogue.multiplier.assign(out, -0.5f);
    epilogue.bias.assign(out, 1.0f);
  }
  const BConv2DVariant* variant = &SelectBConv2D(shape, form, Choice::automatic);
  for (const BConv2DVariant* other : BConv2DVariants()) {
    if (std::strcmp(other->name, argv[1]) == 0) variant = other;
  }
  std::puts(variant->name);
  const size_t values = size_t{1} * size * size * in;
  std::vector<float> image(values);
  for (size_t i = 0; i < values; ++i) image[i] = static_cast<float>(i * 2654435761u % 1000) - 500.0f;
  std::vector<uint32_t> weights(size_t{1} * out * shape.row_words(), 0x5a5a1234u);
  std::vector<uint32_t> bits(size_t{1} * size * size * shape.in_words());
  std::vector<float> result(size_t{1} * out_size * out_size * out);
  const BConv2D layer(shape, epilogue, weights.data(), *variant);
  const Buffer scratch = AllocateBuffer(layer.scratch_bytes(1));
  ThreadPool pool(1);
  const QuantizeVariant& quantize = SelectQuantize(Choice::automatic);
  for (int i = 0; i < runs; ++i) {
    quantize.float32(image.data(), size_t{1} * size * size, in, bits.data());
    layer.Run(bits.data(), result.data(), scratch.get(), pool);
  }
  return 0;
}

// Every kernel variant that this CPU runs against its family's reference, without Python: for devices that have no wheel of
// a TFLite runtime, and for emulated cores.
//   walk_kernels [FAMILY=VARIANT]...
// Sizes around vector widths and random shapes, the same in each run. `bconv2d=arm64_neon` also expects the kernel option
// `auto` to choose that variant. Prints "N passed, M failed"; exit code 1 when a comparison failed.
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/bconv2d/bconv2d.h"
#include "kernels/bmaxpool/bmaxpool.h"
#include "kernels/dequantize/dequantize.h"
#include "kernels/quantize/quantize.h"

using namespace edgebnn;

namespace {

int passed = 0, failed = 0;
std::mt19937 random_bits(1);

int Pick(int low, int high) { return low + static_cast<int>(random_bits() % (high - low + 1)); }

void Judge(bool good, const char* family, const char* variant, const std::string& what) {
  (good ? passed : failed)++;
  if (!good) std::printf("%s %s differs from the reference: %s\n", family, variant, what.c_str());
}

// Rows of channels as the bit contract wants them: nothing beyond the channels.
std::vector<uint32_t> RandomWords(size_t rows, int channels) {
  const int words = (channels + 31) / 32;
  std::vector<uint32_t> values(rows * words);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = random_bits();
    if (channels % 32 != 0 && i % words == static_cast<size_t>(words) - 1) values[i] &= (1u << channels % 32) - 1;
  }
  return values;
}

std::vector<uint8_t> Convolve(const BConv2DVariant& variant, const BConv2DShape& s, const BConv2DEpilogue& epilogue,
                              const std::vector<uint32_t>& filter, const std::vector<uint32_t>& input) {
  const size_t values = size_t{1} * s.batches * s.out_height * s.out_width;
  std::vector<uint8_t> output(values * 4 * (s.channels_out + 31), 0xaa);
  const BConv2D layer(s, epilogue, filter.data(), variant);
  const Buffer scratch = AllocateBuffer(layer.scratch_bytes(1));
  ThreadPool pool(1);
  layer.Run(input.data(), output.data(), scratch.get(), pool);
  return output;
}

void CompareConvolution(const BConv2DShape& s, OutputForm form, bool clamped) {
  const auto input = RandomWords(size_t{1} * s.batches * s.in_height * s.in_width, s.channels_in);
  const auto filter = RandomWords(size_t{1} * s.channels_out * s.taps(), s.group_channels_in());
  const int depth = s.taps() * s.group_channels_in();
  BConv2DEpilogue epilogue{form, clamped ? depth / 2 : INT32_MIN, clamped ? depth : INT32_MAX, {}, {}, {}};
  for (int o = 0; o < s.channels_out; ++o) {
    if (form == OutputForm::bits) {
      epilogue.thresholds.push_back(Pick(0, 2 * depth));
    } else {
      epilogue.multiplier.push_back(Pick(-100, 100) / 64.0f);
      epilogue.bias.push_back(Pick(-400, 400) / 8.0f);
    }
  }
  const auto& variants = BConv2DVariants();
  const auto expected = Convolve(*variants[0], s, epilogue, filter, input);
  for (size_t i = 1; i < variants.size(); ++i) {
    if (!Takes(*variants[i], s, form)) continue;
    char what[160];
    std::snprintf(what, sizeof(what), "%dx%d, channels %d -> %d, filter %dx%d, groups %d, stride %d, dilation %d, form %d",
                  s.in_height, s.in_width, s.channels_in, s.channels_out, s.filter_height, s.filter_width, s.groups,
                  s.stride_width, s.dilation_width, static_cast<int>(form));
    Judge(Convolve(*variants[i], s, epilogue, filter, input) == expected, "bconv2d", variants[i]->name, what);
  }
}

// SAME padding, in and out of any size.
BConv2DShape Same(int batches, int height, int width, int in, int out, int filter_height, int filter_width, int groups,
                  int stride, int dilation, bool zero_padding) {
  const auto out_size = [stride](int size) { return (size + stride - 1) / stride; };
  const auto pad = [&](int size, int filter) {
    const int reach = (out_size(size) - 1) * stride + (filter - 1) * dilation + 1 - size;
    return reach > 0 ? reach / 2 : 0;
  };
  return {batches, height,       width,        in,     out_size(height), out_size(width), out,      filter_height,
          filter_width, groups, stride, stride, dilation, dilation, pad(height, filter_height), pad(width, filter_width),
          zero_padding};
}

void WalkConvolutions() {
  const OutputForm forms[] = {OutputForm::float32, OutputForm::int8, OutputForm::bits};
  for (const int in : {1, 31, 32, 33, 64, 65, 96, 127, 128, 129, 160, 192, 224, 256, 257}) {
    for (const OutputForm form : forms) CompareConvolution(Same(1, 4, 5, in, 16, 3, 3, 1, 1, 1, false), form, false);
  }
  for (const int out : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64}) {
    for (const OutputForm form : forms) CompareConvolution(Same(1, 3, 3, 96, out, 2, 2, 1, 1, 1, false), form, true);
  }
  for (int pixels = 1; pixels <= 34; ++pixels) {  // blocks and what is left of them
    for (const int in : {32, 64, 96, 128}) {
      CompareConvolution(Same(1, 1, pixels, in, 8, 1, 1, 1, 1, 1, false), OutputForm::float32, false);
      CompareConvolution(Same(1, 2, pixels, in, 8, 3, 3, 1, 1, 1, true), OutputForm::float32, false);
    }
  }
  for (int i = 0; i < 150; ++i) {
    const int groups = Pick(1, 4), words = Pick(1, 5);
    const int in = groups == 1 ? Pick(1, 200) : 32 * groups * words;
    const OutputForm form = forms[Pick(0, 2)];
    const int out = groups * (groups > 1 && form == OutputForm::bits ? 8 * Pick(1, 3) : Pick(1, 20));
    const auto shape = Same(Pick(1, 2), Pick(1, 9), Pick(1, 18), in, out, Pick(1, 3), Pick(1, 3), groups, Pick(1, 3),
                            Pick(1, 3), Pick(0, 1) == 1);
    CompareConvolution(shape, form, Pick(0, 1) == 1);
  }
  CompareConvolution(Same(1, 2, 4, 7200, 9, 3, 3, 1, 1, 1, false), OutputForm::float32, false);  // near 65535 bits
}

void WalkQuantize() {
  const auto& variants = QuantizeVariants();
  for (const int channels : {1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 128, 129, 160}) {
    const size_t rows = 5, words = (channels + 31) / 32;
    std::vector<float> floats(rows * channels);
    std::vector<int8_t> octets(rows * channels);
    std::vector<uint8_t> booleans(rows * channels);
    const float special[] = {0.0f, -0.0f, 1e-44f, -1e-44f, __builtin_nanf(""), -__builtin_nanf(""),
                             -__builtin_inff(), __builtin_inff(), -1.0f, 1.0f};
    for (size_t i = 0; i < floats.size(); ++i) {
      floats[i] = special[Pick(0, 9)];
      octets[i] = static_cast<int8_t>(random_bits());
      booleans[i] = random_bits() % 2;
    }
    std::vector<uint32_t> expected(rows * words), got(rows * words);
    const auto compare = [&](const char* type, const auto& run) {
      run(*variants[0], expected.data());
      for (size_t i = 1; i < variants.size(); ++i) {
        if (!Has(variants[i]->feature)) continue;
        got.assign(got.size(), 0xaaaaaaaau);
        run(*variants[i], got.data());
        Judge(got == expected, "quantize", variants[i]->name, std::string(type) + " " + std::to_string(channels));
      }
    };
    compare("float32", [&](const auto& v, uint32_t* out) { v.float32(floats.data(), rows, channels, out); });
    for (const int zero_point : {-200, -128, -3, 0, 127, 128, 300}) {
      compare("int8", [&](const auto& v, uint32_t* out) { v.int8(octets.data(), zero_point, rows, channels, out); });
    }
    compare("bool", [&](const auto& v, uint32_t* out) { v.boolean(booleans.data(), rows, channels, out); });
  }
}

void WalkDequantize() {
  const auto& variants = DequantizeVariants();
  for (const int channels : {1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 128, 129}) {
    const size_t rows = 5;
    const auto in = RandomWords(rows, channels);
    std::vector<float> floats(rows * channels), floats_got(floats.size());
    std::vector<uint8_t> octets(rows * channels), octets_got(octets.size());
    variants[0]->float32(in.data(), rows, channels, floats.data());
    variants[0]->octets(in.data(), rows, channels, 17, 240, octets.data());
    for (size_t i = 1; i < variants.size(); ++i) {
      if (!Has(variants[i]->feature)) continue;
      variants[i]->float32(in.data(), rows, channels, floats_got.data());
      variants[i]->octets(in.data(), rows, channels, 17, 240, octets_got.data());
      Judge(floats_got == floats, "dequantize", variants[i]->name, "float32 " + std::to_string(channels));
      Judge(octets_got == octets, "dequantize", variants[i]->name, "bytes " + std::to_string(channels));
    }
  }
}

void WalkMaxPool() {
  const auto& variants = BMaxPoolVariants();
  for (int i = 0; i < 200; ++i) {
    const int height = Pick(1, 9), width = Pick(1, 9), words = i < 20 ? i + 1 : Pick(1, 9);
    const int filter_height = Pick(1, 4), filter_width = Pick(1, 4), stride = Pick(1, 3);
    const BMaxPoolShape s = {2,           height,       width,  words,  (height + stride - 1) / stride, (width + stride - 1) / stride,
                             filter_height, filter_width, stride, stride, (filter_height - 1) / 2, (filter_width - 1) / 2};
    const auto in = RandomWords(size_t{2} * height * width, 32 * words);
    std::vector<uint32_t> expected(size_t{2} * s.out_height * s.out_width * words), got(expected.size());
    variants[0]->run(s, in.data(), expected.data());
    for (size_t v = 1; v < variants.size(); ++v) {
      if (!Has(variants[v]->feature)) continue;
      variants[v]->run(s, in.data(), got.data());
      Judge(got == expected, "bmaxpool", variants[v]->name, std::to_string(words) + " words");
    }
  }
}

std::string Chosen(const std::string& family) {
  if (family == "bconv2d") {
    return SelectBConv2D(Same(1, 8, 8, 64, 64, 3, 3, 1, 1, 1, false), OutputForm::float32, Choice::automatic).name;
  }
  if (family == "quantize") return SelectQuantize(Choice::automatic).name;
  if (family == "dequantize") return SelectDequantize(Choice::automatic).name;
  if (family == "bmaxpool") return SelectBMaxPool(Choice::automatic).name;
  return "no such family";
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t at = argument.find('=');
    const std::string family = argument.substr(0, at), chosen = Chosen(family);
    const bool good = at != std::string::npos && chosen == argument.substr(at + 1);
    (good ? passed : failed)++;
    if (!good) std::printf("expected %s, the choice is %s\n", argument.c_str(), chosen.c_str());
  }
  WalkConvolutions();
  WalkQuantize();
  WalkDequantize();
  WalkMaxPool();
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 ? 1 : 0;
}

#include "kernels/bconv2d/bconv2d.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "ops/activation.h"
#include "ops/op.h"
#include "ops/window.h"

namespace edgebnn {
namespace {

constexpr int kMost = 1 << 20;          // of an option
constexpr int64_t kMostBits = 1 << 28;  // of a row: 2 * popcount stays inside int32

const void* Constant(const TensorInfo* tensor, TfLiteType type, int channels, const char* name) {
  Require(tensor != nullptr, "it has no ", name);
  Require(tensor->type == type && tensor->dims == Dims{channels} && tensor->constant != nullptr, "its ", name,
          " must be a constant of ", channels, type == kTfLiteFloat32 ? " float32" : " int32", " values");
  return tensor->constant;
}

// Whether a float32 holds it.
bool Fits(double value) { return std::abs(value) <= std::numeric_limits<float>::max(); }

class BConv2DOp : public Op {
 public:
  BConv2DOp(const Options& options, Choice choice)
      : choice_(choice),
        padding_(static_cast<Padding>(options.Get("padding", 0, 1))),
        // 4 and 5 are TANH and SIGN_BIT, which no kernel of LCE applies.
        activation_(static_cast<Activation>(options.Get("fused_activation_function", 0, 3))) {
    shape_.stride_height = options.Get("stride_height", 1, kMost);
    shape_.stride_width = options.Get("stride_width", 1, kMost);
    shape_.dilation_height = options.Get("dilation_height_factor", 1, kMost);
    shape_.dilation_width = options.Get("dilation_width_factor", 1, kMost);
    shape_.channels_in = options.Get("channels_in", 1, kMost);
    shape_.zero_padding = options.Get("pad_values", 0, 1) == 0 && padding_ == Padding::same;
  }

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == 5 && inputs[0] != nullptr && inputs[1] != nullptr,
            "it needs five inputs, of which the first two are the input and the filter");
    const TensorInfo &input = *inputs[0], &filter = *inputs[1];
    SetFilter(filter);
    SetInput(input);
    SetForm(output.type);
    if (!convolution_.has_value() || !Same(shape_, prepared_)) {
      convolution_.reset();
      const auto* words = static_cast<const uint32_t*>(filter.constant);
      const auto& variant = SelectBConv2D(shape_, form_, choice_);
      convolution_.emplace(shape_, Epilogue(inputs, output), words, variant);
      prepared_ = shape_;
    }
    const int channels = form_ == OutputForm::bits ? Words(shape_.channels_out) : shape_.channels_out;
    Dims dims = {shape_.batches, shape_.out_height, shape_.out_width, channels};
    Elements(dims);
    return dims;
  }

  size_t ScratchBytes(int threads) const override { return convolution_->scratch_bytes(threads); }

  Part part() const override { return form_ == OutputForm::float32 ? Part::source : Part::none; }

  void RunWithPass(const void* const* inputs, void* output, const Pass& pass, uint8_t* scratch,
                   ThreadPool& pool) const override {
    convolution_->Run(static_cast<const uint32_t*>(inputs[0]), output, scratch, pool, &pass);
  }

  void Run(const void* const* inputs, void* output, uint8_t* scratch, ThreadPool& pool) const override {
    convolution_->Run(static_cast<const uint32_t*>(inputs[0]), output, scratch, pool);
  }

 private:
  static bool Same(const BConv2DShape& a, const BConv2DShape& b) {
    // Everything else is a constant of the model.
    return a.batches == b.batches && a.in_height == b.in_height && a.in_width == b.in_width;
  }

  void SetFilter(const TensorInfo& filter) {
    Require(filter.type == kTfLiteInt32 && filter.dims.size() == 4 && filter.constant != nullptr,
            "its filter must be a constant of int32 words [channels out, height, width, words]");
    Elements(filter.dims);
    shape_.channels_out = filter.dims[0];
    shape_.filter_height = filter.dims[1];
    shape_.filter_width = filter.dims[2];
    const int words = shape_.in_words(), group_words = filter.dims[3];
    Require(words % group_words == 0, "its filter has ", group_words, " words a tap, its input ", words,
            " words a pixel: not a whole number of groups");
    shape_.groups = words / group_words;
    Require(shape_.groups == 1 || shape_.channels_in % (32 * shape_.groups) == 0, "it has ", shape_.groups,
            " groups of ", shape_.channels_in, " input channels: a group must be a multiple of 32");
    Require(shape_.channels_out % shape_.groups == 0, "its ", shape_.channels_out, " output channels are not ",
            shape_.groups, " equal groups");
    Require(int64_t{32} * shape_.filter_height * shape_.filter_width * group_words <= kMostBits,
            "its filter is too large");
  }

  void SetInput(const TensorInfo& input) {
    Require(input.type == kTfLiteInt32, "its input must be int32 words of 32 channels");
    RequireImage(input.dims);
    Require(input.dims[3] == shape_.in_words(), "its input has ", input.dims[3], " words a pixel, channels_in = ",
            shape_.channels_in, " needs ", shape_.in_words());
    Slide(input.dims, padding_, shape_.dilation_height, shape_.dilation_width, &shape_);
  }

  void SetForm(TfLiteType type) {
    Require(type == kTfLiteFloat32 || type == kTfLiteInt8 || type == kTfLiteInt32, "its output has type ",
            static_cast<int>(type), ", expected float32, int8 or int32 words");
    form_ = type == kTfLiteFloat32 ? OutputForm::float32 : type == kTfLiteInt8 ? OutputForm::int8 : OutputForm::bits;
    // LCE: "Zero-padding is only supported by the reference kernel with an even number of input channels, or when
    // using float output with no fused activation function" (bconv2d.cc).
    const bool plain_float = form_ == OutputForm::float32 && activation_ == Activation::none;
    Require(!shape_.zero_padding || shape_.channels_in % 2 == 0 || plain_float,
            "it pads with zeros ", shape_.channels_in,
            " input channels, an odd number, which LCE defines for float32 output without activation only");
  }

  BConv2DEpilogue Epilogue(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) const {
    BConv2DEpilogue epilogue{};
    const int channels = shape_.channels_out;
    epilogue.form = form_;
    if (form_ == OutputForm::bits) {
      const auto* thresholds = static_cast<const int32_t*>(Constant(inputs[4], kTfLiteInt32, channels, "thresholds"));
      // Compared with 2 * popcount, which is at most 2^29.
      for (int o = 0; o < channels; ++o) {
        epilogue.thresholds.push_back(2 * std::clamp(thresholds[o], -(1 << 29), 1 << 29));
      }
      return epilogue;
    }
    const auto* multiplier =
        static_cast<const float*>(Constant(inputs[2], kTfLiteFloat32, channels, "post_activation_multiplier"));
    const auto* bias = static_cast<const float*>(Constant(inputs[3], kTfLiteFloat32, channels, "post_activation_bias"));
    const bool quantized = form_ == OutputForm::int8;
    Require(!quantized || (std::isfinite(output.scale) && output.scale > 0), "its int8 output has no scale");
    const double scale = quantized ? output.scale : 1.0, zero_point = quantized ? output.zero_point : 0.0;
    // dot = depth - x, so multiplier * dot + bias = -multiplier * x + (bias + depth * multiplier); in double, as LCE does.
    const int depth = shape_.taps() * shape_.group_channels_in();
    for (int o = 0; o < channels; ++o) {
      const double slope = -1 * static_cast<double>(multiplier[o]) / scale;
      const double offset = (bias[o] + static_cast<double>(depth) * multiplier[o]) / scale + zero_point;
      Require(!quantized || (Fits(slope) && Fits(offset)), "channel ", o,
              " of its int8 output has a multiplier or bias that is no finite number in steps of its scale");
      epilogue.multiplier.push_back(static_cast<float>(slope));
      epilogue.bias.push_back(static_cast<float>(offset));
    }
    epilogue.clamp_min = std::numeric_limits<int32_t>::min();
    epilogue.clamp_max = std::numeric_limits<int32_t>::max();
    if (activation_ != Activation::none) {
      const int low = activation_ == Activation::relu_n1_to_1 ? -1 : 0;
      const int high = activation_ == Activation::relu6          ? std::min(6, depth)
                       : activation_ == Activation::relu_n1_to_1 ? std::min(1, depth)
                                                                 : depth;
      epilogue.clamp_min = depth - high;
      epilogue.clamp_max = depth - low;
    }
    return epilogue;
  }

  const Choice choice_;
  const Padding padding_;
  const Activation activation_;
  BConv2DShape shape_{}, prepared_{};
  OutputForm form_ = OutputForm::float32;
  std::optional<BConv2D> convolution_;
};

}  // namespace

std::unique_ptr<Op> MakeBConv2D(const Options& options, Choice choice) {
  return std::make_unique<BConv2DOp>(options, choice);
}

}  // namespace edgebnn

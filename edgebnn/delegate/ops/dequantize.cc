#include "kernels/dequantize/dequantize.h"

#include <algorithm>
#include <cmath>

#include "ops/op.h"

namespace edgebnn {
namespace {

class Dequantize : public Op {
 public:
  explicit Dequantize(Choice choice) : kernel_(SelectDequantize(choice)) {}

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == 1 && inputs[0] != nullptr, "it needs one input");
    const TensorInfo& input = *inputs[0];
    Require(input.type == kTfLiteInt32, "its input must be int32 words of 32 channels");
    Require(output.type == kTfLiteFloat32 || output.type == kTfLiteInt8 || output.type == kTfLiteBool,
            "its output has type ", static_cast<int>(output.type), ", expected float32, int8 or bool");
    Require(!input.dims.empty() && input.dims.size() == output.dims.size(),
            "its input and output have different ranks (or none)");
    // Words do not tell how many channels they hold: the output's last dimension stands in the model.
    channels_ = output.dims.back();
    Require(channels_ > 0 && Words(channels_) == input.dims.back(), "its output has ", channels_,
            " channels, its input has ", input.dims.back(), " words of 32");
    rows_ = Elements(input.dims) / input.dims.back();
    Dims dims = input.dims;
    dims.back() = channels_;
    Elements(dims);
    type_ = output.type;
    if (type_ == kTfLiteInt8) {
      Require(std::isfinite(output.scale) && output.scale > 0, "its int8 output has no scale");
      const auto steps = static_cast<int64_t>(std::round(std::min(1.0f / output.scale, 65536.0f)));
      zero_ = static_cast<uint8_t>(std::clamp<int64_t>(output.zero_point + steps, -128, 127));
      one_ = static_cast<uint8_t>(std::clamp<int64_t>(output.zero_point - steps, -128, 127));
    } else {
      zero_ = 1;  // bool: bit 0 is true
      one_ = 0;
    }
    return dims;
  }

  void Run(const void* const* inputs, void* output, uint8_t*, ThreadPool&) const override {
    const auto* words = static_cast<const uint32_t*>(inputs[0]);
    if (type_ == kTfLiteFloat32) {
      kernel_.float32(words, rows_, channels_, static_cast<float*>(output));
    } else {
      kernel_.octets(words, rows_, channels_, zero_, one_, static_cast<uint8_t*>(output));
    }
  }

 private:
  const DequantizeVariant& kernel_;
  TfLiteType type_ = kTfLiteNoType;
  size_t rows_ = 0;
  int channels_ = 0;
  uint8_t zero_ = 0, one_ = 0;
};

}  // namespace

std::unique_ptr<Op> MakeDequantize(Choice choice) { return std::make_unique<Dequantize>(choice); }

}  // namespace edgebnn

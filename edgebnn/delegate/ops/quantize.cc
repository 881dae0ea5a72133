#include "kernels/quantize/quantize.h"

#include <algorithm>

#include "ops/op.h"

namespace edgebnn {
namespace {

constexpr size_t kTaskValues = 8192;  // of a task: about a microsecond's

class Quantize : public Op {
 public:
  explicit Quantize(Choice choice) : kernel_(SelectQuantize(choice)) {}

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == 1 && inputs[0] != nullptr, "it needs one input");
    const TensorInfo& input = *inputs[0];
    Require(input.type == kTfLiteFloat32 || input.type == kTfLiteInt8 || input.type == kTfLiteBool,
            "its input has type ", static_cast<int>(input.type), ", expected float32, int8 or bool");
    Require(output.type == kTfLiteInt32, "its output must be int32 words of 32 channels");
    Require(!input.dims.empty() && input.dims.size() == output.dims.size(),
            "its input and output have different ranks (or none)");
    channels_ = input.dims.back();
    rows_ = Elements(input.dims) / channels_;
    type_ = input.type;
    zero_point_ = input.zero_point;
    Dims dims = input.dims;
    dims.back() = Words(channels_);
    return dims;
  }

  void Run(const void* const* inputs, void* output, uint8_t*, ThreadPool& pool) const override {
    const size_t step = kTaskValues / channels_ + 1;
    pool.Run(static_cast<int>((rows_ + step - 1) / step), [&](int, int task) {
      const size_t first = task * step, rows = std::min(step, rows_ - first), skipped = first * channels_;
      uint32_t* words = static_cast<uint32_t*>(output) + first * Words(channels_);
      switch (type_) {
        case kTfLiteInt8:
          return kernel_.int8(static_cast<const int8_t*>(inputs[0]) + skipped, zero_point_, rows, channels_, words);
        case kTfLiteBool:
          return kernel_.boolean(static_cast<const uint8_t*>(inputs[0]) + skipped, rows, channels_, words);
        default:
          return kernel_.float32(static_cast<const float*>(inputs[0]) + skipped, rows, channels_, words);
      }
    });
  }

  Part part() const override { return type_ == kTfLiteFloat32 ? Part::signs : Part::none; }
  size_t Rows() const override { return rows_; }
  int Channels() const override { return channels_; }
  bool TakesFromPass(int input) const override { return input == 0; }

  void Append(const void* const*, int, void* output, Pass* pass) const override {
    pass->channels = channels_;
    pass->quantize = &kernel_;
    pass->bits = static_cast<uint32_t*>(output);
  }

 private:
  const QuantizeVariant& kernel_;
  TfLiteType type_ = kTfLiteNoType;
  int32_t zero_point_ = 0;
  size_t rows_ = 0;
  int channels_ = 1;
};

}  // namespace

std::unique_ptr<Op> MakeQuantize(Choice choice) { return std::make_unique<Quantize>(choice); }

}  // namespace edgebnn

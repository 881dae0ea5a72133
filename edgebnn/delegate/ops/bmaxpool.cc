#include "kernels/bmaxpool/bmaxpool.h"

#include "ops/op.h"
#include "ops/window.h"

namespace edgebnn {
namespace {

constexpr int kMost = 1 << 20;

class BMaxPool : public Op {
 public:
  BMaxPool(const Options& options, Choice choice)
      : kernel_(SelectBMaxPool(choice)), padding_(static_cast<Padding>(options.Get("padding", 0, 1))) {
    shape_.filter_height = options.Get("filter_height", 1, kMost);
    shape_.filter_width = options.Get("filter_width", 1, kMost);
    shape_.stride_height = options.Get("stride_height", 1, kMost);
    shape_.stride_width = options.Get("stride_width", 1, kMost);
  }

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == 1 && inputs[0] != nullptr, "it needs one input");
    const TensorInfo& input = *inputs[0];
    Require(input.type == kTfLiteInt32 && output.type == kTfLiteInt32,
            "its input and output must be int32 words of 32 channels");
    RequireImage(input.dims);
    Slide(input.dims, padding_, 1, 1, &shape_);
    shape_.words = input.dims[3];
    return {shape_.batches, shape_.out_height, shape_.out_width, shape_.words};
  }

  void Run(const void* const* inputs, void* output, uint8_t*, ThreadPool&) const override {
    kernel_.run(shape_, static_cast<const uint32_t*>(inputs[0]), static_cast<uint32_t*>(output));
  }

 private:
  const BMaxPoolVariant& kernel_;
  const Padding padding_;
  BMaxPoolShape shape_{};
};

}  // namespace

std::unique_ptr<Op> MakeBMaxPool(const Options& options, Choice choice) {
  return std::make_unique<BMaxPool>(options, choice);
}

}  // namespace edgebnn

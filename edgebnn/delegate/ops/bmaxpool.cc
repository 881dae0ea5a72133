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
    Require(input.dims.size() == 4, "its input has ", input.dims.size(), " dimensions, expected 4");
    Elements(input.dims);
    const Window rows = SlidingWindow(padding_, input.dims[1], shape_.filter_height, shape_.stride_height, 1);
    const Window columns = SlidingWindow(padding_, input.dims[2], shape_.filter_width, shape_.stride_width, 1);
    shape_.batches = input.dims[0];
    shape_.in_height = input.dims[1];
    shape_.in_width = input.dims[2];
    shape_.words = input.dims[3];
    shape_.out_height = rows.out;
    shape_.out_width = columns.out;
    shape_.pad_top = rows.pad;
    shape_.pad_left = columns.pad;
    return {shape_.batches, rows.out, columns.out, shape_.words};
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

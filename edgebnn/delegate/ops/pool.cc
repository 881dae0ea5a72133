// MAX_POOL_2D and AVERAGE_POOL_2D.

#include "kernels/pool/pool.h"

#include "ops/activation.h"
#include "ops/lines.h"
#include "ops/op.h"
#include "ops/window.h"

namespace edgebnn {
namespace {

constexpr int kMost = 1 << 20;

class Pool : public Op {
 public:
  Pool(const TfLitePoolParams& params, bool average, Choice choice)
      : kernel_(SelectPool(choice)), padding_(params.padding == 1 ? Padding::same : Padding::valid) {
    Require(params.padding == 1 || params.padding == 2, "its padding is ", params.padding, ", expected SAME or VALID");
    for (const int size : {params.stride_height, params.stride_width, params.filter_height, params.filter_width}) {
      Require(1 <= size && size <= kMost, "it has a stride or filter of ", size, ", expected 1 to ", kMost);
    }
    const Limits limits = ClampOf(params.activation);
    shape_.filter_height = params.filter_height;
    shape_.filter_width = params.filter_width;
    shape_.stride_height = params.stride_height;
    shape_.stride_width = params.stride_width;
    shape_.average = average;
    shape_.low = limits.low;
    shape_.high = limits.high;
  }

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == 1 && inputs[0] != nullptr, "it needs one input");
    const TensorInfo& input = *inputs[0];
    Require(input.type == kTfLiteFloat32 && output.type == kTfLiteFloat32 && input.constant == nullptr,
            "its input and output must be float32 and change");
    RequireImage(input.dims);
    Slide(input.dims, padding_, 1, 1, &shape_);
    shape_.channels = input.dims[3];
    return {shape_.batches, shape_.out_height, shape_.out_width, shape_.channels};
  }

  void Run(const void* const* inputs, void* output, uint8_t*, ThreadPool& pool) const override {
    const auto* in = static_cast<const float*>(inputs[0]);
    RunLines(shape_.batches * shape_.out_height, size_t{1} * shape_.out_width * shape_.channels, pool,
             [&](int first, int lines) { kernel_.run(shape_, in, first, lines, static_cast<float*>(output)); });
  }

 private:
  const PoolVariant& kernel_;
  const Padding padding_;
  PoolShape shape_{};
};

}  // namespace

std::unique_ptr<Op> MakePool(int builtin_code, const void* params, Choice choice) {
  Require(params != nullptr, "it has no parameters");
  return std::make_unique<Pool>(*static_cast<const TfLitePoolParams*>(params),
                                builtin_code == kTfLiteBuiltinAveragePool2d, choice);
}

}  // namespace edgebnn

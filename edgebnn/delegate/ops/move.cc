// CONCATENATION, PAD, RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR.

#include "kernels/move/move.h"

#include <algorithm>
#include <cmath>

#include "ops/activation.h"
#include "ops/lines.h"
#include "ops/op.h"

namespace edgebnn {
namespace {

constexpr int kMost = 1 << 20;
constexpr size_t kMostInputs = 64;

void RequireFloatMap(const TensorInfo* tensor) {
  Require(tensor != nullptr && tensor->type == kTfLiteFloat32 && tensor->constant == nullptr,
          "it needs float32 inputs that change");
}

class Concatenation : public Op {
 public:
  Concatenation(const TfLiteConcatenationParams& params, Choice choice) : kernel_(SelectMove(choice)), axis_(params.axis) {
    Require(params.activation == static_cast<int>(Activation::none), "it has a fused activation");
  }

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(!inputs.empty() && inputs.size() <= kMostInputs, "it has ", inputs.size(), " inputs, expected 1 to ",
            kMostInputs);
    for (const TensorInfo* input : inputs) RequireFloatMap(input);
    Require(output.type == kTfLiteFloat32, "its output is not float32");
    Dims dims = inputs[0]->dims;
    const int rank = static_cast<int>(dims.size()), axis = axis_ < 0 ? axis_ + rank : axis_;
    Require(0 <= axis && axis < rank, "its axis is ", axis_, ", its inputs have ", rank, " dimensions");
    widths_.clear();
    int64_t along = 0;
    for (const TensorInfo* input : inputs) {
      Require(input->dims.size() == dims.size(), "its inputs have different ranks");
      for (int i = 0; i < rank; ++i) Require(i == axis || input->dims[i] == dims[i], "its inputs have different shapes");
      Elements(input->dims);
      widths_.push_back(Elements(Dims(input->dims.begin() + axis, input->dims.end())));
      along += input->dims[axis];
    }
    Require(along <= kMost * int64_t{kMostInputs}, "its output is too large");
    dims[axis] = static_cast<int>(along);
    Elements(dims);
    shape_ = {Elements(Dims(dims.begin(), dims.begin() + axis)), static_cast<int>(widths_.size()), widths_.data()};
    row_ = Elements(Dims(dims.begin() + axis, dims.end()));
    return dims;
  }

  void Run(const void* const* inputs, void* output, uint8_t*, ThreadPool& pool) const override {
    const float* ins[kMostInputs];
    for (size_t i = 0; i < widths_.size(); ++i) ins[i] = static_cast<const float*>(inputs[i]);
    RunLines(static_cast<int>(shape_.outer), row_, pool, [&](int first, int rows) {
      kernel_.concat(shape_, ins, static_cast<size_t>(first), static_cast<size_t>(rows), static_cast<float*>(output));
    });
  }

 private:
  const MoveVariant& kernel_;
  const int axis_;
  std::vector<size_t> widths_;
  ConcatShape shape_{};
  size_t row_ = 0;  // values of an output row
};

class PadOp : public Op {
 public:
  explicit PadOp(Choice choice) : kernel_(SelectMove(choice)) {}

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == 2 && inputs[1] != nullptr, "it needs an input and its paddings");
    RequireFloatMap(inputs[0]);
    Require(output.type == kTfLiteFloat32, "its output is not float32");
    Dims dims = inputs[0]->dims;
    const TensorInfo& paddings = *inputs[1];
    const int rank = static_cast<int>(dims.size());
    Require(1 <= rank && rank <= 4, "its input has ", rank, " dimensions, expected 1 to 4");
    Elements(dims);
    Require(paddings.type == kTfLiteInt32 && paddings.constant != nullptr && paddings.dims == Dims{rank, 2},
            "its paddings are not a constant of two int32 for each dimension");
    const auto* pairs = static_cast<const int32_t*>(paddings.constant);
    shape_ = {{1, 1, 1, 1}, {}, {}};
    for (int i = 0; i < rank; ++i) {
      const int32_t before = pairs[2 * i], after = pairs[2 * i + 1], to = 4 - rank + i;
      Require(0 <= before && before <= kMost && 0 <= after && after <= kMost && dims[i] <= kMost, "it pads by ", before,
              " and ", after, ", expected 0 to ", kMost);
      shape_.in[to] = dims[i];
      shape_.before[to] = before;
      shape_.after[to] = after;
      dims[i] += before + after;
    }
    Elements(dims);
    return dims;
  }

  void Run(const void* const* inputs, void* output, uint8_t*, ThreadPool&) const override {
    kernel_.pad(shape_, static_cast<const float*>(inputs[0]), static_cast<float*>(output));
  }

 private:
  const MoveVariant& kernel_;
  PadShape shape_{};
};

class Resize : public Op {
 public:
  Resize(const TfLiteResizeParams& params, bool nearest, Choice choice)
      : kernel_(SelectMove(choice)), align_corners_(params.align_corners == 1), half_pixels_(params.half_pixel_centers == 1) {
    Require(params.align_corners <= 1 && params.half_pixel_centers <= 1 && !(align_corners_ && half_pixels_),
            "it aligns both corners and half pixels");
    shape_.nearest = nearest;
  }

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == 2 && inputs[1] != nullptr, "it needs an input and a size");
    RequireFloatMap(inputs[0]);
    Require(output.type == kTfLiteFloat32, "its output is not float32");
    const Dims& dims = inputs[0]->dims;
    const TensorInfo& size = *inputs[1];
    Require(dims.size() == 4, "its input has ", dims.size(), " dimensions, expected 4");
    Elements(dims);
    Require(size.type == kTfLiteInt32 && size.constant != nullptr && size.dims == Dims{2},
            "its size is not a constant of two int32");
    const auto* sizes = static_cast<const int32_t*>(size.constant);
    for (int i = 0; i < 2; ++i) {
      Require(1 <= sizes[i] && sizes[i] <= kMost && dims[1 + i] <= kMost, "its output has a side of ", sizes[i],
              ", expected 1 to ", kMost);
    }
    const Dims to = {dims[0], sizes[0], sizes[1], dims[3]};
    Elements(to);
    rows_ = Samples(dims[1], sizes[0]);
    columns_ = Samples(dims[2], sizes[1]);
    shape_.batches = dims[0];
    shape_.in_height = dims[1];
    shape_.in_width = dims[2];
    shape_.channels = dims[3];
    shape_.out_height = sizes[0];
    shape_.out_width = sizes[1];
    shape_.rows = rows_.data();
    shape_.columns = columns_.data();
    return to;
  }

  void Run(const void* const* inputs, void* output, uint8_t*, ThreadPool& pool) const override {
    const auto* in = static_cast<const float*>(inputs[0]);
    RunLines(shape_.batches * shape_.out_height, size_t{1} * shape_.out_width * shape_.channels, pool,
             [&](int first, int lines) { kernel_.resize(shape_, in, first, lines, static_cast<float*>(output)); });
  }

 private:
  // In float32, as TFLite's kernels do.
  std::vector<Sample> Samples(int in, int out) const {
    const float scale = align_corners_ && out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
                                                  : static_cast<float>(in) / static_cast<float>(out);
    const float shift = half_pixels_ ? 0.5f : 0.0f;
    std::vector<Sample> samples(static_cast<size_t>(out));
    for (int i = 0; i < out; ++i) {
      const float position = (static_cast<float>(i) + shift) * scale;
      if (shape_.nearest) {
        const float whole = align_corners_ ? std::round(position) : std::floor(position);
        const int from = std::clamp(static_cast<int>(whole), 0, in - 1);
        samples[i] = {from, from, 0};
      } else {
        const float at = std::max(position - shift, 0.0f);
        const int low = std::min(static_cast<int>(at), in - 1);
        samples[i] = {low, std::min(low + 1, in - 1), at - static_cast<float>(low)};
      }
    }
    return samples;
  }

  const MoveVariant& kernel_;
  const bool align_corners_, half_pixels_;
  std::vector<Sample> rows_, columns_;
  ResizeShape shape_{};
};

}  // namespace

std::unique_ptr<Op> MakeConcatenation(const void* params, Choice choice) {
  Require(params != nullptr, "it has no parameters");
  return std::make_unique<Concatenation>(*static_cast<const TfLiteConcatenationParams*>(params), choice);
}

std::unique_ptr<Op> MakePad(Choice choice) { return std::make_unique<PadOp>(choice); }

std::unique_ptr<Op> MakeResize(int builtin_code, const void* params, Choice choice) {
  Require(params != nullptr, "it has no parameters");
  return std::make_unique<Resize>(*static_cast<const TfLiteResizeParams*>(params),
                                  builtin_code == kTfLiteBuiltinResizeNearestNeighbor, choice);
}

}  // namespace edgebnn

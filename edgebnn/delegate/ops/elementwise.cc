// ADD, SUB, MUL, DIV and the activations, as stages of a pass.

#include <algorithm>
#include <cmath>

#include "ops/activation.h"
#include "ops/op.h"

namespace edgebnn {
namespace {

bool IsFloatMap(const TensorInfo* tensor) {
  return tensor != nullptr && tensor->type == kTfLiteFloat32 && tensor->constant == nullptr;
}

class Elementwise : public Op {
 public:
  Elementwise(Form form, Limits limits, Choice choice)
      : stage_{form, false, nullptr, limits.low, limits.high}, kernel_(SelectElementwise(choice)) {}

  size_t ScratchBytes(int threads) const override { return Pass::scratch_bytes(channels_, threads); }

  void Run(const void* const* inputs, void* output, uint8_t* scratch, ThreadPool& pool) const override {
    const int map = TakesFromPass(0) ? 0 : 1;
    Pass pass;
    Append(inputs, map, output, &pass);
    pass.RunAll(static_cast<const float*>(inputs[map]), rows_, scratch, pool);
  }

  Part part() const override { return Part::stage; }
  size_t Rows() const override { return rows_; }
  int Channels() const override { return channels_; }

  void Append(const void* const* inputs, int input, void* output, Pass* pass) const override {
    Pass::Step& step = pass->steps[pass->step_count++];
    step.stage = stage_;
    if (stage_.form != Form::none) {
      step.stage.operand = stage_.per_channel ? constants_.data() : static_cast<const float*>(inputs[1 - input]);
    }
    step.out = static_cast<float*>(output);
    pass->channels = channels_;
    pass->elementwise = &kernel_;
  }

 protected:
  Dims SetMap(const TensorInfo& map, const TensorInfo& output) {
    Require(output.type == kTfLiteFloat32, "its output is not float32");
    Require(!map.dims.empty(), "its input is a scalar");
    channels_ = map.dims.back();
    rows_ = Elements(map.dims) / static_cast<size_t>(channels_);
    return map.dims;
  }

  // One value for all channels or one for each.
  void SetConstants(const TensorInfo& constant, const Dims& map) {
    Require(constant.type == kTfLiteFloat32, "its constant is not float32");
    const size_t count = Elements(constant.dims);
    const bool last_axis = !constant.dims.empty() && static_cast<size_t>(constant.dims.back()) == count;
    Require(constant.dims.size() <= map.size() && (count == 1 || (last_axis && constant.dims.back() == channels_)),
            "its constant is neither one value nor one for each of ", channels_, " channels");
    const auto* values = static_cast<const float*>(constant.constant);
    constants_.resize(channels_);
    for (int c = 0; c < channels_; ++c) constants_[c] = values[count == 1 ? 0 : c];
    stage_.per_channel = true;
  }

  Stage stage_;
  std::vector<float> constants_;  // [channels]

 private:
  const ElementwiseVariant& kernel_;
  size_t rows_ = 0;
  int channels_ = 1;
};

class Arithmetic : public Elementwise {
 public:
  using Elementwise::Elementwise;

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == 2 && inputs[0] != nullptr && inputs[1] != nullptr, "it needs two inputs");
    const bool first = IsFloatMap(inputs[0]), second = IsFloatMap(inputs[1]);
    Require(first || second, "it has no float32 input that changes");
    map_ = first ? 0 : 1;
    const TensorInfo &map = *inputs[map_], &other = *inputs[1 - map_];
    Require(first || Commutes(), "its first input is a constant");
    const Dims dims = SetMap(map, output);
    stage_.per_channel = !(first && second);
    if (stage_.per_channel) {
      Require(other.constant != nullptr, "its other input is not float32");
      SetConstants(other, map.dims);
    } else {
      Require(map.dims == other.dims, "its inputs have different shapes");
    }
    return dims;
  }

  bool TakesFromPass(int input) const override {
    return stage_.per_channel ? input == map_ : input == 0 || Commutes();
  }

 private:
  bool Commutes() const { return stage_.form == Form::add || stage_.form == Form::multiply; }

  int map_ = 0;
};

class ActivationOp : public Elementwise {
 public:
  // `slope`: of LEAKY_RELU; PRELU has it in its second input.
  ActivationOp(Form form, Limits limits, float slope, bool has_input, Choice choice)
      : Elementwise(form, limits, choice), slope_(slope), has_input_(has_input) {}

  Dims Prepare(const std::vector<const TensorInfo*>& inputs, const TensorInfo& output) override {
    Require(inputs.size() == (has_input_ ? 2 : 1) && IsFloatMap(inputs[0]), "it needs one float32 input that changes");
    const Dims dims = SetMap(*inputs[0], output);
    if (has_input_) {
      Require(inputs[1] != nullptr && inputs[1]->constant != nullptr, "its slopes are not constants");
      SetConstants(*inputs[1], dims);
    } else if (stage_.form != Form::none) {
      SetConstants({kTfLiteFloat32, {1}, 0, 0, &slope_}, dims);
    }
    return dims;
  }

  bool TakesFromPass(int input) const override { return input == 0; }

 private:
  const float slope_;
  const bool has_input_;
};

}  // namespace

std::unique_ptr<Op> MakeArithmetic(int builtin_code, const void* params, Choice choice) {
  Require(params != nullptr, "it has no parameters");
  const Limits limits = ClampOf(static_cast<const TfLiteActivationParams*>(params)->activation);
  const Form form = builtin_code == kTfLiteBuiltinAdd   ? Form::add
                    : builtin_code == kTfLiteBuiltinSub ? Form::subtract
                    : builtin_code == kTfLiteBuiltinMul ? Form::multiply
                                                        : Form::divide;
  return std::make_unique<Arithmetic>(form, limits, choice);
}

std::unique_ptr<Op> MakeActivation(int builtin_code, const void* params, Choice choice) {
  const Limits open = ClampOf(static_cast<int>(Activation::none));
  const auto clamp = [&](Activation activation) {
    return std::make_unique<ActivationOp>(Form::none, ClampOf(static_cast<int>(activation)), 0.0f, false, choice);
  };
  switch (builtin_code) {
    case kTfLiteBuiltinRelu:
      return clamp(Activation::relu);
    case kTfLiteBuiltinReluN1To1:
      return clamp(Activation::relu_n1_to_1);
    case kTfLiteBuiltinRelu6:
      return clamp(Activation::relu6);
    case kTfLiteBuiltinPrelu:
      return std::make_unique<ActivationOp>(Form::scale_negative, open, 0.0f, true, choice);
    default: {
      Require(params != nullptr, "it has no parameters");
      const float slope = static_cast<const TfLiteLeakyReluParams*>(params)->alpha;
      Require(std::isfinite(slope), "its slope is not a finite number");
      return std::make_unique<ActivationOp>(Form::scale_negative, open, slope, false, choice);
    }
  }
}

}  // namespace edgebnn

#include "kernels/elementwise/elementwise.h"

namespace edgebnn {
namespace {

float Value(Form form, float x, float o) {
  switch (form) {
    case Form::add:
      return x + o;
    case Form::subtract:
      return x - o;
    case Form::multiply:
      return x * o;
    case Form::divide:
      return x / o;
    case Form::scale_negative:
      return x < 0 ? x * o : x;
    default:
      return x;
  }
}

void Run(const Stage& stage, const float* in, size_t rows, int channels, float* out) {
  for (size_t row = 0; row < rows; ++row) {
    for (int c = 0; c < channels; ++c) {
      const size_t at = row * channels + c;
      const float o = stage.form == Form::none ? 0 : stage.operand[stage.per_channel ? c : at];
      float y = Value(stage.form, in[at], o);
      if (y < stage.low) y = stage.low;
      if (y > stage.high) y = stage.high;
      out[at] = y;
    }
  }
}

}  // namespace

extern const ElementwiseVariant kElementwiseReference = {"reference", Feature::none, Run};

}  // namespace edgebnn

// The stages as loops that compilers turn into the vectors of the file that includes this.
#pragma once

#include <cstddef>

#include "kernels/elementwise/elementwise.h"

// Elements do not depend on each other, also where `out` is one of the inputs.
#if defined(__clang__)
#define EDGEBNN_INDEPENDENT _Pragma("clang loop vectorize(assume_safety) interleave(enable)")
#else
#define EDGEBNN_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace edgebnn {
namespace {  // each instruction set gets its own copy

template <Form kForm>
inline float Value(float x, float o) {
  if constexpr (kForm == Form::add) return x + o;
  if constexpr (kForm == Form::subtract) return x - o;
  if constexpr (kForm == Form::multiply) return x * o;
  if constexpr (kForm == Form::divide) return x / o;
  if constexpr (kForm == Form::scale_negative) return x < 0 ? x * o : x;
  return x;
}

template <Form kForm, bool kClamped>
void RunFlat(const float* in, const float* operand, size_t count, float low, float high, float* out) {
  EDGEBNN_INDEPENDENT
  for (size_t i = 0; i < count; ++i) {
    float y = Value<kForm>(in[i], kForm == Form::none ? 0 : operand[i]);
    if constexpr (kClamped) {
      y = y < low ? low : y;
      y = y > high ? high : y;
    }
    out[i] = y;
  }
}

template <Form kForm, bool kClamped>
void RunForm(const Stage& stage, const float* in, size_t rows, int channels, float* out) {
  if (kForm == Form::none || !stage.per_channel) {
    RunFlat<kForm, kClamped>(in, stage.operand, rows * channels, stage.low, stage.high, out);
    return;
  }
  for (size_t row = 0; row < rows; ++row, in += channels, out += channels) {
    RunFlat<kForm, kClamped>(in, stage.operand, static_cast<size_t>(channels), stage.low, stage.high, out);
  }
}

template <Form kForm>
void RunClamped(const Stage& stage, const float* in, size_t rows, int channels, float* out) {
  constexpr float kInfinity = __builtin_inff();
  const auto run = stage.low == -kInfinity && stage.high == kInfinity ? RunForm<kForm, false> : RunForm<kForm, true>;
  run(stage, in, rows, channels, out);
}

void RunLoops(const Stage& stage, const float* in, size_t rows, int channels, float* out) {
  switch (stage.form) {
    case Form::none:
      return RunClamped<Form::none>(stage, in, rows, channels, out);
    case Form::add:
      return RunClamped<Form::add>(stage, in, rows, channels, out);
    case Form::subtract:
      return RunClamped<Form::subtract>(stage, in, rows, channels, out);
    case Form::multiply:
      return RunClamped<Form::multiply>(stage, in, rows, channels, out);
    case Form::divide:
      return RunClamped<Form::divide>(stage, in, rows, channels, out);
    case Form::scale_negative:
      return RunClamped<Form::scale_negative>(stage, in, rows, channels, out);
  }
}

}  // namespace
}  // namespace edgebnn

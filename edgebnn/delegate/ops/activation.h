// Fused activations, by the numbers of TFLite's parameter structs and schema.
#pragma once

#include <limits>

#include "ops/refusal.h"

namespace edgebnn {

enum class Activation { none = 0, relu = 1, relu_n1_to_1 = 2, relu6 = 3 };

struct Limits {
  float low, high;
};

// The range that an activation clamps to; Refusal for those that do something else.
inline Limits ClampOf(int activation) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  switch (static_cast<Activation>(activation)) {
    case Activation::none:
      return {-kInfinity, kInfinity};
    case Activation::relu:
      return {0, kInfinity};
    case Activation::relu_n1_to_1:
      return {-1, 1};
    case Activation::relu6:
      return {0, 6};
  }
  throw Refusal("its fused activation is " + std::to_string(activation) + ", expected NONE, RELU, RELU_N1_TO_1 or RELU6");
}

}  // namespace edgebnn

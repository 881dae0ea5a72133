#include "ops/op.h"

#include <limits>

namespace edgebnn {

size_t Elements(const Dims& dims) {
  int64_t product = 1;
  for (const int dim : dims) {
    Require(dim > 0, "a tensor has a dimension of ", dim);
    product *= dim;
    Require(product <= std::numeric_limits<int32_t>::max(), "a tensor has 2^31 elements or more");
  }
  return static_cast<size_t>(product);
}

bool IsLceOp(const std::string& name) {
  return name == "LceQuantize" || name == "LceDequantize" || name == "LceBconv2d" || name == "LceBMaxPool2d";
}

std::unique_ptr<Op> MakeOp(const std::string& name, const void* options, size_t options_size, Choice choice) {
  if (name == "LceQuantize") return MakeQuantize(choice);
  if (name == "LceDequantize") return MakeDequantize(choice);
  if (name == "LceBconv2d") return MakeBConv2D(Options(options, options_size), choice);
  if (name == "LceBMaxPool2d") return MakeBMaxPool(Options(options, options_size), choice);
  throw Refusal("it is not an op of Larq Compute Engine");
}

}  // namespace edgebnn

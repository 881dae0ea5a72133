// Which steps of a partition go over the map together, in one pass (kernels/elementwise/pass.h).
#pragma once

#include <vector>

#include "ops/op.h"

namespace edgebnn {

struct FusionStep {
  Part part;
  std::vector<int> inputs;  // tensors that change; -1 at the places of others
  std::vector<bool> takes;  // of each input: whether it can come from a pass
  int output;               // a tensor
};

// Steps that run one behind the other on each block of values: an optional source, stages, optional signs; or a single
// step of any part. From the second on, step steps[i] takes its input inputs[i] from steps[i - 1].
struct Group {
  std::vector<int> steps;
  std::vector<int> inputs;  // inputs[0] is what the group's first step reads where it is a stage or signs, else -1
};

// All steps, in groups in an order in which each has what it reads. `steps` are in such an order themselves, and each
// tensor has one writer.
std::vector<Group> Fuse(const std::vector<FusionStep>& steps);

}  // namespace edgebnn

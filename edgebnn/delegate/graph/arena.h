// Where the tensors inside a partition live: one block of memory, shared by tensors whose lives do not overlap.
#pragma once

#include <cstddef>
#include <vector>

namespace edgebnn {

constexpr size_t kAlignment = 64;

struct Lifetime {
  size_t bytes;
  int first;  // step that writes it
  int last;   // last step that reads it
};

// Offsets of all tensors, multiples of kAlignment, such that tensors alive at the same step do not overlap
// (largest first, lowest gap that fits). `*total` receives the bytes needed.
std::vector<size_t> PlanArena(const std::vector<Lifetime>& tensors, size_t* total);

}  // namespace edgebnn

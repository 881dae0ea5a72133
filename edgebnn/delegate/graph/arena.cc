#include "graph/arena.h"

#include <algorithm>
#include <numeric>

namespace edgebnn {

std::vector<size_t> PlanArena(const std::vector<Lifetime>& tensors, size_t* total) {
  std::vector<size_t> order(tensors.size()), offsets(tensors.size(), 0);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return tensors[a].bytes > tensors[b].bytes; });
  std::vector<size_t> placed;  // sorted by offset
  *total = 0;
  for (const size_t tensor : order) {
    const auto& life = tensors[tensor];
    size_t offset = 0;
    for (const size_t other : placed) {
      const auto& taken = tensors[other];
      if (taken.last < life.first || life.last < taken.first) continue;
      if (offsets[other] >= offset + life.bytes) break;
      const size_t end = offsets[other] + taken.bytes;
      offset = std::max(offset, (end + kAlignment - 1) / kAlignment * kAlignment);
    }
    offsets[tensor] = offset;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), tensor,
                                   [&](size_t a, size_t b) { return offsets[a] < offsets[b]; }),
                  tensor);
    *total = std::max(*total, offset + life.bytes);
  }
  return offsets;
}

}  // namespace edgebnn

#include "graph/claim.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace edgebnn {
namespace {

// Glue that reaches a binary node through glue.
std::vector<bool> Connected(const std::vector<GraphNode>& nodes) {
  std::unordered_map<int, std::vector<size_t>> writers, readers;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const int tensor : nodes[i].outputs) writers[tensor].push_back(i);
    for (const int tensor : nodes[i].inputs) readers[tensor].push_back(i);
  }
  std::vector<bool> claimed(nodes.size(), false);
  std::vector<size_t> waiting;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].kind == Claimable::binary) waiting.push_back(i);
  }
  const auto visit = [&](int tensor, const std::unordered_map<int, std::vector<size_t>>& neighbours) {
    const auto found = neighbours.find(tensor);
    if (tensor < 0 || found == neighbours.end()) return;
    for (const size_t neighbour : found->second) {
      if (nodes[neighbour].kind == Claimable::glue && !claimed[neighbour]) waiting.push_back(neighbour);
    }
  };
  while (!waiting.empty()) {
    const size_t node = waiting.back();
    waiting.pop_back();
    if (claimed[node]) continue;
    claimed[node] = true;
    for (const int tensor : nodes[node].inputs) visit(tensor, writers);
    for (const int tensor : nodes[node].outputs) visit(tensor, readers);
  }
  return claimed;
}

size_t CountClaimed(const std::vector<int>& partitions, const std::vector<bool>& claimed) {
  std::unordered_set<int> ours;
  for (size_t i = 0; i < partitions.size(); ++i) {
    if (claimed[i]) ours.insert(partitions[i]);
  }
  return ours.size();
}

// Takes back the glue of partitions without a binary node; whether there was any.
bool Prune(const std::vector<GraphNode>& nodes, const std::vector<int>& partitions, std::vector<bool>* claimed) {
  std::unordered_set<int> binary;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].kind == Claimable::binary) binary.insert(partitions[i]);
  }
  bool pruned = false;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!(*claimed)[i] || binary.count(partitions[i]) > 0) continue;
    (*claimed)[i] = false;
    pruned = true;
  }
  return pruned;
}

}  // namespace

std::vector<int> MakePartitions(const std::vector<GraphNode>& nodes, const std::vector<bool>& claimed) {
  std::vector<int> partitions(nodes.size(), -1);
  std::unordered_set<int> pending;  // tensors that are yet to be written
  for (const GraphNode& node : nodes) pending.insert(node.outputs.begin(), node.outputs.end());
  std::vector<size_t> waiting(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) waiting[i] = i;
  for (int partition = 0; !waiting.empty(); ++partition) {
    bool sort = false, known = false;
    for (bool progress = true; progress;) {
      std::vector<size_t> left;
      for (const size_t i : waiting) {
        const auto& inputs = nodes[i].inputs;
        const bool ready = std::none_of(inputs.begin(), inputs.end(),
                                        [&](int tensor) { return tensor >= 0 && pending.count(tensor) > 0; });
        if (!ready || (known && claimed[i] != sort)) {
          left.push_back(i);
          continue;
        }
        sort = claimed[i];
        known = true;
        partitions[i] = partition;
        for (const int tensor : nodes[i].outputs) pending.erase(tensor);
      }
      progress = left.size() < waiting.size();
      waiting = std::move(left);
    }
    if (!known) break;
  }
  return partitions;
}

std::vector<int> Claim(const std::vector<GraphNode>& nodes, bool fuse) {
  std::vector<bool> binary(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) binary[i] = nodes[i].kind == Claimable::binary;
  std::vector<bool> claimed = fuse ? Connected(nodes) : binary;
  if (claimed != binary) {
    constexpr int kMostRounds = 16;  // graphs that need more are not worth it
    std::vector<int> partitions = MakePartitions(nodes, claimed);
    int rounds = 0;
    while (Prune(nodes, partitions, &claimed) && ++rounds < kMostRounds) partitions = MakePartitions(nodes, claimed);
    const size_t alone = CountClaimed(MakePartitions(nodes, binary), binary);
    if (rounds == kMostRounds || CountClaimed(partitions, claimed) > alone) claimed = binary;
  }
  std::vector<int> positions;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (claimed[i]) positions.push_back(static_cast<int>(i));
  }
  return positions;
}

}  // namespace edgebnn

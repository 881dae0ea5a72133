// Which nodes of a graph the delegate takes.
#pragma once

#include <cstddef>
#include <vector>

namespace edgebnn {

// binary: an op of LCE. glue: a float op that we can run. other: whatever else.
enum class Claimable { other, glue, binary };

struct GraphNode {
  Claimable kind;
  std::vector<int> inputs, outputs;  // tensors; negative ones are absent
};

// Positions of the nodes to claim, of `nodes` in execution order:
//   1. every binary node; with `fuse` also the glue that is connected to one through glue;
//   2. without the glue that the runtime would put into partitions that hold no binary node;
//   3. the binary nodes alone, where the glue would make more partitions than they do.
std::vector<int> Claim(const std::vector<GraphNode>& nodes, bool fuse);

// The partition of each node as TFLite makes them of claimed nodes and of the others, alternating: each takes all nodes
// of its sort that have their inputs. -1 for nodes that never have them.
std::vector<int> MakePartitions(const std::vector<GraphNode>& nodes, const std::vector<bool>& claimed);

}  // namespace edgebnn

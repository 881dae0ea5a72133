// A TFLite host in memory: the other side of the C ABI that the delegate calls, for graphs that no real host would load.
// Every tensor has a heap block of exactly its bytes, so that a sanitizer sees the first byte out of bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace edgebnn {

struct HostTensor {
  int type = 1;
  std::vector<int> dims;
  float scale = 0;
  int32_t zero_point = 0;
  bool constant = false;
  std::vector<uint8_t> data;  // of a constant; its size is the tensor's `bytes`
};

struct HostNode {
  std::string name;  // of a custom op; empty for a builtin
  std::vector<int> inputs, outputs;
  std::vector<uint8_t> options;
  int builtin = 0;              // the code of a builtin
  std::vector<uint8_t> params;  // what its builtin_data points to; empty: nullptr
};

struct HostGraph {
  std::vector<HostTensor> tensors;
  std::vector<HostNode> nodes;
  std::vector<int> inputs, outputs;
};

struct Outcome {
  enum Kind { ran, refused, not_loaded } kind = not_loaded;
  std::string message;                        // what the delegate reported
  std::vector<std::vector<uint8_t>> outputs;  // of HostGraph::outputs
};

// A host whose struct `of` has eight more bytes, a pointer, at offset `at`.
struct Shift {
  enum Struct { none, context, tensor, node, registration } of = none;
  size_t at = 0;
};

// Loads the plug-in with the option `kernel`, and does what an interpreter does: partitions, init, prepare, allocation,
// invoke; then again with another height of the first input. not_loaded: the host itself would refuse the graph. With a
// shift it stops behind the delegate's claim.
Outcome RunHost(const HostGraph& graph, const char* kernel, const char* num_threads, Shift shift = {});

}  // namespace edgebnn

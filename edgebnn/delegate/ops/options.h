// The custom options of an LCE op: a FlexBuffers map from names to integers, read with every offset checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace edgebnn {

class Options {
 public:
  // Reads a FlexBuffers map (https://flatbuffers.dev/internals, "FlexBuffers"); throws Refusal when it is malformed.
  Options(const void* data, size_t size);

  // The integer called `name`, within [low, high]; throws Refusal naming the option otherwise.
  int Get(const char* name, int low, int high) const;

 private:
  std::vector<std::pair<std::string, int64_t>> entries_;
};

}  // namespace edgebnn

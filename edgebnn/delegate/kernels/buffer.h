// Memory aligned for any vector load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace edgebnn {

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<uint8_t[], FreeMemory>;

constexpr size_t kBufferAlignment = 64;

inline size_t RoundUp(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

inline Buffer AllocateBuffer(size_t bytes) {
  void* memory = std::aligned_alloc(kBufferAlignment, RoundUp(bytes + 1, kBufferAlignment));
  if (memory == nullptr) throw std::bad_alloc();
  return Buffer(static_cast<uint8_t*>(memory));
}

}  // namespace edgebnn

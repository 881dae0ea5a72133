// Memory that the partitions of one interpreter use in turn: nothing in it outlives an invoke of a partition.
#pragma once

#include <iterator>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/buffer.h"
#include "tflite_abi.h"

namespace edgebnn {

class Workspace {
 public:
  // Makes it at least as large; what was in it is lost.
  void Reserve(size_t bytes) {
    if (memory_ != nullptr && bytes <= bytes_) return;
    memory_ = AllocateBuffer(bytes);
    bytes_ = bytes;
  }

  uint8_t* memory() const { return memory_.get(); }

 private:
  Buffer memory_;
  size_t bytes_ = 0;
};

// One workspace for each context, as long as a partition holds it. A host prepares and invokes the nodes of a context one
// after the other, but several contexts at the same time.
class Workspaces {
 public:
  std::shared_ptr<Workspace> Of(const TfLiteContext* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto entry = held_.begin(); entry != held_.end();) {
      entry = entry->second.expired() ? held_.erase(entry) : std::next(entry);
    }
    auto workspace = held_[context].lock();
    if (workspace == nullptr) held_[context] = workspace = std::make_shared<Workspace>();
    return workspace;
  }

 private:
  std::mutex mutex_;
  std::map<const TfLiteContext*, std::weak_ptr<Workspace>> held_;
};

}  // namespace edgebnn

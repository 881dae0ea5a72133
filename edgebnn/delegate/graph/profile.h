// How long groups of nodes take (option profile=1), by partitions of any number of interpreters.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace edgebnn {

class Profile {
 public:
  // `nodes` ran once more, together, for so long.
  void Add(const std::vector<int>& nodes, int64_t nanoseconds) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Entry& entry = entries_[nodes];
    entry.nanoseconds += nanoseconds;
    ++entry.runs;
  }

  // Calls see(nodes, count, nanoseconds, runs) for each group, and forgets them.
  template <class See>
  void Take(const See& see) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [nodes, entry] : entries_) {
      see(nodes.data(), static_cast<int>(nodes.size()), entry.nanoseconds, entry.runs);
    }
    entries_.clear();
  }

 private:
  struct Entry {
    int64_t nanoseconds = 0, runs = 0;
  };
  std::mutex mutex_;
  std::map<std::vector<int>, Entry> entries_;
};

}  // namespace edgebnn

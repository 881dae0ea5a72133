// Output lines of a float map shared out among threads.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/threads.h"

namespace edgebnn {

// Calls body(first, lines) for all `lines` lines of `floats` values, in parts where they are many.
template <class Body>
void RunLines(int lines, size_t floats, ThreadPool& pool, const Body& body) {
  constexpr size_t kTaskFloats = 8192;  // of a task: about two microseconds'
  const int tasks = static_cast<int>(std::clamp<size_t>(floats * lines / kTaskFloats, 1, lines));
  pool.Run(tasks, [&](int, int task) {
    const auto first = static_cast<int>(int64_t{lines} * task / tasks);
    body(first, static_cast<int>(int64_t{lines} * (task + 1) / tasks) - first);
  });
}

}  // namespace edgebnn

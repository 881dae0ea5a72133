// A small pool of worker threads for loops inside one operator.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace edgebnn {

// Threads start at the first loop that needs them, sleep between loops and are joined in the destructor.
// One loop runs on the pool at a time; a loop that comes while it is busy runs on its caller's thread.
class ThreadPool {
 public:
  explicit ThreadPool(int threads) : threads_(threads) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls body(thread, task) once for each task in [0, tasks); thread in [0, threads()) tells concurrent calls apart.
  // `body` must not throw.
  void Run(int tasks, const std::function<void(int thread, int task)>& body);

 private:
  void StartWorkers();
  void Work(int thread);

  const int threads_;
  std::mutex loop_;  // held by the loop that uses the workers
  std::mutex mutex_;
  std::condition_variable start_, done_;
  std::vector<std::thread> workers_;
  const std::function<void(int, int)>* body_ = nullptr;
  uint64_t round_ = 0;
  int next_ = 0, tasks_ = 0, running_ = 0;
  bool stop_ = false, short_of_threads_ = false;
};

}  // namespace edgebnn

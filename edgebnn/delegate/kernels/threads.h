// A small pool of worker threads for loops inside one operator.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace edgebnn {

// Workers start at the first loop that needs them and are joined in the destructor. They sleep; only inside a Burst do
// they wait for the next loop awake. One loop runs on the pool at a time; a loop that comes while it is busy runs on its
// caller's thread. A forked child has no workers: its loops run on its own thread, and it must not destroy the pool.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Calls body(thread, task) once for each task in [0, tasks); thread in [0, threads()) tells concurrent calls apart.
  // A thread begins with a contiguous share of the tasks, the same in each loop, so that it finds in its cache what it
  // wrote in the loop before; when done, it takes from the end of another's. `body` must not throw.
  template <class Body>
  void Run(int tasks, const Body& body) {
    if (threads_ == 1 || tasks <= 1 || busy_.exchange(true, std::memory_order_acquire)) {
      for (int task = 0; task < tasks; ++task) body(0, task);
      return;
    }
    RunOnAll(tasks, {&body, [](const void* context, int thread, int task) {
                       (*static_cast<const Body*>(context))(thread, task);
                     }});
    busy_.store(false, std::memory_order_release);
  }

  // Loops that follow each other closely: while one lives, workers without a loop stay awake, for kAwake at most.
  class Burst {
   public:
    explicit Burst(ThreadPool& pool) : pool_(pool) { pool_.bursts_.fetch_add(1, std::memory_order_relaxed); }
    ~Burst() { pool_.bursts_.fetch_sub(1, std::memory_order_relaxed); }
    Burst(const Burst&) = delete;
    Burst& operator=(const Burst&) = delete;

   private:
    ThreadPool& pool_;
  };

 private:
  struct Loop {
    const void* body;
    void (*call)(const void* body, int thread, int task);
  };
  // Tasks [first, end) that nobody has taken, in one word: first in the low half, end in the high half.
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
  };

  void RunOnAll(int tasks, const Loop& loop);
  void StartWorkers();
  void Work(int thread);
  uint32_t AwaitLoop(uint32_t seen);
  int Take(int thread);
  int RunTasks(int thread);

  const int threads_;
  const bool may_spin_;  // a core for each thread
  std::vector<std::thread> workers_;
  bool short_of_threads_ = false;
  std::atomic<bool> busy_{false};  // a loop uses the workers
  Loop loop_{};                    // does not change while a task is taken and not finished
  const std::unique_ptr<Share[]> shares_;
  alignas(64) std::atomic<uint32_t> loops_{0};  // so far; workers sleep on it
  std::atomic<int> sleeping_{0}, bursts_{0};
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> unfinished_{0};  // tasks of the loop, and kCallerSleeps; its caller sleeps on it
};

}  // namespace edgebnn

#include "kernels/threads.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <exception>

namespace edgebnn {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kAwake = std::chrono::microseconds(100);  // longer than nearly all that lies between two loops
constexpr int kPauses = 64;                              // about a microsecond
constexpr uint32_t kCallerSleeps = uint32_t{1} << 31;

// Tells the core that this is a loop that waits.
inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__ARM_ARCH) && __ARM_ARCH >= 7)
  asm volatile("yield" ::: "memory");
#endif
}

// Whether `ready` came true before `patience` was over. Yields now and then, so that it does not keep a core from a
// thread that has work; and when it gets the core back, its patience is over.
template <class Ready>
bool Spin(Clock::duration patience, Ready ready) {
  const auto end = Clock::now() + patience;
  do {
    for (int i = 0; i < kPauses; ++i) {
      if (ready()) return true;
      Pause();
    }
    sched_yield();
  } while (Clock::now() < end);
  return ready();
}

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);

// Sleeps unless `word` has changed; may wake for no reason. Futexes and not a condition variable: they hold no lock,
// which a forked child might find taken for ever.
void SleepWhile(std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void Wake(std::atomic<uint32_t>& word, int sleepers) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, sleepers, nullptr, nullptr, 0);
}

int Cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
  return static_cast<int>(std::thread::hardware_concurrency());
}

constexpr uint64_t Pack(uint32_t first, uint32_t end) { return first | uint64_t{end} << 32; }

}  // namespace

ThreadPool::ThreadPool(int threads)
    : threads_(threads), may_spin_(threads <= Cores()), shares_(new Share[threads]) {
  workers_.reserve(threads - 1);
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  loops_.fetch_add(1);
  Wake(loops_, INT_MAX);
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::RunOnAll(int tasks, const Loop& loop) {
  StartWorkers();
  loop_ = loop;
  unfinished_.store(tasks, std::memory_order_relaxed);
  for (int thread = 0; thread < threads_; ++thread) {
    const auto bound = [&](int t) { return static_cast<uint32_t>(int64_t{tasks} * t / threads_); };
    shares_[thread].left.store(Pack(bound(thread), bound(thread + 1)), std::memory_order_release);
  }
  // A worker counts itself as sleeping, then looks at loops_; we count the loop, then look at sleeping_: one sees the
  // other.
  loops_.fetch_add(1);
  if (sleeping_.load() > 0) Wake(loops_, tasks - 1);
  unfinished_.fetch_sub(RunTasks(0), std::memory_order_acq_rel);

  const auto finished = [&] { return unfinished_.load(std::memory_order_acquire) == 0; };
  if (finished() || (may_spin_ && Spin(kAwake, finished))) return;
  uint32_t left = unfinished_.fetch_or(kCallerSleeps) | kCallerSleeps;
  while (left != kCallerSleeps) {
    SleepWhile(unfinished_, left);
    left = unfinished_.load(std::memory_order_acquire);
  }
}

void ThreadPool::StartWorkers() {
  try {
    while (!short_of_threads_ && static_cast<int>(workers_.size()) < threads_ - 1) {
      workers_.emplace_back(&ThreadPool::Work, this, static_cast<int>(workers_.size()) + 1);
    }
  } catch (const std::exception&) {
    short_of_threads_ = true;  // a limit on tasks or memory; the loop is done by fewer
  }
}

void ThreadPool::Work(int thread) {
  for (uint32_t seen = 0;;) {
    seen = AwaitLoop(seen);
    if (stop_.load()) return;
    const uint32_t done = RunTasks(thread);
    if (done > 0 && unfinished_.fetch_sub(done, std::memory_order_acq_rel) == (done | kCallerSleeps)) {
      Wake(unfinished_, 1);
    }
  }
}

// Returns the number of loops when it is not `seen`.
uint32_t ThreadPool::AwaitLoop(uint32_t seen) {
  uint32_t now = loops_.load(std::memory_order_acquire);
  const auto comes = [&] { return (now = loops_.load(std::memory_order_acquire)) != seen; };
  const auto over = [&] { return bursts_.load(std::memory_order_relaxed) == 0; };
  if (may_spin_ && !over()) Spin(kAwake, [&] { return comes() || over(); });
  while (!comes()) {
    sleeping_.fetch_add(1);
    SleepWhile(loops_, seen);
    sleeping_.fetch_sub(1, std::memory_order_relaxed);
  }
  return now;
}

// A task that is now this thread's, or -1.
int ThreadPool::Take(int thread) {
  for (int i = 0; i < threads_; ++i) {
    auto& left = shares_[(thread + i) % threads_].left;
    uint64_t tasks = left.load(std::memory_order_relaxed);
    for (;;) {
      const auto first = static_cast<uint32_t>(tasks), end = static_cast<uint32_t>(tasks >> 32);
      if (first >= end) break;
      const bool own = i == 0;
      const uint64_t rest = own ? Pack(first + 1, end) : Pack(first, end - 1);
      // Should this be a later loop's share by now, it is a task of that loop, and loop_ is read after it was taken.
      if (left.compare_exchange_weak(tasks, rest, std::memory_order_acquire, std::memory_order_relaxed)) {
        return static_cast<int>(own ? first : end - 1);
      }
    }
  }
  return -1;
}

// Runs tasks until none is left; how many.
int ThreadPool::RunTasks(int thread) {
  int done = 0;
  for (int task; (task = Take(thread)) >= 0; ++done) loop_.call(loop_.body, thread, task);
  return done;
}

}  // namespace edgebnn

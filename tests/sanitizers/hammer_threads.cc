// For ThreadSanitizer: many threads use one ThreadPool, and one convolution, at the same time; and what becomes of a
// pool in a forked child, without threads, asleep.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kernels/bconv2d/bconv2d.h"

using namespace edgebnn;

namespace {

constexpr int kCallers = 4;

template <class Body>
void InParallel(Body body) {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) callers.emplace_back(body, caller);
  for (auto& caller : callers) caller.join();
}

// Every task once, no thread number twice at a time, whoever calls, also with more threads than cores.
bool LoopsFromManyThreads(int threads) {
  ThreadPool pool(threads);
  std::atomic<int> wrong{0};
  InParallel([&](int caller) {
    std::unique_ptr<ThreadPool::Burst> burst;
    for (int round = 0; round < 300; ++round) {
      if (round % 8 == caller) burst = std::make_unique<ThreadPool::Burst>(pool);
      if (round % 8 == 7) burst.reset();
      const int tasks = (round * 7 + caller) % 23;
      std::vector<int> done(tasks, 0);
      std::vector<int> of_thread(pool.threads(), 0);  // unguarded: two calls with one number would be a race
      pool.Run(tasks, [&](int thread, int task) {
        ++done[task];
        ++of_thread[thread];
      });
      int sum = 0;
      for (const int count : of_thread) sum += count;
      for (const int count : done) wrong += count != 1;
      wrong += sum != tasks;
    }
  });
  return wrong == 0;
}

// Pools that end before, during and after their workers' first loop.
bool ShortLives() {
  std::atomic<int> calls{0};
  for (int round = 0; round < 100; ++round) {
    ThreadPool pool(1 + round % 4);
    for (int loop = 0; loop < round % 3; ++loop) pool.Run(5, [&](int, int) { ++calls; });
  }
  return calls == 5 * 99;
}

// What one loop writes the next one reads, whichever thread does it.
bool LoopsSeeEachOther() {
  ThreadPool pool(2);
  const ThreadPool::Burst burst(pool);
  std::vector<int> values(64, 0);  // unguarded
  for (int round = 0; round < 2000; ++round) {
    pool.Run(64, [&](int, int task) { values[(task + 7 * round) % 64] += 1; });
  }
  for (const int value : values) {
    if (value != 2000) return false;
  }
  return true;
}

// A loop inside a task runs on the task's thread.
bool LoopInsideLoop() {
  ThreadPool pool(3);
  std::atomic<int> inner{0}, wrong{0};
  pool.Run(10, [&](int, int) {
    const auto self = std::this_thread::get_id();
    pool.Run(4, [&](int thread, int) {
      wrong += thread != 0 || std::this_thread::get_id() != self;
      ++inner;
    });
  });
  return inner == 40 && wrong == 0;
}

// Returns when no other thread of this process is running or ready to run.
void AwaitSleep() {
  for (bool awake = true; awake;) {
    awake = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
      if (entry.path().filename() == std::to_string(getpid())) continue;
      std::string line;
      std::getline(std::ifstream(entry.path() / "stat"), line);
      awake = awake || line[line.rfind(')') + 2] != 'S';
    }
    std::this_thread::yield();
  }
}

// Workers sleep after a burst, and when a burst goes on without loops; loops wake them; a sleeping pool can end.
bool Sleep() {
  int calls[8] = {};
  for (int round = 0; round < 20; ++round) {
    ThreadPool pool(2);
    auto burst = std::make_unique<ThreadPool::Burst>(pool);
    for (int loop = 0; loop < 3; ++loop) {
      pool.Run(8, [&](int, int task) { ++calls[task]; });
      if (loop == 1) burst.reset();
      AwaitSleep();
    }
  }
  for (const int count : calls) {
    if (count != 60) return false;
  }
  return true;
}

// Whether `body` returns true in a forked child.
template <class Body>
bool InChild(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 1;
  return waitpid(child, &status, 0) == child && status == 0;
}

// The child has none of the workers: its loops run on its own thread. Nor can it destroy the pool.
bool ForkedChild() {
  auto* pool = new ThreadPool(3);
  const auto sums = [&] {
    std::atomic<int> sum{0};
    for (int loop = 0; loop < 3; ++loop) pool->Run(100, [&](int, int task) { sum += task; });
    return sum == 3 * 4950;
  };
  bool fine = sums();
  for (int round = 0; round < 20; ++round) fine = fine && InChild(sums) && sums();
  delete pool;
  return fine;
}

// Where no thread can be made, the caller does it all. Root may always make threads, so the child becomes another user.
bool NoThreads() {
  return InChild([] {
    const rlimit none = {0, 0};
    if ((getuid() == 0 && setuid(65534) != 0) || setrlimit(RLIMIT_NPROC, &none) != 0) return false;
    ThreadPool pool(3);
    int calls = 0;  // unguarded
    const auto self = std::this_thread::get_id();
    for (int loop = 0; loop < 3; ++loop) pool.Run(50, [&](int, int) { calls += std::this_thread::get_id() == self; });
    return calls == 150;
  });
}

// One convolution, run by several threads over one pool, each with its own scratch and output.
bool ConvolutionFromManyThreads(const BConv2DVariant& variant, OutputForm form) {
  BConv2DShape s{};
  s.batches = 2;
  s.in_height = s.out_height = s.in_width = s.out_width = 12;
  s.channels_in = 70;
  s.channels_out = 40;
  s.filter_height = s.filter_width = 3;
  s.groups = s.stride_height = s.stride_width = s.dilation_height = s.dilation_width = 1;
  s.pad_top = s.pad_left = 1;
  s.zero_padding = true;
  if (!Takes(variant, s, form)) return true;
  BConv2DEpilogue epilogue{form, -10000, 10000, {}, {}, {}};
  if (form == OutputForm::bits) {
    epilogue.thresholds.assign(s.channels_out, s.taps() * s.channels_in);
  } else {
    epilogue.multiplier.assign(s.channels_out, 0.125f);
    epilogue.bias.assign(s.channels_out, -40.0f);
  }
  uint32_t state = 1;
  const auto random = [&] { return state = state * 1664525u + 1013904223u; };
  std::vector<uint32_t> filter(size_t{1} * s.channels_out * s.row_words());
  std::vector<uint32_t> input(size_t{1} * s.batches * s.in_height * s.in_width * s.in_words());
  for (auto* words : {&filter, &input}) {
    for (size_t i = 0; i < words->size(); ++i) (*words)[i] = random() & (i % 3 == 2 ? 0x3fu : ~0u);
  }
  const BConv2D convolution(s, epilogue, filter.data(), variant);
  const size_t values = size_t{1} * s.batches * s.out_height * s.out_width * s.channels_out;
  const auto run = [&](ThreadPool& pool) {
    const Buffer scratch = AllocateBuffer(convolution.scratch_bytes(pool.threads()));
    std::vector<uint8_t> output(4 * values, 0);
    convolution.Run(input.data(), output.data(), scratch.get(), pool);
    return output;
  };
  ThreadPool alone(1), shared(3);
  const auto expected = run(alone);
  std::atomic<int> wrong{0};
  InParallel([&](int) {
    for (int round = 0; round < 10; ++round) wrong += run(shared) != expected;
  });
  return wrong == 0;
}

}  // namespace

int main() {
  int passed = 0, failed = 0;
  const auto check = [&](const char* name, bool fine) {
    fine ? ++passed : ++failed;
    if (!fine) std::printf("FAILED %s\n", name);
  };
  check("no threads", NoThreads());
  check("loops from many threads", LoopsFromManyThreads(2));
  check("loops from many threads, 3", LoopsFromManyThreads(3));
  check("loops from many threads, 16", LoopsFromManyThreads(16));
  check("loops that see each other", LoopsSeeEachOther());
  check("loop inside a loop", LoopInsideLoop());
  check("sleep", Sleep());
  check("forked child", ForkedChild());
  check("pools of short life", ShortLives());
  for (const BConv2DVariant* variant : BConv2DVariants()) {
    for (const OutputForm form : {OutputForm::float32, OutputForm::int8, OutputForm::bits}) {
      check(variant->name, ConvolutionFromManyThreads(*variant, form));
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}

// For ThreadSanitizer: many threads use one ThreadPool, and one convolution, at the same time.

#include <atomic>
#include <cstdio>
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

// Every task once, no thread number twice at a time, whoever calls.
bool LoopsFromManyThreads() {
  ThreadPool pool(3);
  std::atomic<int> wrong{0};
  InParallel([&](int caller) {
    for (int round = 0; round < 300; ++round) {
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
  check("loops from many threads", LoopsFromManyThreads());
  check("pools of short life", ShortLives());
  for (const BConv2DVariant* variant : BConv2DVariants()) {
    for (const OutputForm form : {OutputForm::float32, OutputForm::int8, OutputForm::bits}) {
      check(variant->name, ConvolutionFromManyThreads(*variant, form));
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}

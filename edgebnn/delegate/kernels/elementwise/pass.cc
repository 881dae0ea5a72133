#include "kernels/elementwise/pass.h"

#include <algorithm>

#include "kernels/buffer.h"

namespace edgebnn {
namespace {

constexpr size_t kCachedFloats = 2048;  // of one map; a pass reads and writes two or three
constexpr size_t kTaskFloats = 8192;  // of a task: about two microseconds'

size_t CachedRows(int channels) { return std::max<size_t>(1, kCachedFloats / channels); }

}  // namespace

void Pass::Run(const float* values, size_t first, size_t rows, float* scratch) const {
  const size_t width = static_cast<size_t>(channels), words = (width + 31) / 32;
  for (size_t done = 0; done < rows;) {
    const size_t count = std::min(CachedRows(channels), rows - done), row = first + done;
    const float* in = values + done * width;
    for (int i = 0; i < step_count; ++i) {
      Stage stage = steps[i].stage;
      if (!stage.per_channel && stage.operand != nullptr) stage.operand += row * width;
      float* const out = steps[i].out != nullptr ? steps[i].out + row * width : scratch + done * width;
      elementwise->run(stage, in, count, channels, out);
      in = out;
    }
    if (quantize != nullptr) quantize->float32(in, count, channels, bits + row * words);
    done += count;
  }
}

void Pass::RunAll(const float* map, size_t rows, uint8_t* scratch, ThreadPool& pool) const {
  const size_t block = CachedRows(channels), blocks = (rows + block - 1) / block;
  const size_t floats = rows * static_cast<size_t>(channels);
  const size_t tasks = std::clamp<size_t>(floats / kTaskFloats, 1, blocks);
  pool.Run(static_cast<int>(tasks), [&](int thread, int task) {
    auto* const mine = reinterpret_cast<float*>(scratch + thread * scratch_bytes(channels, 1));
    const size_t end = blocks * (task + 1) / tasks;
    for (size_t b = blocks * task / tasks; b < end; ++b) {
      Run(map + b * block * channels, b * block, std::min(block, rows - b * block), mine);
    }
  });
}

size_t Pass::scratch_bytes(int channels, int threads) {
  return threads * RoundUp(sizeof(float) * CachedRows(channels) * channels, kBufferAlignment);
}

}  // namespace edgebnn

#include <limits>

#include "kernels/bconv2d/store.h"

namespace edgebnn {
namespace {

size_t WeightBytes(int channels, int words) { return size_t{4} * channels * words; }

void Pack(const uint32_t* filter, int channels, int words, uint8_t* weights) {
  std::memcpy(weights, filter, WeightBytes(channels, words));
}

size_t ScratchBytes(int, int) { return 0; }

void Run(const BConv2DBlock& block) {
  const auto* filter = reinterpret_cast<const uint32_t*>(block.weights);
  for (int pixel = 0; pixel < block.pixels; ++pixel) {
    for (int o = 0; o < block.channels; ++o) {
      int32_t ones = 0;
      for (int word = 0; word < block.words; ++word) {
        ones += __builtin_popcount(block.rows[pixel * block.words + word] ^ filter[size_t{1} * o * block.words + word]);
      }
      Store(block, pixel, o, 2 * ones);
    }
  }
}

}  // namespace

extern const BConv2DVariant kBConv2DReference = {
    "reference", Feature::none, 1, 1, std::numeric_limits<int64_t>::max(), 1, WeightBytes, Pack, ScratchBytes, Run, nullptr};

}  // namespace edgebnn

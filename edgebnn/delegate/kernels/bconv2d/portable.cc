// SWAR popcounts of kLanes output channels side by side, in loops that any compiler turns into its vectors.

#include <limits>

#include "kernels/bconv2d/store.h"

namespace edgebnn {
namespace {

constexpr int kLanes = 8;
constexpr int kPixels = 8;
static_assert(kPixels <= kMostPixels);
constexpr int kFlush = 31;  // a byte holds at most 31 * 8 bits

size_t Blocks(int channels) { return (channels + kLanes - 1) / kLanes; }

// [channel block][64-bit word][lane]
size_t WeightBytes(int channels, int words) { return Blocks(channels) * kLanes * 4 * words; }

void Pack(const uint32_t* filter, int channels, int words, uint8_t* weights) {
  std::memset(weights, 0, WeightBytes(channels, words));
  for (int o = 0; o < channels; ++o) {
    for (int w = 0; w < words; w += 2) {
      const size_t at = (size_t{1} * o / kLanes * (words / 2) + w / 2) * kLanes + o % kLanes;
      std::memcpy(weights + 8 * at, filter + size_t{1} * o * words + w, 8);
    }
  }
}

size_t ScratchBytes(int, int) { return 0; }

void Run(const BConv2DBlock& block) {
  constexpr uint64_t k5 = 0x5555555555555555, k3 = 0x3333333333333333, kF = 0x0f0f0f0f0f0f0f0f;
  constexpr uint64_t k00ff = 0x00ff00ff00ff00ff, k1 = 0x0001000100010001;
  const int words = block.words / 2;
  for (int first = 0; first < block.channels; first += kLanes) {
    const auto* weights = reinterpret_cast<const uint64_t*>(block.weights) + size_t{1} * first * words;
    for (int pixel = 0; pixel < block.pixels; ++pixel) {
      const uint32_t* row = block.rows + size_t{1} * pixel * block.words;
      uint64_t ones[kLanes] = {};
      for (int start = 0; start < words; start += kFlush) {
        const int end = start + kFlush < words ? start + kFlush : words;
        uint64_t octets[kLanes] = {};
        for (int w = start; w < end; ++w) {
          uint64_t bits;
          std::memcpy(&bits, row + 2 * w, 8);
          for (int lane = 0; lane < kLanes; ++lane) {
            uint64_t v = bits ^ weights[w * kLanes + lane];
            v -= (v >> 1) & k5;
            v = (v & k3) + ((v >> 2) & k3);
            octets[lane] += (v + (v >> 4)) & kF;
          }
        }
        for (int lane = 0; lane < kLanes; ++lane) {
          const uint64_t pairs = (octets[lane] & k00ff) + ((octets[lane] >> 8) & k00ff);
          ones[lane] += (pairs * k1) >> 48;
        }
      }
      for (int lane = 0; lane < kLanes && first + lane < block.channels; ++lane) {
        Store(block, pixel, first + lane, static_cast<int32_t>(2 * ones[lane]));
      }
    }
  }
}

}  // namespace

extern const BConv2DVariant kBConv2DPortable = {
    "portable", Feature::none, kPixels, 2, std::numeric_limits<int64_t>::max(), 1, WeightBytes, Pack, ScratchBytes, Run, nullptr};

}  // namespace edgebnn

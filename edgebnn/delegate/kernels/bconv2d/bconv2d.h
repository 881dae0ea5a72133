// Binary 2-D convolution. For each output pixel and output channel o of group g:
//
//   x  = 2 * sum over taps inside the input: popcount(input[tap, g] ^ filter[o, tap])
//      + sum over taps outside of it: channels (zero padding) or 2 * popcount(filter[o, tap]) (one padding)
//   float32:  min(max(x, clamp_min), clamp_max) * multiplier[o] + bias[o]
//   int8:     the same, rounded half away from zero and saturated
//   bits:     x > threshold[o]
//
// with channels = channels_in / groups; the dot product of +-1 values is taps * channels - x. Input: words of 32
// channels, NHWC, bit 1 for -1, bits beyond the channels zero (edgebnn/bits.py). Filter: [o][tap y][tap x][group's words].
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/elementwise/pass.h"
#include "kernels/threads.h"
#include "kernels/variant.h"

namespace edgebnn {

struct BConv2DShape {
  int batches, in_height, in_width, channels_in;
  int out_height, out_width, channels_out;
  int filter_height, filter_width, groups;
  int stride_height, stride_width, dilation_height, dilation_width;
  int pad_top, pad_left;
  bool zero_padding;

  int in_words() const { return (channels_in + 31) / 32; }
  int group_words() const { return in_words() / groups; }
  int group_channels_in() const { return channels_in / groups; }
  int group_channels_out() const { return channels_out / groups; }
  int taps() const { return filter_height * filter_width; }
  int row_words() const { return taps() * group_words(); }  // all input words of one output value
};

enum class OutputForm { float32, int8, bits };

// What becomes of x; arrays have channels_out entries, those that the form does not use are empty.
struct BConv2DEpilogue {
  OutputForm form;
  int32_t clamp_min, clamp_max;
  std::vector<float> multiplier, bias;
  std::vector<int32_t> thresholds;
};

// What a variant computes in one call: some output pixels, the channels of one group.
struct BConv2DBlock {
  int pixels;
  const uint32_t* rows;  // [pixels][words]: the input bits under the filter; taps outside and the tail are zero
  int words;
  // Instead of rows (rows == nullptr), where the variant has expanded the input: pixel p, or pair p of pixels, reads
  // segment i at origins[p] + segments[i], and all segments, one behind the other, are its row.
  const uint8_t* const* origins;
  const size_t* segments;
  int segment_count, segment_words;

  const uint8_t* weights;  // as packed by the variant
  int channels;
  const int32_t* const* corrections;  // per pixel: nullptr, or [channels] to be added to x; readable like multiplier
  OutputForm form;
  int32_t clamp_min, clamp_max;
  const float* multiplier;    // of the group's first channel, readable up to the next multiple of 32 channels
  const float* bias;          // the same
  const int32_t* thresholds;  // the same
  int first_channel;          // of the group
  uint8_t* const* outs;       // per pixel: its channel 0 of the first group; nullptr, the partner of none: drop
  uint8_t* scratch;           // scratch_bytes
};

// How a variant expands the input once for all taps, if it does.
struct BConv2DExpansion {
  int together;       // 2: the pixels come in pairs of neighbours, and an expanded word stands for two; else 1
  size_t word_bytes;  // of an expanded word
  // Expands `columns` pixels, or pairs of pixels (x, x + partner), x from `first` on, of an input line [width][words];
  // pixels outside of it are +1, and so are all when `line` is nullptr.
  void (*line)(const uint32_t* line, int width, int words, int first, int partner, int columns, uint8_t* out);
};

constexpr int kMostPixels = 64;

struct BConv2DVariant {
  const char* name;
  Feature feature;
  int block_pixels;      // most pixels of a block; even, at most kMostPixels
  int row_multiple;      // rows are padded to a multiple of so many words
  int64_t max_row_bits;  // more would overflow its accumulators
  int bits_multiple;     // first_channel must be a multiple of this when bits are written
  size_t (*weight_bytes)(int channels, int words);
  void (*pack)(const uint32_t* filter, int channels, int words, uint8_t* weights);  // filter [channels][words]
  size_t (*scratch_bytes)(int channels, int words);
  void (*run)(const BConv2DBlock& block);
  const BConv2DExpansion* expansion;  // nullptr: it takes rows only
};

// All variants of this build, slowest first.
const std::vector<const BConv2DVariant*>& BConv2DVariants();

// Whether a variant runs on this CPU and can compute a shape.
bool Takes(const BConv2DVariant& variant, const BConv2DShape& shape, OutputForm form);

// The variant for a choice: the named one, or where it does not take the shape the best one below it.
const BConv2DVariant& SelectBConv2D(const BConv2DShape& shape, OutputForm form, Choice choice);

// A convolution with its weights packed for a variant.
class BConv2D {
 public:
  // `filter` is read here only.
  BConv2D(const BConv2DShape& shape, BConv2DEpilogue epilogue, const uint32_t* filter, const BConv2DVariant& variant);

  size_t scratch_bytes(int threads) const { return plane_bytes_ + threads * thread_scratch_; }

  // input [batches][in_height][in_width][in_words]; output [batches][out_height][out_width][channels_out, or words].
  // float32 only: `pass` goes over each block of pixels that was just written; `output` may then be nullptr, and the
  // values go no further than the pass.
  void Run(const uint32_t* input, void* output, uint8_t* scratch, ThreadPool& pool, const Pass* pass = nullptr) const;

 private:
  struct Targets;  // of a block's pixels

  void PlanExpansion();
  void PlanCorrections(const uint32_t* filter);
  struct Target {  // of a whole map
    uint8_t* output;
    const Pass* pass;
  };

  void RunRows(const uint32_t* input, const Target& target, uint8_t* scratch, int first, int pixels) const;
  void RunPlane(const uint8_t* plane, const Target& target, uint8_t* scratch, int batch, int first, int count) const;
  void RunPass(const Target& target, const uint8_t* values, size_t first, int pixels, uint8_t* scratch) const;
  void RunVariant(BConv2DBlock block, const Targets& targets, int group) const;
  const int32_t* Correction(int y, int x) const;

  BConv2DShape shape_;
  BConv2DEpilogue epilogue_;
  const BConv2DVariant& variant_;
  Buffer weights_;
  size_t group_weight_bytes_, out_stride_, values_bytes_, rows_bytes_, thread_scratch_;
  int row_words_;  // padded
  bool in_place_;  // the input's pixels are the rows: nothing is gathered
  // The expanded input of one image, padding included: [plane_height_][plane_width_][in_words]; none when rows are used.
  size_t plane_bytes_ = 0;
  int plane_height_ = 0, plane_width_ = 0;
  std::vector<size_t> segments_;
  int segment_words_ = 0;
  // Zero padding: output rows (columns) that miss the same taps share a pattern; pattern 0 misses none.
  std::vector<int> row_pattern_, column_pattern_;
  int column_patterns_ = 1;
  std::vector<int32_t> corrections_;  // [row pattern][column pattern][channels_out]
};

}  // namespace edgebnn

#include "kernels/bconv2d/bconv2d.h"

#include <algorithm>
#include <cstring>

namespace edgebnn {

#define EDGEBNN_KERNEL(variant) extern const BConv2DVariant variant;
#include "kernels/bconv2d/kernels.inc"
#undef EDGEBNN_KERNEL

const std::vector<const BConv2DVariant*>& BConv2DVariants() {
  static const std::vector<const BConv2DVariant*> variants = {
#define EDGEBNN_KERNEL(variant) &variant,
#include "kernels/bconv2d/kernels.inc"
#undef EDGEBNN_KERNEL
  };
  return variants;
}

bool Takes(const BConv2DVariant& variant, const BConv2DShape& shape, OutputForm form) {
  const int64_t bits = int64_t{32} * shape.row_words();
  const bool aligned = shape.groups == 1 || shape.group_channels_out() % variant.bits_multiple == 0;
  return Has(variant.feature) && bits <= variant.max_row_bits && (form != OutputForm::bits || aligned);
}

const BConv2DVariant& SelectBConv2D(const BConv2DShape& shape, OutputForm form, Choice choice) {
  const auto& variants = BConv2DVariants();
  size_t best = choice == Choice::reference ? 0 : choice == Choice::portable ? 1 : variants.size() - 1;
  while (best > 0 && !Takes(*variants[best], shape, form)) --best;
  return *variants[best];
}

namespace {

constexpr int kReadable = 32;  // channel arrays are readable up to a multiple of this

// For each output position the set of taps that fall outside, numbered; pattern 0 is the empty set.
std::vector<std::vector<bool>> Patterns(int out, int in, int filter, int stride, int dilation, int pad,
                                        std::vector<int>* pattern_of) {
  std::vector<std::vector<bool>> patterns = {std::vector<bool>(filter, false)};
  pattern_of->resize(out);
  for (int position = 0; position < out; ++position) {
    std::vector<bool> outside(filter);
    for (int tap = 0; tap < filter; ++tap) {
      const int64_t at = int64_t{position} * stride - pad + int64_t{tap} * dilation;
      outside[tap] = at < 0 || at >= in;
    }
    const auto known = std::find(patterns.begin(), patterns.end(), outside);
    (*pattern_of)[position] = static_cast<int>(known - patterns.begin());
    if (known == patterns.end()) patterns.push_back(outside);
  }
  return patterns;
}

}  // namespace

BConv2D::BConv2D(const BConv2DShape& shape, BConv2DEpilogue epilogue, const uint32_t* filter,
                 const BConv2DVariant& variant)
    : shape_(shape), epilogue_(std::move(epilogue)), variant_(variant) {
  const int words = shape_.row_words(), channels = shape_.group_channels_out();
  row_words_ = static_cast<int>(RoundUp(words, variant_.row_multiple));
  std::vector<uint32_t> padded(size_t{1} * channels * row_words_);
  group_weight_bytes_ = RoundUp(variant_.weight_bytes(channels, row_words_), kBufferAlignment);
  weights_ = AllocateBuffer(shape_.groups * group_weight_bytes_);
  for (int group = 0; group < shape_.groups; ++group) {
    for (int o = 0; o < channels; ++o) {
      std::memcpy(&padded[size_t{1} * o * row_words_], filter + (size_t{1} * group * channels + o) * words, 4 * words);
    }
    variant_.pack(padded.data(), channels, row_words_, weights_.get() + group * group_weight_bytes_);
  }
  if (shape_.zero_padding) PlanCorrections(filter);
  const size_t readable = shape_.channels_out + kReadable;
  if (epilogue_.form == OutputForm::bits) {
    epilogue_.thresholds.resize(readable);
    out_stride_ = 4 * ((shape_.channels_out + 31) / 32);
  } else {
    epilogue_.multiplier.resize(readable);
    epilogue_.bias.resize(readable);
    out_stride_ = size_t{1} * shape_.channels_out * (epilogue_.form == OutputForm::float32 ? 4 : 1);
  }
  rows_bytes_ = RoundUp(size_t{4} * variant_.block_pixels * row_words_, kBufferAlignment);
  const size_t pointers = RoundUp(variant_.block_pixels * sizeof(int32_t*), kBufferAlignment);
  thread_scratch_ =
      rows_bytes_ + pointers + RoundUp(variant_.scratch_bytes(channels, row_words_), kBufferAlignment);
}

void BConv2D::PlanCorrections(const uint32_t* filter) {
  const auto& s = shape_;
  const auto rows = Patterns(s.out_height, s.in_height, s.filter_height, s.stride_height, s.dilation_height, s.pad_top,
                             &row_pattern_);
  const auto columns = Patterns(s.out_width, s.in_width, s.filter_width, s.stride_width, s.dilation_width, s.pad_left,
                                &column_pattern_);
  column_patterns_ = static_cast<int>(columns.size());
  std::vector<int32_t> tap_dot(s.taps());
  corrections_.assign(rows.size() * columns.size() * s.channels_out + kReadable, 0);
  for (int o = 0; o < s.channels_out; ++o) {
    for (int tap = 0; tap < s.taps(); ++tap) {
      int ones = 0;
      const uint32_t* words = filter + (size_t{1} * o * s.taps() + tap) * s.group_words();
      for (int w = 0; w < s.group_words(); ++w) ones += __builtin_popcount(words[w]);
      tap_dot[tap] = s.group_channels_in() - 2 * ones;
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      for (size_t c = 0; c < columns.size(); ++c) {
        int32_t sum = 0;
        for (int tap = 0; tap < s.taps(); ++tap) {
          if (rows[r][tap / s.filter_width] || columns[c][tap % s.filter_width]) sum += tap_dot[tap];
        }
        corrections_[(r * columns.size() + c) * s.channels_out + o] = sum;
      }
    }
  }
}

void BConv2D::Run(const uint32_t* input, void* output, uint8_t* scratch, ThreadPool& pool) const {
  const int pixels = shape_.batches * shape_.out_height * shape_.out_width, step = variant_.block_pixels;
  const int blocks = (pixels + step - 1) / step;
  pool.Run(blocks, [&](int thread, int block) {
    const int first = block * step;
    RunBlock(input, static_cast<uint8_t*>(output), scratch + thread * thread_scratch_, first,
             std::min(step, pixels - first));
  });
}

void BConv2D::RunBlock(const uint32_t* input, uint8_t* output, uint8_t* scratch, int first, int pixels) const {
  auto* rows = reinterpret_cast<uint32_t*>(scratch);
  auto** corrections = reinterpret_cast<const int32_t**>(scratch + rows_bytes_);
  const size_t pointers = RoundUp(variant_.block_pixels * sizeof(int32_t*), kBufferAlignment);
  const int channels = shape_.group_channels_out(), plane = shape_.out_height * shape_.out_width;
  // Several groups write bits into one word, each its own.
  if (epilogue_.form == OutputForm::bits) std::memset(output + first * out_stride_, 0, pixels * out_stride_);
  for (int group = 0; group < shape_.groups; ++group) {
    const int first_channel = group * channels;
    for (int i = 0; i < pixels; ++i) {
      const int pixel = first + i, batch = pixel / plane, y = pixel % plane / shape_.out_width;
      const int x = pixel % shape_.out_width;
      const size_t image = size_t{1} * batch * shape_.in_height * shape_.in_width * shape_.in_words();
      Gather(input + image, y, x, group, rows + size_t{1} * i * row_words_);
      corrections[i] = nullptr;
      if (shape_.zero_padding && (row_pattern_[y] != 0 || column_pattern_[x] != 0)) {
        const size_t pattern = size_t{1} * row_pattern_[y] * column_patterns_ + column_pattern_[x];
        corrections[i] = &corrections_[pattern * shape_.channels_out + first_channel];
      }
    }
    const bool bits = epilogue_.form == OutputForm::bits;
    variant_.run({rows, pixels, row_words_, weights_.get() + group * group_weight_bytes_, channels, corrections,
                  epilogue_.form, epilogue_.clamp_min, epilogue_.clamp_max,
                  bits ? nullptr : epilogue_.multiplier.data() + first_channel,
                  bits ? nullptr : epilogue_.bias.data() + first_channel,
                  bits ? epilogue_.thresholds.data() + first_channel : nullptr, first_channel,
                  output + first * out_stride_, out_stride_, scratch + rows_bytes_ + pointers});
  }
}

void BConv2D::Gather(const uint32_t* image, int y, int x, int group, uint32_t* row) const {
  const auto& s = shape_;
  const int words = s.group_words(), in_words = s.in_words();
  const int top = y * s.stride_height - s.pad_top, left = x * s.stride_width - s.pad_left;
  const int right = left + (s.filter_width - 1) * s.dilation_width;
  const bool contiguous = s.groups == 1 && s.dilation_width == 1 && left >= 0 && right < s.in_width;
  for (int tap_y = 0; tap_y < s.filter_height; ++tap_y) {
    const int in_y = top + tap_y * s.dilation_height;
    if (in_y < 0 || in_y >= s.in_height) {
      std::memset(row, 0, size_t{4} * s.filter_width * words);
      row += s.filter_width * words;
      continue;
    }
    const uint32_t* line = image + size_t{1} * in_y * s.in_width * in_words + group * words;
    if (contiguous) {
      std::memcpy(row, line + left * in_words, size_t{4} * s.filter_width * words);
      row += s.filter_width * words;
      continue;
    }
    for (int tap_x = 0; tap_x < s.filter_width; ++tap_x, row += words) {
      const int in_x = left + tap_x * s.dilation_width;
      if (in_x < 0 || in_x >= s.in_width) {
        std::memset(row, 0, size_t{4} * words);
      } else {
        std::memcpy(row, line + size_t{1} * in_x * in_words, size_t{4} * words);
      }
    }
  }
  const int tail = row_words_ - s.row_words();
  std::memset(row, 0, size_t{4} * tail);
}

}  // namespace edgebnn

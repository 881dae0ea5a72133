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
  size_t best = choice == Choice::reference ? 0 : variants.size() - 1;
  while (best > 0 && !(Admits(choice, variants[best]->feature) && Takes(*variants[best], shape, form))) --best;
  return *variants[best];
}

namespace {

constexpr int kMostPlane = 1 << 20;  // pixels of an expanded input's side
constexpr int kReadable = 32;  // channel arrays are readable up to a multiple of this

// Taps [low, high) of one axis that lie inside the input.
struct Inside {
  int low, high;
};

// For each output position the taps inside, numbered; pattern 0 is "all of them". Those that miss taps come first and
// last, and equal ones follow each other.
std::vector<Inside> Patterns(int out, int in, int filter, int stride, int dilation, int pad,
                             std::vector<int>* pattern_of) {
  std::vector<Inside> patterns = {{0, filter}};
  pattern_of->resize(out);
  for (int position = 0; position < out; ++position) {
    const int64_t first = int64_t{position} * stride - pad;
    const int64_t low = first < 0 ? std::min<int64_t>(filter, (-first + dilation - 1) / dilation) : 0;
    const int64_t high = first < in ? std::min<int64_t>(filter, (in - 1 - first) / dilation + 1) : 0;
    const Inside inside = low < high ? Inside{static_cast<int>(low), static_cast<int>(high)} : Inside{0, 0};
    const bool all = inside.low == 0 && inside.high == filter;
    if (!all && (inside.low != patterns.back().low || inside.high != patterns.back().high)) patterns.push_back(inside);
    (*pattern_of)[position] = all ? 0 : static_cast<int>(patterns.size()) - 1;
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
  const auto& s = shape_;
  in_place_ = s.taps() == 1 && s.groups == 1 && row_words_ == words && s.stride_height == 1 && s.stride_width == 1 &&
              s.pad_top == 0 && s.pad_left == 0 && s.out_height == s.in_height && s.out_width == s.in_width;
  PlanExpansion();
  rows_bytes_ = plane_bytes_ > 0 || in_place_ ? 0 : RoundUp(size_t{4} * variant_.block_pixels * row_words_, kBufferAlignment);
  // A block's values where only a pass reads them, rows, the variant's own.
  values_bytes_ = epilogue_.form == OutputForm::float32 ? RoundUp(variant_.block_pixels * out_stride_, kBufferAlignment) : 0;
  thread_scratch_ = values_bytes_ + rows_bytes_ + RoundUp(variant_.scratch_bytes(channels, row_words_), kBufferAlignment);
}

void BConv2D::PlanExpansion() {
  const auto& s = shape_;
  // Pairs do not cross the end of an output row, so an odd width wastes a pixel of each row. Rows waste nothing, but
  // gathering them costs about as much as multiplying by 24 channels.
  if (variant_.expansion == nullptr || s.groups != 1) return;
  const int together = variant_.expansion->together, origins = (s.out_width + together - 1) / together;
  const bool wasteful = (origins * together - s.out_width) * s.channels_out > int64_t{24} * s.out_width;
  if (wasteful || in_place_) return;
  const int64_t height = int64_t{s.out_height - 1} * s.stride_height + int64_t{s.filter_height - 1} * s.dilation_height + 1;
  const int64_t width = int64_t{together} * (origins - 1) * s.stride_width + int64_t{s.filter_width - 1} * s.dilation_width + 1;
  // A far dilation of a small input would be padding for the most part.
  if (height > kMostPlane || width > kMostPlane || height * width > 4 * int64_t{s.in_height} * s.in_width + 4096) return;
  plane_height_ = static_cast<int>(height);
  plane_width_ = static_cast<int>(width);
  const size_t pixel_bytes = s.in_words() * variant_.expansion->word_bytes;
  plane_bytes_ = RoundUp(size_t{1} * plane_height_ * plane_width_ * pixel_bytes, kBufferAlignment);
  const bool contiguous = s.dilation_width == 1;
  segment_words_ = s.in_words() * (contiguous ? s.filter_width : 1);
  for (int tap_y = 0; tap_y < s.filter_height; ++tap_y) {
    for (int tap_x = 0; tap_x < (contiguous ? 1 : s.filter_width); ++tap_x) {
      const size_t pixel = size_t{1} * tap_y * s.dilation_height * plane_width_ + tap_x * s.dilation_width;
      segments_.push_back(pixel * pixel_bytes);
    }
  }
}

void BConv2D::PlanCorrections(const uint32_t* filter) {
  const auto& s = shape_;
  const auto rows = Patterns(s.out_height, s.in_height, s.filter_height, s.stride_height, s.dilation_height, s.pad_top,
                             &row_pattern_);
  const auto columns = Patterns(s.out_width, s.in_width, s.filter_width, s.stride_width, s.dilation_width, s.pad_left,
                                &column_pattern_);
  column_patterns_ = static_cast<int>(columns.size());
  corrections_.assign(rows.size() * columns.size() * s.channels_out + kReadable, 0);
  // sums[y][x] = dot products of a channel's taps [0, y) x [0, x) with ones
  const size_t stride = size_t{1} * s.filter_width + 1;
  std::vector<int32_t> sums(stride * (s.filter_height + 1));
  for (int o = 0; o < s.channels_out; ++o) {
    const uint32_t* words = filter + size_t{1} * o * s.row_words();
    for (int y = 0; y < s.filter_height; ++y) {
      int32_t line = 0;
      for (int x = 0; x < s.filter_width; ++x) {
        int ones = 0;
        for (int w = 0; w < s.group_words(); ++w) ones += __builtin_popcount(*words++);
        line += s.group_channels_in() - 2 * ones;
        sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + line;
      }
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      const int32_t* top = &sums[rows[r].low * stride];
      const int32_t* bottom = &sums[rows[r].high * stride];
      for (size_t c = 0; c < columns.size(); ++c) {
        const auto [low, high] = columns[c];
        const int32_t inside = bottom[high] - bottom[low] - top[high] + top[low];
        corrections_[(r * columns.size() + c) * s.channels_out + o] = sums.back() - inside;
      }
    }
  }
}

void BConv2D::Run(const uint32_t* input, void* output, uint8_t* scratch, ThreadPool& pool, const Pass* pass) const {
  const auto& s = shape_;
  const Target target = {static_cast<uint8_t*>(output), pass};
  uint8_t* const thread_scratch = scratch + plane_bytes_;
  // Splits items into blocks of at most `most`, all but the last of a multiple of `unit`; each thread gets as many.
  const auto in_blocks = [&](int items, int unit, int most, const auto& body) {
    unit = std::min(unit, most);
    const int units = (items + unit - 1) / unit, most_units = most / unit;
    const auto blocks = static_cast<int>(RoundUp((units + most_units - 1) / most_units, pool.threads()));
    const auto bound = [=](int block) { return std::min<int>(items, int64_t{units} * block / blocks * unit); };
    pool.Run(blocks, [&](int thread, int block) {
      const int first = bound(block), count = bound(block + 1) - first;
      if (count > 0) body(thread_scratch + thread * thread_scratch_, first, count);
    });
  };
  if (plane_bytes_ == 0) {
    in_blocks(s.batches * s.out_height * s.out_width, 4, variant_.block_pixels,
              [&](uint8_t* mine, int first, int count) { RunRows(input, target, mine, first, count); });
    return;
  }
  const size_t line_bytes = size_t{1} * plane_width_ * s.in_words() * variant_.expansion->word_bytes;
  for (int batch = 0; batch < s.batches; ++batch) {
    const uint32_t* image = input + size_t{1} * batch * s.in_height * s.in_width * s.in_words();
    in_blocks(plane_height_, 1, 8, [&](uint8_t*, int first, int count) {
      for (int y = first; y < first + count; ++y) {
        const int in_y = y - s.pad_top;
        const bool inside = in_y >= 0 && in_y < s.in_height;
        const uint32_t* line = inside ? image + size_t{1} * in_y * s.in_width * s.in_words() : nullptr;
        variant_.expansion->line(line, s.in_width, s.in_words(), -s.pad_left, s.stride_width, plane_width_,
                                 scratch + y * line_bytes);
      }
    });
    const int together = variant_.expansion->together;
    in_blocks(s.out_height * ((s.out_width + together - 1) / together), 4 / together, variant_.block_pixels / together,
              [&](uint8_t* mine, int first, int count) { RunPlane(scratch, target, mine, batch, first, count); });
  }
}

struct BConv2D::Targets {
  uint8_t* outs[kMostPixels];
  const int32_t* corrections[kMostPixels];
};

const int32_t* BConv2D::Correction(int y, int x) const {
  if (!shape_.zero_padding || (row_pattern_[y] == 0 && column_pattern_[x] == 0)) return nullptr;
  const size_t pattern = size_t{1} * row_pattern_[y] * column_patterns_ + column_pattern_[x];
  return &corrections_[pattern * shape_.channels_out];
}

void BConv2D::RunVariant(BConv2DBlock block, const Targets& targets, int group) const {
  const bool bits = epilogue_.form == OutputForm::bits;
  const int first_channel = group * shape_.group_channels_out();
  const int32_t* corrections[kMostPixels];
  if (group > 0) {
    for (int i = 0; i < block.pixels; ++i) {
      corrections[i] = targets.corrections[i] == nullptr ? nullptr : targets.corrections[i] + first_channel;
    }
  }
  block.weights = weights_.get() + group * group_weight_bytes_;
  block.channels = shape_.group_channels_out();
  block.corrections = group > 0 ? corrections : targets.corrections;
  block.form = epilogue_.form;
  block.clamp_min = epilogue_.clamp_min;
  block.clamp_max = epilogue_.clamp_max;
  block.multiplier = bits ? nullptr : epilogue_.multiplier.data() + first_channel;
  block.bias = bits ? nullptr : epilogue_.bias.data() + first_channel;
  block.thresholds = bits ? epilogue_.thresholds.data() + first_channel : nullptr;
  block.first_channel = first_channel;
  block.outs = targets.outs;
  variant_.run(block);
}

namespace {

// Few words at a time, so never a call. Returns the end of `to`.
inline uint32_t* Copy(uint32_t* to, const uint32_t* from, int words) {
  for (; words >= 4; words -= 4, to += 4, from += 4) std::memcpy(to, from, 16);
  if (words & 2) {
    std::memcpy(to, from, 8);
    to += 2;
    from += 2;
  }
  if (words & 1) *to++ = *from;
  return to;
}

inline uint32_t* Clear(uint32_t* to, int words) {
  for (; words >= 4; words -= 4, to += 4) std::memset(to, 0, 16);
  if (words & 2) {
    std::memset(to, 0, 8);
    to += 2;
  }
  if (words & 1) *to++ = 0;
  return to;
}

template <int kWords>
inline void CopyRun(uint32_t* to, size_t to_step, const uint32_t* from, size_t from_step, int count) {
  for (; count > 0; --count, to += to_step, from += from_step) std::memcpy(to, from, 4 * kWords);
}

// Copies `count` times `words` words; from one to the next the addresses grow by the steps.
inline void CopyRun(uint32_t* to, size_t to_step, const uint32_t* from, size_t from_step, int words, int count) {
  switch (words) {  // three taps of 32 to 128 channels
    case 3:
      return CopyRun<3>(to, to_step, from, from_step, count);
    case 6:
      return CopyRun<6>(to, to_step, from, from_step, count);
    case 9:
      return CopyRun<9>(to, to_step, from, from_step, count);
    case 12:
      return CopyRun<12>(to, to_step, from, from_step, count);
  }
  for (; count > 0; --count, to += to_step, from += from_step) Copy(to, from, words);
}

// Gathers the input words under the filter. Holds copies: what it writes might else be the shape.
struct Gatherer {
  int words, segments, segment_words;  // of a tap; of a line of taps that lie behind each other, and their words
  int in_words, row_words, tail;       // of a pixel, of a row, of it behind the taps
  int filter_height, filter_width, in_height, in_width, stride, dilation_height, dilation_width, pad_left;
  int inside_begin, inside_end;  // output columns whose taps all lie inside
  size_t image_line;             // words

  Gatherer(const BConv2DShape& s, int padded_words)
      : words(s.group_words()),
        in_words(s.in_words()),
        row_words(padded_words),
        tail(padded_words - s.row_words()),
        filter_height(s.filter_height),
        filter_width(s.filter_width),
        in_height(s.in_height),
        in_width(s.in_width),
        stride(s.stride_width),
        dilation_height(s.dilation_height),
        dilation_width(s.dilation_width),
        pad_left(s.pad_left),
        image_line(size_t{1} * s.in_width * in_words) {
    const bool contiguous = s.groups == 1 && s.dilation_width == 1;
    segments = contiguous ? 1 : filter_width;
    segment_words = contiguous ? filter_width * words : words;
    const int64_t last = int64_t{in_width} - 1 - int64_t{filter_width - 1} * dilation_width + pad_left;
    inside_begin = static_cast<int>((int64_t{pad_left} + stride - 1) / stride);
    inside_end = last < 0 ? 0 : static_cast<int>(std::min<int64_t>(s.out_width, last / stride + 1));
  }

  // Rows of output pixels x to x + count - 1, which lie in one line; `top` is the input line of their first taps.
  void Rows(const uint32_t* image, int64_t top, int x, int count, uint32_t* row) const {
    for (; count > 0 && x < inside_begin; --count, ++x, row += row_words) BorderRow(image, top, x, row);
    const int inside = std::max(0, std::min(count, inside_end - x));
    if (inside > 0) {
      uint32_t* to = row;
      for (int tap_y = 0; tap_y < filter_height; ++tap_y) {
        const int64_t y = top + int64_t{tap_y} * dilation_height;
        for (int segment = 0; segment < segments; ++segment, to += segment_words) {
          if (y >= 0 && y < in_height) {
            const size_t left = size_t{1} * x * stride - pad_left + size_t{1} * segment * dilation_width;
            CopyRun(to, row_words, image + y * image_line + left * in_words, size_t{1} * stride * in_words,
                    segment_words, inside);
          } else {
            for (int i = 0; i < inside; ++i) Clear(to + size_t{1} * i * row_words, segment_words);
          }
        }
      }
      for (int i = 0; tail > 0 && i < inside; ++i) Clear(to + size_t{1} * i * row_words, tail);
    }
    row += size_t{1} * inside * row_words;
    for (x += inside, count -= inside; count > 0; --count, ++x, row += row_words) BorderRow(image, top, x, row);
  }

  void BorderRow(const uint32_t* image, int64_t y, int x, uint32_t* row) const {
    const int64_t left = int64_t{x} * stride - pad_left;
    // Taps inside, if they lie behind each other.
    const int low = static_cast<int>(std::min<int64_t>(filter_width, std::max<int64_t>(0, -left)));
    const int high = static_cast<int>(std::min<int64_t>(filter_width, std::max<int64_t>(low, in_width - left)));
    for (int tap_y = 0; tap_y < filter_height; ++tap_y, y += dilation_height) {
      if (y < 0 || y >= in_height) {
        row = Clear(row, filter_width * words);
        continue;
      }
      const uint32_t* line = image + y * image_line;
      if (segments == 1) {
        row = Clear(row, low * words);
        row = Copy(row, line + (left + low) * in_words, (high - low) * words);
        row = Clear(row, (filter_width - high) * words);
        continue;
      }
      int64_t u = left;
      for (int tap_x = 0; tap_x < filter_width; ++tap_x, u += dilation_width) {
        const bool inside = u >= 0 && u < in_width;
        row = inside ? Copy(row, line + u * in_words, words) : Clear(row, words);
      }
    }
    Clear(row, tail);
  }
};

}  // namespace

void BConv2D::RunRows(const uint32_t* input, const Target& target, uint8_t* scratch, int first, int pixels) const {
  const BConv2DShape s = shape_;
  const Gatherer gatherer(s, row_words_);
  const int plane = s.out_height * s.out_width;
  const size_t image_words = s.in_height * gatherer.image_line;
  const bool in_place = in_place_, corrected = s.zero_padding;
  Targets targets;
  uint8_t* const output = target.output != nullptr ? target.output + first * out_stride_ : scratch;
  auto* const rows = reinterpret_cast<uint32_t*>(scratch + values_bytes_);
  // Several groups write bits into one word, each its own.
  if (epilogue_.form == OutputForm::bits) std::memset(output, 0, pixels * out_stride_);
  for (int group = 0; group < s.groups; ++group) {
    uint32_t* row = rows;
    const size_t row_words = row_words_, out_stride = out_stride_;
    const uint32_t* image = input + first / plane * image_words + group * gatherer.words;
    uint8_t* out = output;
    int y = first % plane / s.out_width, x = first % s.out_width;
    for (int i = 0; i < pixels;) {
      const int count = std::min(pixels - i, s.out_width - x);
      if (!in_place) gatherer.Rows(image, int64_t{y} * s.stride_height - s.pad_top, x, count, row);
      row += count * row_words;
      for (int end = i + count; i < end; ++i, ++x, out += out_stride) {
        targets.outs[i] = out;
        targets.corrections[i] = corrected ? Correction(y, x) : nullptr;
      }
      x = 0;
      if (++y < s.out_height) continue;
      y = 0;
      image += image_words;
    }
    BConv2DBlock block{};
    block.pixels = pixels;
    block.rows = in_place ? input + first * row_words : rows;
    block.words = row_words_;
    block.scratch = scratch + values_bytes_ + rows_bytes_;
    RunVariant(block, targets, group);
  }
  RunPass(target, output, first, pixels, scratch);
}

void BConv2D::RunPlane(const uint8_t* plane, const Target& target, uint8_t* scratch, int batch, int first,
                       int count) const {
  const auto& s = shape_;
  const size_t pixel_bytes = s.in_words() * variant_.expansion->word_bytes;
  const int together = variant_.expansion->together, row_origins = (s.out_width + together - 1) / together;
  const size_t out_stride = out_stride_, line_step = s.stride_height * plane_width_ * pixel_bytes;
  const size_t step = together * s.stride_width * pixel_bytes;
  const bool corrected = s.zero_padding;
  const int out_width = s.out_width;
  const uint8_t* origins[kMostPixels];
  Targets targets;
  int y = first / row_origins, x = first % row_origins * together, i = 0;
  // Origins of a block are neighbours, so its pixels follow each other in the output.
  const size_t begin = (size_t{1} * batch * s.out_height + y) * out_width + x;
  uint8_t* const output = target.output != nullptr ? target.output + begin * out_stride : scratch;
  uint8_t* out = output;
  const uint8_t* line = plane + y * line_step;
  const uint8_t* origin = line + first % row_origins * step;
  for (int p = 0; p < count; ++p) {
    origins[p] = origin;
    origin += step;
    for (int end = x + together; x < end; ++x, ++i) {
      const bool real = x < out_width;
      targets.outs[i] = real ? out : nullptr;
      targets.corrections[i] = real && corrected ? Correction(y, x) : nullptr;
      if (real) out += out_stride;
    }
    if (x < out_width) continue;
    x = 0;
    ++y;
    origin = line += line_step;
  }
  BConv2DBlock block{};
  block.pixels = together * count;
  block.words = row_words_;
  block.origins = origins;
  block.segments = segments_.data();
  block.segment_count = static_cast<int>(segments_.size());
  block.segment_words = segment_words_;
  block.scratch = scratch + values_bytes_;
  RunVariant(block, targets, 0);
  RunPass(target, output, begin, static_cast<int>((out - output) / static_cast<std::ptrdiff_t>(out_stride)), scratch);
}

void BConv2D::RunPass(const Target& target, const uint8_t* values, size_t first, int pixels, uint8_t* scratch) const {
  if (target.pass == nullptr) return;
  target.pass->Run(reinterpret_cast<const float*>(values), first, static_cast<size_t>(pixels),
                   reinterpret_cast<float*>(scratch));
}

}  // namespace edgebnn

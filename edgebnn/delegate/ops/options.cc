#include "ops/options.h"

#include <cstring>

#include "ops/refusal.h"

namespace edgebnn {
namespace {

enum FlexType { kNull = 0, kInt = 1, kUInt = 2, kIndirectInt = 6, kIndirectUInt = 7, kMap = 9, kBool = 26 };

// A window on the buffer; positions are offsets from its start, so that no pointer ever leaves it.
class Reader {
 public:
  Reader(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint64_t Unsigned(size_t at, size_t width) const {
    Require(width == 1 || width == 2 || width == 4 || width == 8, "its options have a number of ", width, " bytes");
    Require(at <= size_ && width <= size_ - at, "its options are truncated");
    uint64_t value = 0;
    std::memcpy(&value, data_ + at, width);  // little endian, as are all hosts we build for
    return value;
  }

  int64_t Signed(size_t at, size_t width) const {
    const unsigned shift = 64 - 8 * static_cast<unsigned>(width);
    return static_cast<int64_t>(Unsigned(at, width) << shift) >> shift;
  }

  // Position that the relative offset at `at` leads back to.
  size_t Follow(size_t at, size_t width) const {
    const uint64_t back = Unsigned(at, width);
    Require(back <= at, "its options have an offset out of bounds");
    return at - static_cast<size_t>(back);
  }

  std::string String(size_t at) const {
    const void* end = at < size_ ? std::memchr(data_ + at, 0, size_ - at) : nullptr;
    Require(end != nullptr, "its options have a name without end");
    std::string name(reinterpret_cast<const char*>(data_ + at), static_cast<const char*>(end));
    for (char& letter : name) {
      if (letter < 0x20 || letter > 0x7e) letter = '?';  // messages are printed
    }
    return name;
  }

  // `at - count * width`, checked.
  static size_t Before(size_t at, size_t count, size_t width) {
    Require(count * width <= at, "its options have an offset out of bounds");
    return at - count * width;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

constexpr size_t kMostOptions = 64;
constexpr size_t kMostBytes = 4096;  // LCE writes 84 to 171; some hosts do not check the length that a file states

}  // namespace

Options::Options(const void* data, size_t size) {
  Require(data != nullptr && size >= 3, "it has no options");
  Require(size <= kMostBytes, "its options are ", size, " bytes, more than ", kMostBytes);
  const Reader read(static_cast<const uint8_t*>(data), size);
  const size_t root_width = read.Unsigned(size - 1, 1);
  const uint64_t root_type = read.Unsigned(size - 2, 1);
  Require(root_type >> 2 == kMap, "its options are not a map");
  const size_t width = size_t{1} << (root_type & 3);
  const size_t values = read.Follow(Reader::Before(size - 2, 1, root_width), root_width);
  const uint64_t count = read.Unsigned(Reader::Before(values, 1, width), width);
  Require(count <= kMostOptions, "its options are ", count, " entries, more than ", kMostOptions);
  const size_t key_width = read.Unsigned(Reader::Before(values, 2, width), width);
  const size_t keys = read.Follow(Reader::Before(values, 3, width), width);
  const uint64_t names = read.Unsigned(Reader::Before(keys, 1, key_width), key_width);
  Require(names == count, "its options have ", names, " names for ", count, " values");
  for (size_t i = 0; i < count; ++i) {
    const size_t key = read.Follow(keys + i * key_width, key_width);
    const uint64_t type = read.Unsigned(values + count * width + i, 1);
    size_t at = values + i * width, value_width = width;
    if (type >> 2 == kIndirectInt || type >> 2 == kIndirectUInt) {
      at = read.Follow(at, width);
      value_width = size_t{1} << (type & 3);
    }
    const std::string name = read.String(key);
    switch (type >> 2) {
      case kInt:
      case kIndirectInt:
        entries_.emplace_back(name, read.Signed(at, value_width));
        break;
      case kUInt:
      case kIndirectUInt:
      case kBool:
        entries_.emplace_back(name, static_cast<int64_t>(read.Unsigned(at, value_width)));
        break;
      case kNull:
        break;  // the same as absent
      default:
        throw Refusal("its option '" + name + "' is not an integer");
    }
  }
}

int Options::Get(const char* name, int low, int high) const {
  for (const auto& [key, value] : entries_) {
    if (key != name) continue;
    Require(low <= value && value <= high, "its option '", name, "' is ", value, ", expected ", low, " to ", high);
    return static_cast<int>(value);
  }
  throw Refusal(std::string("its option '") + name + "' is missing");
}

}  // namespace edgebnn

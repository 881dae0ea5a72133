// Fuzz target: a graph of LCE ops that is right, then damaged anywhere in its tables as the bytes say. The delegate runs
// it or refuses it with a reason, and its kernels agree with one another.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "host.h"
#include "tflite_abi.h"

namespace edgebnn {
namespace {

// The fuzzer's bytes; zeros behind their end.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  int Next() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  int Below(int limit) { return Next() % limit; }
  int Between(int low, int high) { return low + Below(high - low + 1); }
  int32_t Int32() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint32_t>(Next());
    return static_cast<int32_t>(value);
  }
  int32_t Number() {
    constexpr int32_t kEdges[] = {0, -1, 2147483647, -2147483647 - 1, 1 << 20, (1 << 20) + 1, 1 << 30, 65536};
    const int form = Below(4);
    return form == 0 ? kEdges[Below(8)] : form == 1 ? Int32() : Next();
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

using Entries = std::vector<std::pair<std::string, int32_t>>;  // sorted by name

// A FlexBuffers map with values of four bytes, which stand in front of the last `entries + 3` bytes.
std::vector<uint8_t> Map(const Entries& entries) {
  std::vector<uint8_t> octets;
  const auto put = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) octets.push_back(static_cast<uint8_t>(value >> 8 * i));
  };
  std::vector<uint32_t> names;
  for (const auto& entry : entries) {
    names.push_back(static_cast<uint32_t>(octets.size()));
    octets.insert(octets.end(), entry.first.c_str(), entry.first.c_str() + entry.first.size() + 1);
  }
  const auto count = static_cast<uint32_t>(entries.size());
  put(count);
  const auto keys = static_cast<uint32_t>(octets.size());
  for (const uint32_t name : names) put(static_cast<uint32_t>(octets.size()) - name);
  put(static_cast<uint32_t>(octets.size()) - keys);
  put(4);
  put(count);
  const size_t values = octets.size();
  for (const auto& entry : entries) put(static_cast<uint32_t>(entry.second));
  octets.insert(octets.end(), entries.size(), 1 << 2 | 2);
  octets.push_back(static_cast<uint8_t>(octets.size() - values));
  octets.push_back(9 << 2 | 2);
  octets.push_back(1);
  return octets;
}

int ElementBytes(int type) { return type == kTfLiteInt8 || type == kTfLiteBool ? 1 : 4; }

class Builder {
 public:
  explicit Builder(Bytes* bytes) : bytes_(*bytes) {}

  HostGraph Build() {
    constexpr int kTypes[] = {kTfLiteFloat32, kTfLiteInt8, kTfLiteBool, kTfLiteInt32};
    channels_ = bytes_.Between(1, 130);
    const int type = kTypes[bytes_.Below(4)];
    const std::vector<int> dims = {bytes_.Between(1, 2), bytes_.Between(1, 9), bytes_.Between(1, 9),
                                   type == kTfLiteInt32 ? Words() : channels_};
    last_ = Tensor(type, dims);
    graph_.inputs = {last_};
    for (int steps = bytes_.Between(1, 6); steps > 0; --steps) Step();
    graph_.outputs.push_back(last_);
    for (int damages = bytes_.Below(8); damages > 0; --damages) Damage();
    return std::move(graph_);
  }

 private:
  int Words() const { return (channels_ + 31) / 32; }

  int Tensor(int type, const std::vector<int>& dims, bool constant = false) {
    HostTensor tensor;
    tensor.type = type;
    tensor.dims = dims;
    tensor.constant = constant;
    if (type == kTfLiteInt8) {
      tensor.scale = 0.25f * static_cast<float>(bytes_.Between(1, 9));
      tensor.zero_point = bytes_.Between(-128, 127);
    }
    graph_.tensors.push_back(tensor);
    if (constant) Fill(&graph_.tensors.back());
    return static_cast<int>(graph_.tensors.size()) - 1;
  }

  // As many bytes as the dims say, up to 8 KB.
  void Fill(HostTensor* tensor) {
    int64_t bytes = ElementBytes(tensor->type);
    for (const int dim : tensor->dims) bytes = std::min<int64_t>(bytes * std::max(dim, 0), 8192);
    tensor->data.resize(static_cast<size_t>(bytes));
    uint32_t state = 2654435761u * static_cast<uint32_t>(bytes_.Next() + 1);
    for (size_t i = 0; i < tensor->data.size(); ++i) {
      state = state * 1664525u + 1013904223u;
      // Floats between 2^-3 and 2^4.
      const bool exponent = tensor->type == kTfLiteFloat32 && i % 4 == 3;
      tensor->data[i] = static_cast<uint8_t>(exponent ? 0x3e + (state >> 31) * 0x80 + (state >> 30) % 4 : state >> 24);
    }
  }

  void Node(const char* name, const std::vector<int>& inputs, int output, const Entries& options = {}) {
    graph_.nodes.push_back({name, inputs, {output}, options.empty() ? std::vector<uint8_t>() : Map(options), 0, {}});
    Finish(output);
  }

  void Builtin(int code, const std::vector<int>& inputs, int output, const std::vector<int32_t>& params) {
    std::vector<uint8_t> octets(4 * params.size());
    if (!params.empty()) std::memcpy(octets.data(), params.data(), octets.size());
    graph_.nodes.push_back({"", inputs, {output}, {}, code, octets});
    Finish(output);
  }

  void Finish(int output) {
    if (bytes_.Below(8) == 0) graph_.outputs.push_back(output);
    last_ = output;
  }

  void Step() {
    const HostTensor input = graph_.tensors[last_];
    const int kind = bytes_.Below(8);
    if (kind == 0) {  // an op of the host
      Node("", {last_}, Tensor(input.type, input.dims));
    } else if (input.type == kTfLiteFloat32 && kind < 5) {
      Glue(input);
    } else if (input.type != kTfLiteInt32) {
      channels_ = input.dims.back();
      Node("LceQuantize", {last_}, Tensor(kTfLiteInt32, {1, 1, 1, Words()}));
    } else if (kind == 1) {
      constexpr int kTypes[] = {kTfLiteFloat32, kTfLiteInt8, kTfLiteBool};
      Node("LceDequantize", {last_}, Tensor(kTypes[bytes_.Below(3)], {1, 1, 1, channels_}));
    } else if (kind == 2) {
      const int output = Tensor(kTfLiteInt32, {1, 1, 1, Words()});
      const Entries options = {{"filter_height", bytes_.Between(1, 4)},
                               {"filter_width", bytes_.Between(1, 4)},
                               {"padding", bytes_.Below(2)},
                               {"stride_height", bytes_.Between(1, 3)},
                               {"stride_width", bytes_.Between(1, 3)}};
      Node("LceBMaxPool2d", {last_}, output, options);
    } else {
      Convolution(kind);
    }
  }

  void Convolution(int kind) {
    const int groups = channels_ % 64 == 0 && kind == 7 ? 2 : 1;
    const int out = groups * bytes_.Between(1, 70), words = Words() / groups;
    const int filter = Tensor(kTfLiteInt32, {out, bytes_.Between(1, 4), bytes_.Between(1, 4), words}, true);
    const int form = bytes_.Below(3);
    int multiplier = -1, bias = -1, thresholds = -1;
    if (form == 2) {
      thresholds = Tensor(kTfLiteInt32, {out}, true);
    } else {
      multiplier = Tensor(kTfLiteFloat32, {out}, true);
      bias = Tensor(kTfLiteFloat32, {out}, true);
    }
    const int input = last_, channels_in = channels_;
    channels_ = out;
    const int output = form == 2 ? Tensor(kTfLiteInt32, {1, 1, 1, Words()})
                                 : Tensor(form == 0 ? kTfLiteFloat32 : kTfLiteInt8, {1, 1, 1, out});
    const Entries options = {{"channels_in", channels_in},
                             {"dilation_height_factor", bytes_.Between(1, 3)},
                             {"dilation_width_factor", bytes_.Between(1, 3)},
                             {"fused_activation_function", bytes_.Below(4)},
                             {"pad_values", bytes_.Below(2)},
                             {"padding", bytes_.Below(2)},
                             {"stride_height", bytes_.Between(1, 3)},
                             {"stride_width", bytes_.Between(1, 3)}};
    Node("LceBconv2d", {input, filter, multiplier, bias, thresholds}, output, options);
  }

  // A builtin float op; its second operand is a constant or a tensor of the same shape from before.
  void Glue(const HostTensor& input) {
    constexpr int kCodes[] = {kTfLiteBuiltinAdd,     kTfLiteBuiltinMul,       kTfLiteBuiltinSub,
                              kTfLiteBuiltinDiv,     kTfLiteBuiltinRelu,      kTfLiteBuiltinRelu6,
                              kTfLiteBuiltinPrelu,   kTfLiteBuiltinLeakyRelu, kTfLiteBuiltinMaxPool2d,
                              kTfLiteBuiltinAveragePool2d, kTfLiteBuiltinConcatenation, kTfLiteBuiltinPad,
                              kTfLiteBuiltinResizeBilinear, kTfLiteBuiltinResizeNearestNeighbor};
    const int code = kCodes[bytes_.Below(14)], from = last_;
    std::vector<int> dims = input.dims;
    const auto ints = [&](const std::vector<int>& shape, const std::vector<int32_t>& values) {
      const int tensor = Tensor(kTfLiteInt32, shape, true);
      std::memcpy(graph_.tensors[tensor].data.data(), values.data(), 4 * values.size());
      return tensor;
    };
    switch (code) {
      case kTfLiteBuiltinAdd:
      case kTfLiteBuiltinMul:
      case kTfLiteBuiltinSub:
      case kTfLiteBuiltinDiv: {
        int other = Tensor(kTfLiteFloat32, {bytes_.Below(2) == 0 ? dims.back() : 1}, true);
        if (bytes_.Below(2) == 0) {
          for (int i = 0; i < from; ++i) {
            const HostTensor& tensor = graph_.tensors[i];
            if (tensor.type == kTfLiteFloat32 && !tensor.constant && tensor.dims == dims) other = i;
          }
        }
        const bool swapped = bytes_.Below(4) == 0;
        const std::vector<int> inputs = swapped ? std::vector<int>{other, from} : std::vector<int>{from, other};
        return Builtin(code, inputs, Tensor(kTfLiteFloat32, dims), {bytes_.Below(4)});
      }
      case kTfLiteBuiltinPrelu:
        return Builtin(code, {from, Tensor(kTfLiteFloat32, {1, 1, dims.back()}, true)}, Tensor(kTfLiteFloat32, dims), {});
      case kTfLiteBuiltinLeakyRelu:
        return Builtin(code, {from}, Tensor(kTfLiteFloat32, dims), {0x3e000000});
      case kTfLiteBuiltinMaxPool2d:
      case kTfLiteBuiltinAveragePool2d:
        return Builtin(code, {from}, Tensor(kTfLiteFloat32, dims),
                       {bytes_.Between(1, 2), bytes_.Between(1, 3), bytes_.Between(1, 3), bytes_.Between(1, 4),
                        bytes_.Between(1, 4), bytes_.Below(4), 0, 0, 0, 0});
      case kTfLiteBuiltinConcatenation: {
        dims.back() *= 2;
        channels_ = dims.back();
        return Builtin(code, {from, from}, Tensor(kTfLiteFloat32, dims), {static_cast<int>(dims.size()) - 1, 0});
      }
      case kTfLiteBuiltinPad: {
        std::vector<int32_t> pads(2 * dims.size());
        for (size_t i = 2; i < pads.size() - 2; ++i) pads[i] = bytes_.Below(3);
        const int paddings = ints({static_cast<int>(dims.size()), 2}, pads);
        return Builtin(code, {from, paddings}, Tensor(kTfLiteFloat32, dims), {});
      }
      case kTfLiteBuiltinResizeBilinear:
      case kTfLiteBuiltinResizeNearestNeighbor: {
        const int size = ints({2}, {bytes_.Between(1, 9), bytes_.Between(1, 9)});
        return Builtin(code, {from, size}, Tensor(kTfLiteFloat32, dims), {bytes_.Below(2) | bytes_.Below(2) << 8});
      }
      default:
        return Builtin(code, {from}, Tensor(kTfLiteFloat32, dims), {});
    }
  }

  int AnyTensor() { return bytes_.Between(-1, static_cast<int>(graph_.tensors.size()) - 1); }

  void Damage() {
    HostTensor& tensor = graph_.tensors[bytes_.Below(static_cast<int>(graph_.tensors.size()))];
    HostNode& node = graph_.nodes[bytes_.Below(static_cast<int>(graph_.nodes.size()))];
    switch (bytes_.Below(16)) {
      case 0:
        tensor.type = static_cast<int8_t>(bytes_.Next());
        break;
      case 1:
        if (!tensor.dims.empty()) tensor.dims[bytes_.Below(static_cast<int>(tensor.dims.size()))] = bytes_.Number();
        if (tensor.constant && bytes_.Below(2) == 0) Fill(&tensor);
        break;
      case 2:
        if (bytes_.Below(2) == 0 && !tensor.dims.empty()) {
          tensor.dims.pop_back();
        } else {
          tensor.dims.push_back(bytes_.Between(1, 3));
        }
        if (tensor.constant) Fill(&tensor);
        break;
      case 3: {
        constexpr float kScales[] = {0, -1, 1e-45f, 1e38f, std::numeric_limits<float>::infinity(),
                                     std::numeric_limits<float>::quiet_NaN()};
        tensor.scale = kScales[bytes_.Below(6)];
        break;
      }
      case 4:
        tensor.zero_point = bytes_.Number();
        break;
      case 5:
        tensor.constant = !tensor.constant;
        if (tensor.constant) Fill(&tensor);
        break;
      case 6:
        tensor.data.resize(static_cast<size_t>(bytes_.Below(64)));
        break;
      case 7: {  // numbers of a constant
        const int32_t value = bytes_.Int32();
        for (size_t i = 0; i + 4 <= tensor.data.size(); i += 4) std::memcpy(&tensor.data[i], &value, 4);
        break;
      }
      case 8:
        if (!node.inputs.empty()) node.inputs[bytes_.Below(static_cast<int>(node.inputs.size()))] = AnyTensor();
        break;
      case 9:
        if (bytes_.Below(2) == 0 && !node.inputs.empty()) {
          node.inputs.pop_back();
        } else {
          node.inputs.push_back(AnyTensor());
        }
        break;
      case 10:
        if (bytes_.Below(4) != 0) {
          node.outputs.assign(1, AnyTensor());
        } else {
          node.outputs.push_back(AnyTensor());
        }
        break;
      case 11:
        if (!node.options.empty()) {
          node.options[bytes_.Below(static_cast<int>(node.options.size()))] = static_cast<uint8_t>(bytes_.Next());
        } else if (!node.params.empty()) {
          const int32_t value = bytes_.Number();
          const size_t at = 4 * static_cast<size_t>(bytes_.Below(static_cast<int>(node.params.size() / 4)));
          std::memcpy(&node.params[at], &value, 4);
        } else {
          node.builtin = bytes_.Below(100);
        }
        break;
      case 12: {  // the value of an option
        const size_t entries = node.options.size() > 100 ? 8 : 5, tail = entries + 3;
        if (node.options.size() < 5 * tail) break;
        const int32_t value = bytes_.Number();
        const size_t at = node.options.size() - tail - 4 * (1 + static_cast<size_t>(bytes_.Below(static_cast<int>(entries))));
        std::memcpy(&node.options[at], &value, 4);
        break;
      }
      case 13: {
        constexpr const char* kNames[] = {"LceQuantize", "LceDequantize", "LceBconv2d", "LceBMaxPool2d", "Other", ""};
        node.name = kNames[bytes_.Below(6)];
        break;
      }
      case 14:
        std::swap(node, graph_.nodes[bytes_.Below(static_cast<int>(graph_.nodes.size()))]);
        break;
      default:
        if (bytes_.Below(2) == 0 && graph_.outputs.size() > 1) {
          graph_.outputs.pop_back();
        } else {
          graph_.outputs.push_back(bytes_.Below(static_cast<int>(graph_.tensors.size())));
        }
    }
  }

  Bytes& bytes_;
  HostGraph graph_;
  int last_ = 0;
  int channels_ = 1;
};

[[noreturn]] void Fail(const char* what, const std::string& message) {
  std::fprintf(stderr, "%s: %s\n", what, message.c_str());
  std::abort();
}

// Equal bytes; of floats any NaN equals any other.
bool Equal(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b, int type) {
  if (a == b) return true;
  if (a.size() != b.size() || type != kTfLiteFloat32) return false;
  for (size_t i = 0; i + 4 <= a.size(); i += 4) {
    float x, y;
    std::memcpy(&x, &a[i], 4);
    std::memcpy(&y, &b[i], 4);
    if (std::memcmp(&x, &y, 4) != 0 && (x == x || y == y)) return false;
  }
  return true;
}

}  // namespace
}  // namespace edgebnn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace edgebnn;
  Bytes bytes(data, size);
  const char* threads = bytes.Below(8) == 7 ? "3" : "1";
  const HostGraph graph = Builder(&bytes).Build();
  const Outcome expected = RunHost(graph, "reference", "1");
  if (expected.kind == Outcome::refused) {
    const std::string& message = expected.message;
    if (message.size() < 12 || message.compare(0, 9, "edgebnn: ") != 0 || message.find('\n') != message.npos) {
      Fail("no one-line reason", message);
    }
  }
  for (const char* kernel : {"portable", "auto"}) {
    const Outcome outcome = RunHost(graph, kernel, threads);
    if (outcome.kind != expected.kind) Fail("kernels disagree whether the graph runs", outcome.message + expected.message);
    for (size_t i = 0; i < outcome.outputs.size(); ++i) {
      if (!Equal(outcome.outputs[i], expected.outputs[i], graph.tensors[graph.outputs[i]].type)) {
        Fail("kernels give other outputs", kernel);
      }
    }
  }
  return 0;
}

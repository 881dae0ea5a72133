#include "host.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tflite_abi.h"

extern "C" {
TfLiteDelegate* tflite_plugin_create_delegate(const char* const* names, const char* const* values, size_t count,
                                              void (*report_error)(const char*));
void tflite_plugin_destroy_delegate(TfLiteDelegate* host);
}

namespace edgebnn {
namespace {

constexpr size_t kMostBytes = 1 << 14;  // of a tensor; a host with little memory

// Bytes of a tensor as a host counts them; false when it refuses to.
bool CountBytes(int type, const int* dims, int rank, size_t* bytes) {
  *bytes = type == kTfLiteInt8 || type == kTfLiteBool ? 1 : 4;
  for (int i = 0; i < rank; ++i) {
    if (dims[i] < 0 || *bytes > kMostBytes) return false;
    *bytes *= static_cast<size_t>(dims[i]);
  }
  return *bytes <= kMostBytes;
}

TfLiteIntArray* NewArray(const std::vector<int>& values) {
  auto* array = static_cast<TfLiteIntArray*>(std::malloc(sizeof(int) * (values.size() + 1)));
  array->size = static_cast<int>(values.size());
  std::copy(values.begin(), values.end(), array->data);
  return array;
}

struct FreeArray {
  void operator()(TfLiteIntArray* array) const { std::free(array); }
};
using Array = std::unique_ptr<TfLiteIntArray, FreeArray>;

// `count` objects, each with a pointer put in at the offset `at`. The memory lives on: the pointer points to it.
template <class T>
T* Shifted(const T* objects, size_t count, size_t at) {
  static std::vector<std::unique_ptr<uint8_t[]>> kept;
  const size_t size = sizeof(T) + sizeof(void*);
  kept.push_back(std::make_unique<uint8_t[]>(count * size));
  uint8_t* const all = kept.back().get();
  for (size_t i = 0; i < count; ++i) {
    const auto* from = reinterpret_cast<const uint8_t*>(objects + i);
    uint8_t* to = all + i * size;
    std::memcpy(to, from, at);
    std::memcpy(to + at, &all, sizeof all);
    std::memcpy(to + at + sizeof all, from + at, sizeof(T) - at);
  }
  return reinterpret_cast<T*>(all);
}

class Host {
 public:
  explicit Host(const HostGraph& graph, Shift shift) : graph_(graph), shift_(shift) {}

  ~Host() {
    for (Kernel& kernel : kernels_) registration_.free(&context_, kernel.node.user_data);
    for (size_t i = 0; i < tensors_.size(); ++i) {
      std::free(tensors_[i].dims);
      std::free(tensors_[i].data);
    }
  }

  // What a host checks by itself when it loads a file.
  bool Load() {
    const int count = static_cast<int>(graph_.tensors.size());
    for (const HostTensor& tensor : graph_.tensors) {
      size_t bytes = 0;
      if (!CountBytes(tensor.type, tensor.dims.data(), static_cast<int>(tensor.dims.size()), &bytes)) return false;
      TfLiteTensor made{};
      made.type = static_cast<TfLiteType>(tensor.type);
      made.dims = NewArray(tensor.dims);
      made.params = {tensor.scale, tensor.zero_point};
      made.allocation_type = tensor.constant ? kTfLiteMmapRo : kTfLiteArenaRw;
      made.bytes = tensor.constant ? tensor.data.size() : bytes;
      if (tensor.constant) {
        made.data = std::malloc(tensor.data.size());
        if (!tensor.data.empty()) std::memcpy(made.data, tensor.data.data(), tensor.data.size());
      }
      tensors_.push_back(made);
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const HostNode& node = graph_.nodes[n];
      for (const auto* list : {&node.inputs, &node.outputs}) {
        for (const int tensor : *list) {
          if (tensor < -1 || tensor >= count) return false;
        }
      }
      for (const int tensor : node.inputs) {  // a host refuses a node that writes what it reads
        if (std::count(node.outputs.begin(), node.outputs.end(), tensor) > 0) return false;
      }
      arrays_.emplace_back(NewArray(node.inputs));
      arrays_.emplace_back(NewArray(node.outputs));
      TfLiteNode made{};
      made.inputs = arrays_[2 * n].get();
      made.outputs = arrays_[2 * n + 1].get();
      options_.push_back(std::make_unique<uint8_t[]>(node.options.size()));  // exactly, for the sanitizer
      std::copy(node.options.begin(), node.options.end(), options_.back().get());
      made.custom_initial_data = node.options.empty() ? nullptr : options_.back().get();
      made.custom_initial_data_size = static_cast<int>(node.options.size());
      params_.push_back(std::make_unique<uint8_t[]>(node.params.size()));
      std::copy(node.params.begin(), node.params.end(), params_.back().get());
      made.builtin_data = node.params.empty() ? nullptr : params_.back().get();
      nodes_.push_back(made);
      TfLiteRegistration registration{};
      registration.builtin_code = node.name.empty() ? node.builtin : kTfLiteBuiltinCustom;
      registration.custom_name = node.name.empty() ? nullptr : node.name.c_str();
      registrations_.push_back(registration);
    }
    std::vector<int> all(nodes_.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
    plan_.reset(NewArray(all));
    inside_.assign(tensors_.size(), false);
    context_.tensors_size = tensors_.size();
    context_.tensors = tensors_.data();
    context_.impl_ = this;
    context_.GetExecutionPlan = [](TfLiteContext* context, TfLiteIntArray** plan) {
      *plan = From(context)->plan_.get();
      return kTfLiteOk;
    };
    context_.ResizeTensor = [](TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* dims) {
      return From(context)->Resize(tensor, dims);
    };
    context_.ReportError = &Host::Report;
    context_.GetNodeAndRegistration = [](TfLiteContext* context, int index, TfLiteNode** node,
                                         TfLiteRegistration** registration) {
      Host* host = From(context);
      if (index < 0 || static_cast<size_t>(index) >= host->nodes_.size()) return kTfLiteError;
      *node = &host->nodes_[index];
      *registration = &host->registrations_[index];
      if (host->shift_.of == Shift::node) *node = Shifted(*node, 1, host->shift_.at);
      if (host->shift_.of == Shift::registration) *registration = Shifted(*registration, 1, host->shift_.at);
      return kTfLiteOk;
    };
    context_.ReplaceNodeSubsetsWithDelegateKernels = [](TfLiteContext* context, TfLiteRegistration registration,
                                                        const TfLiteIntArray* nodes, TfLiteDelegate* delegate) {
      return From(context)->Replace(registration, nodes, delegate);
    };
    return true;
  }

  bool Claim(TfLiteDelegate* delegate) {
    TfLiteContext* context = &context_;
    if (shift_.of == Shift::tensor) context_.tensors = Shifted(tensors_.data(), tensors_.size(), shift_.at);
    if (shift_.of == Shift::context) context = Shifted(&context_, 1, shift_.at);
    return delegate->Prepare(context, delegate) == kTfLiteOk;
  }

  bool Prepare() {
    for (Kernel& kernel : kernels_) {
      if (registration_.prepare(&context_, &kernel.node) != kTfLiteOk) return false;
    }
    return true;
  }

  // Memory for all tensors but those inside a partition; inputs and what builtin ops would write get varied bytes.
  void Allocate() {
    for (size_t i = 0; i < tensors_.size(); ++i) {
      TfLiteTensor& tensor = tensors_[i];
      if (tensor.allocation_type == kTfLiteMmapRo || inside_[i]) continue;
      std::free(tensor.data);
      tensor.data = std::malloc(tensor.bytes);
      auto* octets = static_cast<uint8_t*>(tensor.data);
      for (size_t at = 0; at < tensor.bytes; ++at) octets[at] = static_cast<uint8_t>(at * 151 + (at >> 8) + 37);
    }
  }

  bool Invoke() {
    for (Kernel& kernel : kernels_) {
      if (registration_.invoke(&context_, &kernel.node) != kTfLiteOk) return false;
    }
    return true;
  }

  std::vector<std::vector<uint8_t>> Outputs() const {
    std::vector<std::vector<uint8_t>> outputs;
    for (const int index : graph_.outputs) {
      const TfLiteTensor& tensor = tensors_[index];
      const auto* octets = static_cast<const uint8_t*>(tensor.data);
      outputs.emplace_back(octets, octets + (octets == nullptr ? 0 : tensor.bytes));
    }
    return outputs;
  }

  // Another height of the first input, as a user's resize; false where it has none.
  bool ResizeInput() {
    if (graph_.inputs.empty()) return false;
    TfLiteTensor& tensor = tensors_[graph_.inputs[0]];
    if (tensor.allocation_type == kTfLiteMmapRo || tensor.dims->size < 2) return false;
    std::vector<int> dims(tensor.dims->data, tensor.dims->data + tensor.dims->size);
    dims[1] = dims[1] > 2 ? dims[1] - 1 : dims[1] + 3;
    return Resize(&tensor, NewArray(dims)) == kTfLiteOk;
  }

  std::string message;

 private:
  struct Kernel {
    TfLiteNode node{};
    Array nodes, inputs, outputs;
  };

  static Host* From(TfLiteContext* context) { return static_cast<Host*>(context->impl_); }

  static void Report(TfLiteContext* context, const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    From(context)->message += text;
  }

  TfLiteStatus Resize(TfLiteTensor* tensor, TfLiteIntArray* dims) {
    Array owned(dims);
    size_t bytes = 0;
    if (tensor->allocation_type == kTfLiteMmapRo || !CountBytes(tensor->type, dims->data, dims->size, &bytes)) {
      return kTfLiteError;
    }
    std::free(tensor->dims);
    tensor->dims = owned.release();
    tensor->bytes = bytes;
    std::free(tensor->data);
    tensor->data = nullptr;
    return kTfLiteOk;
  }

  // One kernel for every run of claimed nodes without another node between.
  TfLiteStatus Replace(const TfLiteRegistration& registration, const TfLiteIntArray* nodes, TfLiteDelegate* delegate) {
    registration_ = registration;
    const std::vector<int> claimed(nodes->data, nodes->data + nodes->size);
    for (size_t begin = 0, end = 0; begin < claimed.size(); begin = end) {
      end = begin + 1;
      while (end < claimed.size() && claimed[end] == claimed[end - 1] + 1) ++end;
      Add(std::vector<int>(claimed.begin() + begin, claimed.begin() + end), delegate);
    }
    return kTfLiteOk;
  }

  void Add(const std::vector<int>& run, TfLiteDelegate* delegate) {
    std::vector<int> inputs, outputs;
    for (const int index : run) {
      for (const int tensor : graph_.nodes[index].inputs) {
        if (tensor >= 0) inputs.push_back(tensor);
      }
      for (const int tensor : graph_.nodes[index].outputs) {
        if (tensor < 0) continue;
        if (SeenOutside(run, tensor)) {
          outputs.push_back(tensor);
        } else {
          inside_[tensor] = true;
        }
      }
    }
    kernels_.emplace_back();
    Kernel& kernel = kernels_.back();
    kernel.nodes.reset(NewArray(run));
    kernel.inputs.reset(NewArray(inputs));
    kernel.outputs.reset(NewArray(outputs));
    TfLiteDelegateParams params{delegate, kernel.nodes.get(), kernel.inputs.get(), kernel.outputs.get()};
    kernel.node.user_data = registration_.init(&context_, reinterpret_cast<const char*>(&params), sizeof params);
  }

  bool SeenOutside(const std::vector<int>& run, int tensor) const {
    const auto holds = [&](const std::vector<int>& list) { return std::count(list.begin(), list.end(), tensor) > 0; };
    if (holds(graph_.outputs) || holds(graph_.inputs)) return true;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const HostNode& node = graph_.nodes[i];
      const bool outside = std::count(run.begin(), run.end(), static_cast<int>(i)) == 0;
      if (outside && (holds(node.inputs) || holds(node.outputs))) return true;
    }
    return false;
  }

  const HostGraph& graph_;
  const Shift shift_;
  TfLiteContext context_{};
  TfLiteRegistration registration_{};
  std::vector<TfLiteTensor> tensors_;
  std::vector<bool> inside_;
  std::vector<TfLiteNode> nodes_;
  std::vector<TfLiteRegistration> registrations_;
  std::vector<Array> arrays_;
  std::vector<std::unique_ptr<uint8_t[]>> options_, params_;
  Array plan_;
  std::vector<Kernel> kernels_;
};

struct DestroyDelegate {
  void operator()(TfLiteDelegate* delegate) const { tflite_plugin_destroy_delegate(delegate); }
};

}  // namespace

Outcome RunHost(const HostGraph& graph, const char* kernel, const char* num_threads, Shift shift) {
  const char* names[] = {"kernel", "num_threads"};
  const char* values[] = {kernel, num_threads};
  const std::unique_ptr<TfLiteDelegate, DestroyDelegate> delegate(
      tflite_plugin_create_delegate(names, values, 2, nullptr));
  Host host(graph, shift);
  Outcome outcome;
  if (!host.Load()) return outcome;
  outcome.kind = Outcome::refused;
  bool fine = host.Claim(delegate.get());
  if (shift.of != Shift::none) {
    if (fine) outcome.kind = Outcome::ran;
    outcome.message = host.message;
    return outcome;
  }
  fine = fine && host.Prepare();
  if (fine) {
    host.Allocate();
    fine = host.Invoke();
  }
  if (fine) {
    outcome.kind = Outcome::ran;
    outcome.outputs = host.Outputs();
    if (host.ResizeInput() && host.Prepare()) {
      host.Allocate();
      host.Invoke();
    }
  }
  outcome.message = host.message;
  return outcome;
}

}  // namespace edgebnn

#include "graph/abi_guard.h"

#include <dirent.h>
#include <dlfcn.h>
#include <link.h>

#include <cstdio>
#include <cstring>
#include <memory>

#include "ops/refusal.h"

namespace edgebnn {
namespace {

constexpr size_t kMost = 1 << 24;  // tensors, nodes, tensors of a node
constexpr int kMostDims = 64;
constexpr int kMostBuiltin = 4096;
constexpr uintptr_t kLowest = 4096;  // address

// Runs `body` on the segments of all loaded libraries until it returns true; whether it did.
template <class Body>
bool AnySegment(Body body) {
  return dl_iterate_phdr(
             [](dl_phdr_info* library, size_t, void* context) {
               for (int i = 0; i < library->dlpi_phnum; ++i) {
                 const auto& segment = library->dlpi_phdr[i];
                 if (segment.p_type == PT_LOAD && (*static_cast<Body*>(context))(*library, segment)) return 1;
               }
               return 0;
             },
             &body) != 0;
}

template <class Function>
bool IsCode(Function* function) {
  const auto address = reinterpret_cast<uintptr_t>(function);
  return AnySegment([&](const dl_phdr_info& library, const auto& segment) {
    const uintptr_t begin = library.dlpi_addr + segment.p_vaddr;
    return (segment.p_flags & PF_X) != 0 && address >= begin && address - begin < segment.p_memsz;
  });
}

// Whether an object of this type may lie there.
template <class T>
bool MayPoint(const T* object) {
  const auto address = reinterpret_cast<uintptr_t>(object);
  return address >= kLowest && address % alignof(T) == 0;
}

bool IsBool(const bool& value) {
  unsigned char octet;
  std::memcpy(&octet, &value, 1);
  return octet <= 1;
}

// The version that stands in the name of the folder NAME-VERSION.dist-info beside a Python package.
std::string PackageVersion(const std::string& folder, const std::string& name) {
  const std::unique_ptr<DIR, int (*)(DIR*)> files(opendir(folder.c_str()), closedir);
  if (files == nullptr) return "";
  const std::string begin = name + "-", end = ".dist-info";
  while (const dirent* file = readdir(files.get())) {
    const std::string found = file->d_name;
    if (found.size() > begin.size() + end.size() && found.compare(0, begin.size(), begin) == 0 &&
        found.compare(found.size() - end.size(), end.size(), end) == 0) {
      return found.substr(begin.size(), found.size() - begin.size() - end.size());
    }
  }
  return "";
}

void CheckContext(const TfLiteContext& context) {
  const auto check = [](bool fine, const char* what) { Require(fine, "TfLiteContext (", what, ")"); };
  check(context.tensors_size > 0 && context.tensors_size < kMost, "tensors_size");
  check(MayPoint(context.tensors), "tensors");
  check(IsCode(context.GetExecutionPlan), "GetExecutionPlan");
  check(IsCode(context.ResizeTensor), "ResizeTensor");
  check(IsCode(context.ReportError), "ReportError");
  check(IsCode(context.GetNodeAndRegistration), "GetNodeAndRegistration");
  check(IsCode(context.ReplaceNodeSubsetsWithDelegateKernels), "ReplaceNodeSubsetsWithDelegateKernels");
}

void CheckTensors(const TfLiteContext& context) {
  for (size_t i = 0; i < context.tensors_size; ++i) {
    const TfLiteTensor& tensor = context.tensors[i];
    const auto check = [&](bool fine, const char* what) {
      Require(fine, "TfLiteTensor (", what, " of tensor ", i, ")");
    };
    check(tensor.type >= 0 && tensor.type <= kTfLiteLastKnownType, "type");
    check(tensor.allocation_type >= 0 && tensor.allocation_type <= kTfLiteLastKnownAllocation, "allocation_type");
    check(IsBool(tensor.data_is_stale) && IsBool(tensor.is_variable), "is_variable");
    check(tensor.dims == nullptr || MayPoint(tensor.dims), "dims");
    check(tensor.dims == nullptr || (tensor.dims->size >= 0 && tensor.dims->size <= kMostDims), "dims");
  }
}

void CheckNode(TfLiteContext* context, int index) {
  const auto check = [&](bool fine, const char* what) { Require(fine, what, " of node ", index, ")"); };
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  check(context->GetNodeAndRegistration(context, index, &node, &registration) == kTfLiteOk && MayPoint(node) &&
            MayPoint(registration),
        "TfLiteContext (GetNodeAndRegistration");
  for (const TfLiteIntArray* tensors : {node->inputs, node->outputs}) {
    check(MayPoint(tensors) && tensors->size >= 0 && static_cast<size_t>(tensors->size) < kMost, "TfLiteNode (tensors");
    for (int i = 0; i < tensors->size; ++i) {
      const int64_t tensor = tensors->data[i];
      check(tensor >= kTfLiteOptionalTensor && tensor < static_cast<int64_t>(context->tensors_size),
            "TfLiteNode (tensors");
    }
  }
  check(node->custom_initial_data_size >= 0, "TfLiteNode (custom_initial_data_size");
  check(registration->builtin_code >= 0 && registration->builtin_code < kMostBuiltin,
        "TfLiteRegistration (builtin_code");
  check(registration->custom_name == nullptr || MayPoint(registration->custom_name), "TfLiteRegistration (custom_name");
}

void CheckNodes(TfLiteContext* context) {
  TfLiteIntArray* plan = nullptr;
  Require(context->GetExecutionPlan(context, &plan) == kTfLiteOk && MayPoint(plan) && plan->size >= 0 &&
              static_cast<size_t>(plan->size) < kMost,
          "TfLiteContext (GetExecutionPlan)");
  for (int i = 0; i < plan->size; ++i) CheckNode(context, plan->data[i]);
}

}  // namespace

bool CheckAbi(TfLiteContext* context) {
  bool can_report = false;  // ReportError may be another function while the context itself is in doubt
  try {
    CheckContext(*context);
    can_report = true;
    CheckTensors(*context);
    CheckNodes(context);
    return true;
  } catch (const Refusal& refusal) {
    const bool plan = IsCode(context->GetExecutionPlan);
    const void* code = plan ? reinterpret_cast<const void*>(context->GetExecutionPlan)
                            : reinterpret_cast<const void*>(context->ReportError);
    const std::string text = "this runtime, " + NameRuntime(code) + ", lays out its structs in a way that edgebnn does not know: " + refusal.what() +
                             " makes no sense; runtimes from tflite-runtime 2.14 to ai-edge-litert 2.3 are known";
    if (can_report) {
      context->ReportError(context, "edgebnn: %s. ", text.c_str());
    } else {
      std::fprintf(stderr, "edgebnn: %s.\n", text.c_str());
    }
    return false;
  }
}

std::string NameRuntime(const void* code) {
  Dl_info library{};
  if (dladdr(code, &library) == 0 || library.dli_fname == nullptr) return "which cannot be named";
  const std::string path = library.dli_fname;
  for (size_t end = path.rfind('/'); end != std::string::npos && end > 0; end = path.rfind('/', end - 1)) {
    const size_t begin = path.rfind('/', end - 1);
    if (begin == std::string::npos) break;
    const std::string name = path.substr(begin + 1, end - begin - 1);
    const std::string version = PackageVersion(path.substr(0, begin), name);
    if (!version.empty()) return name + " " + version + " (" + path + ")";
  }
  const std::unique_ptr<void, int (*)(void*)> handle(dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD), dlclose);
  void* version = handle == nullptr ? nullptr : dlsym(handle.get(), "TfLiteVersion");
  if (version == nullptr) return path;
  return std::string("TFLite ") + reinterpret_cast<const char* (*)()>(version)() + " (" + path + ")";
}

}  // namespace edgebnn

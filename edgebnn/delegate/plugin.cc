// The two symbols by which hosts load an external delegate, and one by which `edgebnn bench` reads its profile.

#include <exception>

#include "graph/delegate.h"
#include "ops/refusal.h"

extern "C" {

__attribute__((visibility("default"))) TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* names, const char* const* values, size_t count, void (*report_error)(const char*)) {
  try {
    edgebnn::DelegateOptions options;
    for (size_t i = 0; i < count; ++i) options.Set(names[i], values[i]);
    return (new edgebnn::Delegate(options))->host();
  } catch (const std::exception& error) {
    if (report_error != nullptr) report_error(error.what());
    return nullptr;
  }
}

// Hosts call this with nullptr after a failed create.
__attribute__((visibility("default"))) void tflite_plugin_destroy_delegate(TfLiteDelegate* host) {
  if (host != nullptr) delete edgebnn::Delegate::From(host);
}

// Calls see(nodes, count, nanoseconds, runs, user) for each group of nodes that ran since the last call, with the option
// profile=1; without it for none.
__attribute__((visibility("default"))) void edgebnn_take_profile(
    TfLiteDelegate* host, void (*see)(const int* nodes, int count, int64_t nanoseconds, int64_t runs, void* user),
    void* user) {
  edgebnn::Profile* profile = edgebnn::Delegate::From(host)->profile();
  if (profile == nullptr) return;
  profile->Take([&](const int* nodes, int count, int64_t nanoseconds, int64_t runs) {
    see(nodes, count, nanoseconds, runs, user);
  });
}

}  // extern "C"

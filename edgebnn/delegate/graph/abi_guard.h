// The runtime's structs, looked at once before anything relies on them: their layout has no version.
#pragma once

#include <string>

#include "tflite_abi.h"

namespace edgebnn {

// Whether the delegate may go on: false when fields of the context, its tensors or nodes hold what they cannot hold, so
// that this runtime lays its structs out in a way that we do not know. It was said then, with the runtime's name; on
// stderr where it is the context that is in doubt. Looks before it calls or follows anything; but values that make sense
// prove nothing.
bool CheckAbi(TfLiteContext* context);

// "ai_edge_litert 2.3.0 (/.../libpywrap_litert_common.so)": the library that `code` belongs to and its version, where its
// Python package or a function TfLiteVersion tells it. The context does not, nor does any of the Python runtimes.
std::string NameRuntime(const void* code);

}  // namespace edgebnn

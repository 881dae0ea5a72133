// Fuzz target: any bytes as the custom options of LceBconv2d and LceBMaxPool2d. They are read or refused with a reason.

#include <cstdlib>
#include <cstring>

#include "ops/op.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const char* name : {"LceBconv2d", "LceBMaxPool2d"}) {
    try {
      edgebnn::MakeOp({kTfLiteBuiltinCustom, name, data, static_cast<int>(size), nullptr}, edgebnn::Choice::automatic);
    } catch (const edgebnn::Refusal& refusal) {
      if (std::strlen(refusal.what()) == 0) std::abort();
    }
  }
  return 0;
}

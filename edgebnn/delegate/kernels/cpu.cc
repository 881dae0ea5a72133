#include "kernels/variant.h"

namespace edgebnn {

bool Has(Feature feature) {
  switch (feature) {
    case Feature::none:
      return true;
    case Feature::avx2:
#if defined(__x86_64__)
      return __builtin_cpu_supports("avx2") != 0;
#else
      return false;
#endif
    case Feature::neon:
#if defined(__aarch64__)
      return true;
#else
      return false;
#endif
  }
  return false;
}

}  // namespace edgebnn

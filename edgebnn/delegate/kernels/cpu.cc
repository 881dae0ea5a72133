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
    case Feature::avx512:
#if defined(__x86_64__)
      // Like all of AVX these are false unless XCR0 says that the system keeps the opmask and zmm registers.
      return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
             __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vpopcntdq") != 0;
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

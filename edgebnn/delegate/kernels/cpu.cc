#include "kernels/variant.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__arm__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace edgebnn {

namespace {

#if defined(__x86_64__)
struct X86Features {
  bool avx2 = false, avx512 = false;
};

// CPUID and XCR0, which says whose registers the system keeps. Not __builtin_cpu_supports: the runtime library of zig,
// which compiles the wheels, has a stub for it that knows no feature.
X86Features AskX86() {
  unsigned eax, ebx, ecx, edx, xcr0, xcr0_high;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0 || (ecx & bit_AVX) == 0) return {};
  __asm__("xgetbv" : "=a"(xcr0), "=d"(xcr0_high) : "c"(0));
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return {};
  constexpr unsigned kYmm = 0x06, kZmm = 0xe6;  // xmm, ymm; and opmask, both halves of zmm
  constexpr unsigned kAvx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL;
  X86Features found;
  found.avx2 = (xcr0 & kYmm) == kYmm && (ebx & bit_AVX2) != 0;
  found.avx512 = (xcr0 & kZmm) == kZmm && (ebx & kAvx512) == kAvx512 && (ecx & bit_AVX512VPOPCNTDQ) != 0;
  return found;
}

// CPUID costs microseconds under virtualization: once.
const X86Features& X86() {
  static const X86Features features = AskX86();
  return features;
}
#endif

}  // namespace

bool Has(Feature feature) {
  switch (feature) {
    case Feature::none:
      return true;
    case Feature::avx2:
#if defined(__x86_64__)
      return X86().avx2;
#else
      return false;
#endif
    case Feature::avx512:
#if defined(__x86_64__)
      return X86().avx512;
#else
      return false;
#endif
    case Feature::neon:
#if defined(__aarch64__)
      return true;
#elif defined(__arm__)
      return (getauxval(AT_HWCAP) & HWCAP_NEON) != 0;
#else
      return false;
#endif
  }
  return false;
}

bool Admits(Choice choice, Feature feature) {
  const bool wanted = feature == Feature::none || choice == Choice::automatic ||
                      (choice == Choice::avx2 && feature == Feature::avx2);
  return wanted && Has(feature);
}

}  // namespace edgebnn

// A kernel variant is one implementation of a family: reference, portable, or one for an instruction set.
// A family's kernels.inc lists its variants, slowest first, one line each: EDGEBNN_KERNEL(name of the variant object).
#pragma once

#include <cstddef>
#include <vector>

namespace edgebnn {

// avx512: F, BW, VL and VPOPCNTDQ, so Ice Lake, Zen 4 and later.
enum class Feature { none, avx2, avx512, neon };

// Whether this CPU has a feature, and the system keeps its registers.
bool Has(Feature feature);

// What the delegate option `kernel` may say; `automatic` is the fastest variant that this CPU can run, `avx2` the fastest
// that an AVX2 CPU could.
enum class Choice { reference, portable, avx2, automatic };

// Whether this CPU has a feature and the choice admits it.
bool Admits(Choice choice, Feature feature);

// The variant for a choice out of a family's (reference, portable, faster ones; each has a feature).
template <class Variant>
const Variant& Select(const std::vector<const Variant*>& variants, Choice choice) {
  if (choice == Choice::reference) return *variants[0];
  size_t best = variants.size() - 1;
  while (best > 1 && !Admits(choice, variants[best]->feature)) --best;
  return *variants[best];
}

}  // namespace edgebnn

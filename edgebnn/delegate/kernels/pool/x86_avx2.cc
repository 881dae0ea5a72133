#include "kernels/pool/loops.h"

namespace edgebnn {

extern const PoolVariant kPoolAvx2 = {"x86_avx2", Feature::avx2, RunLoops};

}  // namespace edgebnn

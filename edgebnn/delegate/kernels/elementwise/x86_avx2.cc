#include "kernels/elementwise/loops.h"

namespace edgebnn {

extern const ElementwiseVariant kElementwiseAvx2 = {"x86_avx2", Feature::avx2, RunLoops};

}  // namespace edgebnn

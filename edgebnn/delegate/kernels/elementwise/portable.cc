#include "kernels/elementwise/loops.h"

namespace edgebnn {

extern const ElementwiseVariant kElementwisePortable = {"portable", Feature::none, RunLoops};

}  // namespace edgebnn

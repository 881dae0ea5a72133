#include "kernels/pool/loops.h"

namespace edgebnn {

extern const PoolVariant kPoolPortable = {"portable", Feature::none, RunLoops};

}  // namespace edgebnn

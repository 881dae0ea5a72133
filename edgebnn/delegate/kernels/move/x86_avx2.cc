#include "kernels/move/loops.h"

namespace edgebnn {

extern const MoveVariant kMoveAvx2 = {"x86_avx2", Feature::avx2, Concat, Pad, Resize};

}  // namespace edgebnn

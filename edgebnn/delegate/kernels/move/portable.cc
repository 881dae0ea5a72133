#include "kernels/move/loops.h"

namespace edgebnn {

extern const MoveVariant kMovePortable = {"portable", Feature::none, Concat, Pad, Resize};

}  // namespace edgebnn

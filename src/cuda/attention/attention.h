// The sparse attention kernels of the CUDA module, for the registry.
#pragma once

#include "core/kernel.h"

namespace dsa::cuda {

extern const Kernel kSparseAttnCluster;
extern const Kernel kSparseAttnFew;
extern const Kernel kSparseAttnWgmma;
extern const Kernel kSparseAttnMma;
extern const Kernel kSparseAttnWarp;
extern const Kernel kSparseAttnAny;

}  // namespace dsa::cuda

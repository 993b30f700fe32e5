// The sparse attention kernels of the CPU, for the registry.
#pragma once

#include "core/kernel.h"

namespace dsa::cpu {

extern const Kernel kSparseAttnScalar;
#if defined(DSA_X86)
extern const Kernel kSparseAttnAvx2;
extern const Kernel kSparseAttnAvx512;
extern const Kernel kSparseAttnAmx;
#endif

}  // namespace dsa::cpu

// The top-k kernels of the CPU, for the registry.
#pragma once

#include "core/kernel.h"

namespace dsa::cpu {

extern const Kernel kTopkScalar;
#if defined(DSA_X86)
extern const Kernel kTopkAvx2;
extern const Kernel kTopkAvx512;
#endif

}  // namespace dsa::cpu

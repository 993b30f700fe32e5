// dsa_indexer on the CPU.
#pragma once

#include "core/kernel.h"

namespace dsa::cpu {

extern const Kernel kIndexerScalar;
#if defined(DSA_X86)
extern const Kernel kIndexerAvx2, kIndexerAvx512, kIndexerAmx;
#endif

}  // namespace dsa::cpu

// dsa_indexer_topk on the CPU: the indexer's walk and the top-k's lists in one pass.
#pragma once

#include "core/kernel.h"

namespace dsa::cpu {

extern const Kernel kIndexerTopkScalar;
#if defined(DSA_X86)
extern const Kernel kIndexerTopkAvx2, kIndexerTopkAvx512, kIndexerTopkAmx;
#endif

}  // namespace dsa::cpu

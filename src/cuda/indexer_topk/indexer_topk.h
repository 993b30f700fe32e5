// dsa_indexer_topk on the GPU, for the registry: a kernel for each family of indexers.
#pragma once

#include "core/kernel.h"

namespace dsa::cuda {

extern const Kernel kIndexerTopkSm80;

}  // namespace dsa::cuda

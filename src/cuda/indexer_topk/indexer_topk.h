// dsa_indexer_topk on the GPU, for the registry: a kernel for each family of indexers.
#pragma once

#include "core/kernel.h"

namespace dsa::cuda {

extern const Kernel kIndexerTopkSm90, kIndexerTopkSm80;  // in order of preference

}  // namespace dsa::cuda

// dsa_indexer_topk on the GPU, for the registry: a kernel for each family of indexers.
#pragma once

#include <cuda_runtime.h>

#include "core/services.h"

namespace dsa::cuda {

extern const Kernel kIndexerTopkSm90, kIndexerTopkSm80;  // in order of preference

// The scores of a shipment's rows as `kernel`, one of them, has them, to its raw memory.
cudaError_t enqueue_fused_scores(const Kernel& kernel, const IndexerTopkParams& p,
                                 const Shipment& shipment, const Run& run);

}  // namespace dsa::cuda

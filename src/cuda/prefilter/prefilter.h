// Ships only the scores that a row can select: those above a lower bound of its cut that a count
// proves.
#pragma once

#include <cuda_runtime.h>

#include "core/kernel.h"
#include "core/services.h"

namespace dsa::cuda {

// From the raw scores of a shipment to what passes.
cudaError_t enqueue_prefilter(const IndexerTopkParams& params, const Shipment& shipment,
                              const Run& run);
cudaError_t load_prefilter();

}  // namespace dsa::cuda

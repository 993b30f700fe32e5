// The GPU's part of a selection that the CPU finishes: scores of a chunk of rows, packed for the
// copy, and what comes of the cuts that return. See core/services.h.
#pragma once

#include <cuda_runtime.h>

#include "core/kernel.h"
#include "core/services.h"

namespace dsa::cuda {

// From the raw scores of a shipment to all visible ones, where its rows go.
cudaError_t enqueue_pack(const IndexerTopkParams& params, const Shipment& shipment, const Run& run);
// What the host does not know of a shipment and its scores, to pinned memory.
cudaError_t enqueue_send(const Shipment& shipment, const Run& run);
// From cuts to the selection's outputs.
cudaError_t enqueue_take(const IndexerTopkParams& params, const Shipment& shipment, const Cut* cuts,
                         const Run& run);

cudaError_t load_pack();
cudaError_t load_send();
cudaError_t load_take();
// All of them, and the prefilter's: for the load() of a fused kernel.
cudaError_t load_shipping();

}  // namespace dsa::cuda

// The GPU's part of a selection that the CPU finishes: scores of a chunk of rows, packed for the
// copy, and what comes of the cuts that return. See core/services.h.
#pragma once

#include <cuda_runtime.h>

#include "core/services.h"

namespace dsa::cuda {

cudaError_t enqueue_lay_out(const Rows& rows, int64_t chunk_rows, ShippedRow* shipped,
                            int32_t* totals, cudaStream_t stream);
// From the raw scores of a shipment to all visible ones, where enqueue_lay_out says.
cudaError_t enqueue_pack(const Shipment& shipment, cudaStream_t stream);
// From cuts to the selection's outputs.
cudaError_t enqueue_take(const IndexerTopkParams& params, const Shipment& shipment, const Cut* cuts,
                         cudaStream_t stream);

cudaError_t load_lay_out();
cudaError_t load_pack();
cudaError_t load_take();
// All of them, and the prefilter's: for the load() of a fused kernel.
cudaError_t load_shipping();

}  // namespace dsa::cuda

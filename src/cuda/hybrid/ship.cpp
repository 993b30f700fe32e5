// The services that ship and take (core/services.h).
#include "cuda/hybrid/ship.h"

#include "cuda/device.h"
#include "cuda/hybrid/shipping.h"
#include "cuda/indexer_topk/indexer_topk.h"
#include "cuda/prefilter/prefilter.h"

namespace dsa::cuda {

bool lay_out(BackendDevice* device, const Rows& rows, int64_t chunk_rows, bool filtered,
             ShippedRow* shipped, int32_t* totals, void* stream, BackendError* error) {
  const CurrentDevice current(device->id);
  cudaError_t code = current.error();
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  if (code == cudaSuccess && filtered) {
    const int64_t chunks = (rows.count + chunk_rows - 1) / chunk_rows;
    code = cudaMemsetAsync(totals, 0, static_cast<size_t>(chunks) * sizeof(int32_t), on);
  } else if (code == cudaSuccess) {
    code = enqueue_lay_out(rows, chunk_rows, shipped, totals, on);
  }
  return report(error, "hybrid: where rows go", code);
}

bool ship(BackendDevice* device, const Kernel* kernel, const IndexerTopkParams& params,
          const Shipment& shipment, void* stream, BackendError* error) {
  const CurrentDevice current(device->id);
  Run run;
  run.stream = stream;
  run.device = &device->info;
  const cudaStream_t on = static_cast<cudaStream_t>(stream);
  cudaError_t code = current.error();
  if (code == cudaSuccess) code = enqueue_fused_scores(*kernel, params, shipment, run);
  if (code == cudaSuccess) {
    code = shipment.filtered ? enqueue_prefilter(params, shipment, on) : enqueue_pack(shipment, on);
  }
  return report(error, kernel->name, code);
}

bool take(BackendDevice* device, const IndexerTopkParams& params, const Shipment& shipment,
          const Cut* cuts, void* stream, BackendError* error) {
  const CurrentDevice current(device->id);
  cudaError_t code = current.error();
  if (code == cudaSuccess) {
    code = enqueue_take(params, shipment, cuts, static_cast<cudaStream_t>(stream));
  }
  return report(error, "hybrid: from cuts to keys", code);
}

cudaError_t load_shipping() {
  cudaError_t error = load_lay_out();
  if (error == cudaSuccess) error = load_pack();
  if (error == cudaSuccess) error = load_take();
  return error == cudaSuccess ? load_prefilter() : error;
}

}  // namespace dsa::cuda

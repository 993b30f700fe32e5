// The services that ship and take (core/services.h).
#include "cuda/hybrid/ship.h"

#include "cuda/device.h"
#include "cuda/hybrid/shipping.h"
#include "cuda/indexer_topk/indexer_topk.h"
#include "cuda/prefilter/prefilter.h"

namespace dsa::cuda {

namespace {

Run run_on(const BackendDevice& device, void* stream) {
  Run run;
  run.stream = stream;
  run.device = &device.info;
  return run;
}

}  // namespace

bool ship(BackendDevice* device, const Kernel* kernel, const IndexerTopkParams& params,
          const Shipment& shipment, void* stream, BackendError* error) {
  const CurrentDevice current(device->id);
  const Run run = run_on(*device, stream);
  cudaError_t code = current.error();
  if (code == cudaSuccess) code = enqueue_fused_scores(*kernel, params, shipment, run);
  if (code == cudaSuccess) {
    code = shipment.filtered ? enqueue_prefilter(params, shipment, run)
                             : enqueue_pack(params, shipment, run);
  }
  return report(error, kernel->name, code);
}

bool send(BackendDevice* device, const Shipment& shipment, void* stream, BackendError* error) {
  const CurrentDevice current(device->id);
  cudaError_t code = current.error();
  if (code == cudaSuccess) code = enqueue_send(shipment, run_on(*device, stream));
  return report(error, "hybrid: scores to the host", code);
}

bool take(BackendDevice* device, const IndexerTopkParams& params, const Shipment& shipment,
          const Cut* cuts, void* stream, BackendError* error) {
  const CurrentDevice current(device->id);
  cudaError_t code = current.error();
  if (code == cudaSuccess) {
    code = enqueue_take(params, shipment, cuts, run_on(*device, stream));
  }
  return report(error, "hybrid: from cuts to keys", code);
}

cudaError_t load_shipping() {
  cudaError_t error = load_pack();
  if (error == cudaSuccess) error = load_send();
  if (error == cudaSuccess) error = load_take();
  return error == cudaSuccess ? load_prefilter() : error;
}

}  // namespace dsa::cuda

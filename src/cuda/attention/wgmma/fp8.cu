#include "cuda/attention/wgmma/attend.cuh"
#include "cuda/attention/wgmma/attend.h"

namespace dsa::cuda {

cudaError_t wgmma_launch_fp8(const SparseAttnParams& p, const Run& run) {
  return wgmma_launch<true>(p, run);
}
cudaError_t wgmma_load_fp8() { return wgmma_load<true>(); }

}  // namespace dsa::cuda

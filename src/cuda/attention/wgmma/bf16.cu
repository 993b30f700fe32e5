#include "cuda/attention/wgmma/attend.cuh"
#include "cuda/attention/wgmma/attend.h"

namespace dsa::cuda {

cudaError_t wgmma_launch_bf16(const SparseAttnParams& p, const Run& run) {
  return wgmma_launch<false>(p, run);
}
cudaError_t wgmma_load_bf16() { return wgmma_load<false>(); }

}  // namespace dsa::cuda

#include "cuda/attention/mma/attend.cuh"

namespace dsa::cuda {

cudaError_t mma_launch_fp8(const SparseAttnParams& p, const Run& run) {
  return mma_launch_format<Fp8Format>(p, run);
}
cudaError_t mma_load_fp8() { return mma_load_format<Fp8Format>(); }

}  // namespace dsa::cuda

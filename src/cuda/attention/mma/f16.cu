#include "cuda/attention/mma/attend.cuh"

namespace dsa::cuda {

cudaError_t mma_launch_f16(const SparseAttnParams& p, const Run& run) {
  return mma_launch_format<PlainFormat<__half>>(p, run);
}
cudaError_t mma_load_f16() { return mma_load_format<PlainFormat<__half>>(); }

}  // namespace dsa::cuda

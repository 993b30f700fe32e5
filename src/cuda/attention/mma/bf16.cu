#include "cuda/attention/mma/attend.cuh"

namespace dsa::cuda {

cudaError_t mma_launch_bf16(const SparseAttnParams& p, const Run& run) {
  return mma_launch_format<PlainFormat<__nv_bfloat16>>(p, run);
}
cudaError_t mma_load_bf16() { return mma_load_format<PlainFormat<__nv_bfloat16>>(); }

}  // namespace dsa::cuda

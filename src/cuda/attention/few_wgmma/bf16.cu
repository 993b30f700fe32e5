#include "cuda/attention/few_wgmma/attend.cuh"

namespace dsa::cuda {

cudaError_t few_launch_bf16(const SparseAttnParams& p, const Run& run) {
  return attn_group_heads(p) <= 16 ? few_launch<FewShape<16>>(p, run)
                                   : few_launch<FewShape<32>>(p, run);
}
cudaError_t few_load_bf16() {
  const cudaError_t error = few_load<FewShape<16>>();
  return error == cudaSuccess ? few_load<FewShape<32>>() : error;
}

}  // namespace dsa::cuda

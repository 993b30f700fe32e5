#include "cuda/attention/cluster/attend.cuh"

namespace dsa::cuda {

bool cluster_launch_bf16(const SparseAttnParams& p, const Run& run, cudaError_t& error) {
  return cluster_launch_format<PlainFormat<__nv_bfloat16>>(p, run, error);
}
cudaError_t cluster_load_bf16() { return cluster_load_format<PlainFormat<__nv_bfloat16>>(); }

}  // namespace dsa::cuda

#include "cuda/attention/cluster/attend.cuh"

namespace dsa::cuda {

bool cluster_launch_fp8(const SparseAttnParams& p, const Run& run, cudaError_t& error) {
  return cluster_launch_format<Fp8Format>(p, run, error);
}
cudaError_t cluster_load_fp8() { return cluster_load_format<Fp8Format>(); }

}  // namespace dsa::cuda

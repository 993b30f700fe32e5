// The mma indexer for bf16, alone or with e4m3.
#include "cuda/indexer/mma_launch.cuh"

namespace dsa::cuda::indexer_mma {

template cudaError_t enqueue<__nv_bfloat16>(const ScoreCall&, const Shape&, const Run&);
template cudaError_t load<__nv_bfloat16>();

}  // namespace dsa::cuda::indexer_mma

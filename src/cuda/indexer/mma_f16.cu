// The mma indexer for f16 and e4m3.
#include "cuda/indexer/mma_launch.cuh"

namespace dsa::cuda::indexer_mma {

template cudaError_t enqueue<__half>(const ScoreCall&, const Shape&, const Run&);
template cudaError_t load<__half>();

}  // namespace dsa::cuda::indexer_mma

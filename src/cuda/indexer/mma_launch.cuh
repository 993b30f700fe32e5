// Launches of the mma indexer for one operand type.
#pragma once

#include <algorithm>

#include "cuda/indexer/mma.cuh"
#include "cuda/kernel.h"

namespace dsa::cuda::indexer_mma {

template <class T, int kSteps>
cudaError_t enqueue_steps(const ScoreCall& call, const ScoreWork& work, const Shape& shape,
                          const Run& run) {
  const int64_t grid = std::min<int64_t>(work.items(), run.device->multiprocessors);
  const LaunchShape launch{.grid = static_cast<uint32_t>(grid),
                           .block = kThreads,
                           .shared_bytes = int32_t{sizeof(Shared<kSteps>)}};
  return launch_function(indexer_mma<T, kSteps>, launch, stream_of(run), call, work, shape);
}

// 4 steps are dims up to 64; 8 up to 128.
template <class T>
cudaError_t enqueue(const ScoreCall& call, const ScoreWork& work, const Shape& shape,
                    const Run& run) {
  return call.p.dim <= 64 ? enqueue_steps<T, 4>(call, work, shape, run)
                          : enqueue_steps<T, 8>(call, work, shape, run);
}

template <class T>
cudaError_t load() {
  const cudaError_t error = load_function(indexer_mma<T, 4>, int32_t{sizeof(Shared<4>)});
  if (error != cudaSuccess) return error;
  return load_function(indexer_mma<T, 8>, int32_t{sizeof(Shared<8>)});
}

}  // namespace dsa::cuda::indexer_mma

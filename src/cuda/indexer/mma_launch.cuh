// Launches of the mma indexer for one operand type.
#pragma once

#include <algorithm>

#include "cuda/indexer/mma.cuh"
#include "cuda/kernel.h"

namespace dsa::cuda::indexer_mma {

// Tiles of a chunk: 8192 keys, so that loading a unit's queries is under 2 % of their products.
constexpr int32_t kMostTiles = 256;

template <class T, int kSteps>
cudaError_t enqueue_steps(const ScoreCall& call, const Shape& shape, const Run& run) {
  const ScoreWork work = divide_work(
      call,
      {.unit_rows = shape.tokens, .tile = kKeys, .together = kWarps, .most_tiles = kMostTiles},
      run.device->multiprocessors);
  const int64_t grid = std::min<int64_t>(work.items(), run.device->multiprocessors);
  const LaunchShape launch{.grid = static_cast<uint32_t>(grid),
                           .block = kThreads,
                           .shared_bytes = Shared<kSteps>::bytes(shape.columns()),
                           .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(indexer_mma<T, kSteps>, launch, stream_of(run), call, work, shape,
                         shape.columns());
}

// 4 steps are dims up to 64; 8 up to 128.
template <class T>
cudaError_t enqueue(const ScoreCall& call, const Shape& shape, const Run& run) {
  return call.p.dim <= 64 ? enqueue_steps<T, 4>(call, shape, run)
                          : enqueue_steps<T, 8>(call, shape, run);
}

template <class T>
cudaError_t load() {
  int device = 0, most = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  }
  if (error != cudaSuccess) return error;
  error = load_function(indexer_mma<T, 4>, std::min(most, Shared<4>::bytes(kMostColumns)));
  if (error != cudaSuccess) return error;
  return load_function(indexer_mma<T, 8>, std::min(most, Shared<8>::bytes(kMostColumns)));
}

}  // namespace dsa::cuda::indexer_mma

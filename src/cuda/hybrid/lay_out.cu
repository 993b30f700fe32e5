#include "cuda/hybrid/shipping.h"
#include "cuda/kernel.h"
#include "cuda/topk/crossing.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kThreads = 512;

// A block a chunk.
__global__ void __launch_bounds__(kThreads)
    lay_out(const __grid_constant__ Rows rows, int64_t chunk_rows, ShippedRow* shipped,
            int32_t* totals) {
  __shared__ topk::BlockShared shared;
  const int64_t first = blockIdx.x * chunk_rows;
  const int64_t end = min(first + chunk_rows, rows.count);
  int32_t at = 0;
  for (int64_t tile = first; tile < end; tile += kThreads) {
    const int64_t t = tile + threadIdx.x;
    int32_t length = 0;
    if (t < end) {
      const RowSpan span = rows.span(t);
      length = span.end - span.begin;
    }
    const uint32_t room = (length + kShippedUnit - 1) / kShippedUnit * kShippedUnit;
    uint32_t total;
    __syncthreads();
    const int32_t begin =
        at + static_cast<int32_t>(topk::exclusive_sum<kThreads>(room, total, shared));
    if (t < end) shipped[t] = {begin, begin + length};
    at += static_cast<int32_t>(total);
  }
  if (threadIdx.x == 0) totals[blockIdx.x] = at;
}

}  // namespace

cudaError_t enqueue_lay_out(const Rows& rows, int64_t chunk_rows, ShippedRow* shipped,
                            int32_t* totals, cudaStream_t stream) {
  const int64_t chunks = (rows.count + chunk_rows - 1) / chunk_rows;
  return launch_function(lay_out, {.grid = static_cast<uint32_t>(chunks), .block = kThreads},
                         stream, rows, chunk_rows, shipped, totals);
}

cudaError_t load_lay_out() { return load_function(lay_out); }

}  // namespace dsa::cuda

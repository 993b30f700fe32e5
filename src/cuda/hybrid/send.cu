#include <algorithm>

#include "cuda/hybrid/shipping.h"
#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

constexpr int32_t kRows = 8;  // of a block at a time, one a warp
// As many as the link needs (H200: 32 blocks 45 GB/s, 64 no more): what waits for the link should
// not keep others from the multiprocessors.
constexpr int64_t kMostBlocks = 32;

// Where a row ends is what only the GPU knows: no copy engine could be told. Past the row's end lie
// scores of no row.
__global__ void __launch_bounds__(32 * kRows) send(const __grid_constant__ Shipment s) {
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int64_t first = int64_t{blockIdx.x} * kRows; first < s.rows;
       first += int64_t{gridDim.x} * kRows) {
    if (threadIdx.x < kRows && first + threadIdx.x < s.rows) {
      s.host_shipped[first + threadIdx.x] = s.shipped[first + threadIdx.x];
    }
    if (first + warp >= s.rows) continue;
    const ShippedRow row = s.shipped[first + warp];
    const float4* const from = reinterpret_cast<const float4*>(s.scores + row.begin);
    float4* const to = reinterpret_cast<float4*>(s.host_scores + row.begin);
    const int32_t units = (row.end - row.begin + kShippedUnit - 1) / kShippedUnit;
#pragma unroll 4
    for (int32_t i = lane; i < units; i += 32) to[i] = from[i];
  }
}

}  // namespace

cudaError_t enqueue_send(const Shipment& shipment, const Run& run) {
  const int64_t blocks = std::min((shipment.rows + kRows - 1) / kRows, kMostBlocks);
  return launch_function(send, {.grid = static_cast<uint32_t>(blocks), .block = 32 * kRows},
                         stream_of(run), shipment);
}

cudaError_t load_send() { return load_function(send); }

}  // namespace dsa::cuda

#include <algorithm>

#include "cuda/hybrid/shipping.h"
#include "cuda/kernel.h"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kRows = 8;           // of a block, one a warp
constexpr int32_t kPart = 4096;        // scores of a row that one warp copies
constexpr int32_t kUnits = kPart / 4;  // float4

// Blocks along x take rows, along y parts of them. The raw scores past a row's end are there, and
// may be copied.
__global__ void __launch_bounds__(32 * kRows)
    pack(const __grid_constant__ Rows rows, const __grid_constant__ Shipment s) {
  __shared__ ShippedRow shipped[kRows];
  let_next_start();
  wait_for_previous();
  const int64_t first = int64_t{blockIdx.x} * kRows;
  if (threadIdx.x < kRows && first + threadIdx.x < s.rows) {
    const int64_t i = first + threadIdx.x;
    ShippedRow row;
    if (s.listed) {
      row = s.listed[i];  // pinned memory: one read for all rows of the block
    } else {
      const RowSpan span = rows.span(s.first_row + i);
      row.begin = static_cast<int32_t>(i * s.row_room);
      row.end = row.begin + span.end - span.begin;
    }
    shipped[threadIdx.x] = row;
    if (blockIdx.y == 0) {
      s.shipped[i] = row;
      if (!s.listed) s.host_shipped[i] = row;
    }
  }
  __syncthreads();
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (first + warp >= s.rows) return;
  const ShippedRow row = shipped[warp];
  const int32_t part = static_cast<int32_t>(blockIdx.y) * kUnits;
  const int32_t units = min((row.end - row.begin + kShippedUnit - 1) / kShippedUnit - part, kUnits);
  const float4* const from =
      reinterpret_cast<const float4*>(s.raw + (first + warp) * s.raw_stride) + part;
  float4* const to = reinterpret_cast<float4*>(s.scores + row.begin) + part;
  float4* const host =
      s.listed ? nullptr : reinterpret_cast<float4*>(s.host_scores + row.begin) + part;
#pragma unroll 4
  for (int32_t i = lane; i < units; i += 32) {
    const float4 x = from[i];
    to[i] = x;
    if (host) host[i] = x;
  }
}

}  // namespace

cudaError_t enqueue_pack(const IndexerTopkParams& params, const Shipment& shipment,
                         const Run& run) {
  const Rows& rows = params.indexer.rows;
  const int64_t blocks = (shipment.rows + kRows - 1) / kRows;
  const int64_t parts = (std::max<int64_t>(shipment.row_room, 1) + kPart - 1) / kPart;
  const LaunchShape shape = {
      .grid = dim3(static_cast<uint32_t>(blocks), static_cast<uint32_t>(parts)),
      .block = 32 * kRows,
      .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(pack, shape, stream_of(run), rows, shipment);
}

cudaError_t load_pack() { return load_function(pack); }

}  // namespace dsa::cuda

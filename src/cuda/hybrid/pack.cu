#include <algorithm>

#include "cuda/hybrid/shipping.h"
#include "cuda/kernel.h"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kRows = 8;             // of a block, one a warp
constexpr int32_t kSteps = 8;            // loads of a lane, all under way at once
constexpr int32_t kUnits = 32 * kSteps;  // float4 that a warp copies of a row

// Scores of a unit that has `there` of them; the others are 0.
__device__ inline float4 load_unit(const float4* from, int32_t there) {
  if (there >= kShippedUnit) return *from;
  const float* const scores = &from->x;
  return {scores[0], there > 1 ? scores[1] : 0, there > 2 ? scores[2] : 0, 0};
}

// Blocks along x take rows, along y parts of them.
__global__ void __launch_bounds__(32 * kRows)
    pack(const __grid_constant__ Rows rows, const __grid_constant__ Shipment s) {
  __shared__ ShippedRow shipped[kRows];
  let_next_start();
  const int64_t first = int64_t{blockIdx.x} * kRows, i = first + threadIdx.x;
  const bool lists = threadIdx.x < kRows && i < s.rows;
  ShippedRow row = {};
  // Pinned memory: one read for all rows of the block, while the stream's previous kernel ends.
  if (lists && s.listed) row = s.listed[i];
  wait_for_previous();
  if (lists) {
    if (!s.listed) {
      const RowSpan span = rows.span(s.first_row + i);
      row.begin = static_cast<int32_t>(i * s.row_room);
      row.end = row.begin + span.end - span.begin;
    }
    shipped[threadIdx.x] = row;
    if (blockIdx.y == 0) s.shipped[i] = row;
  }
  __syncthreads();
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (first + warp >= s.rows) return;
  row = shipped[warp];
  const int32_t begin = static_cast<int32_t>(blockIdx.y) * kUnits + lane;
  const int32_t scores = row.end - row.begin;
  const int32_t units = (scores + kShippedUnit - 1) / kShippedUnit;
  const float4* const from = reinterpret_cast<const float4*>(s.raw + (first + warp) * s.raw_stride);
  float4* const to = reinterpret_cast<float4*>(s.scores + row.begin);
  float4 x[kSteps];
#pragma unroll
  for (int32_t i = 0; i < kSteps; ++i) {
    const int32_t unit = begin + i * 32;
    if (unit < units) x[i] = load_unit(from + unit, scores - unit * kShippedUnit);
  }
#pragma unroll
  for (int32_t i = 0; i < kSteps; ++i) {
    if (begin + i * 32 < units) to[begin + i * 32] = x[i];
  }
}

}  // namespace

cudaError_t enqueue_pack(const IndexerTopkParams& params, const Shipment& shipment,
                         const Run& run) {
  const Rows& rows = params.indexer.rows;
  const int64_t blocks = (shipment.rows + kRows - 1) / kRows;
  const int64_t parts = (std::max<int64_t>(shipment.row_room, 1) + 4 * kUnits - 1) / (4 * kUnits);
  const LaunchShape shape = {
      .grid = dim3(static_cast<uint32_t>(blocks), static_cast<uint32_t>(parts)),
      .block = 32 * kRows,
      .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(pack, shape, stream_of(run), rows, shipment);
}

cudaError_t load_pack() { return load_function(pack); }

}  // namespace dsa::cuda

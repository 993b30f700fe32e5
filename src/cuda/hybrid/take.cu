#include <math_constants.h>

#include "cuda/hybrid/shipping.h"
#include "cuda/kernel.h"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kRows = 8;   // of a block
constexpr int32_t kSteps = 8;  // loads of a lane, all under way at once

// Where the selection of a row goes.
class RowSelected {
 public:
  __device__ RowSelected(const SelectParams& select, int64_t t, const RowSpan& span)
      : select_(select), t_(t), span_(span) {
    if (select.indices.given()) indices_ = select.indices.row_as<int32_t>(t);
    if (select.slots.given()) slots_ = select.slots.row_as<int32_t>(t);
    if (select.values.given()) values_ = select.values.row_as<float>(t);
  }

  // Key `key` from the first visible one on is element `at`.
  __device__ void write(int32_t at, int32_t key, float score) const {
    const int32_t s = span_.begin + key;
    if (indices_) indices_[at * select_.indices.stride[0]] = select_.to_index(t_, span_, s);
    if (slots_) slots_[at * select_.slots.stride[0]] = select_.to_slot(span_.request, s);
    if (values_) values_[at * select_.values.stride[0]] = score;
  }

  // What lies past the selection, by a warp.
  __device__ void fill(int32_t count) const {
    const int64_t first = count + threadIdx.x % 32;
    if (indices_) {
      for (int64_t i = first; i < select_.indices.extent[0]; i += 32) {
        indices_[i * select_.indices.stride[0]] = -1;
      }
    }
    if (slots_) {
      for (int64_t i = first; i < select_.slots.extent[0]; i += 32) {
        slots_[i * select_.slots.stride[0]] = -1;
      }
    }
    if (values_) {
      for (int64_t i = first; i < select_.values.extent[0]; i += 32) {
        values_[i * select_.values.stride[0]] = -CUDART_INF_F;
      }
    }
  }

  // By one lane. `key` of the cut, -1: nothing was selected.
  __device__ void end(int32_t count, int32_t key, float score) const {
    if (select_.counts.given()) *select_.counts.row_as<int32_t>(t_) = count;
    if (select_.cut_score.given()) {
      *select_.cut_score.row_as<float>(t_) = key < 0 ? CUDART_INF_F : score;
    }
    if (select_.cut_index.given()) {
      *select_.cut_index.row_as<int32_t>(t_) =
          key < 0 ? -1 : select_.to_index(t_, span_, span_.begin + key);
    }
  }

 private:
  const SelectParams& select_;
  const int64_t t_;
  const RowSpan span_;
  int32_t* indices_ = nullptr;
  int32_t* slots_ = nullptr;
  float* values_ = nullptr;
};

// By a warp, kSteps times 128 scores at once: each lane ranks 4 neighbours of each 128.
__device__ void take_row(const IndexerTopkParams& p, const Shipment& s, int64_t t,
                         const ShippedRow& row, const Cut& cut) {
  const RowSelected out(p.select, t, p.indexer.rows.span(t));
  const uint32_t lane = threadIdx.x % 32, below = (1u << lane) - 1;
  int32_t count = 0;
  for (int32_t first = row.begin; cut.place >= 0 && first < row.end; first += 128 * kSteps) {
    float4 loaded[kSteps];
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) {
      const int32_t place = first + i * 128 + static_cast<int32_t>(lane) * kShippedUnit;
      if (place < row.end) loaded[i] = *reinterpret_cast<const float4*>(s.scores + place);
    }
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) {
      if (first + i * 128 >= row.end) break;
      const int32_t place = first + i * 128 + static_cast<int32_t>(lane) * kShippedUnit;
      const float x[kShippedUnit] = {loaded[i].x, loaded[i].y, loaded[i].z, loaded[i].w};
      uint32_t passed = 0;
      int32_t at = count;
#pragma unroll
      for (int32_t e = 0; e < kShippedUnit; ++e) {
        const bool passes = place + e < row.end &&
                            (x[e] > cut.score || (x[e] == cut.score && place + e <= cut.place));
        const uint32_t lanes = __ballot_sync(~0u, passes);
        at += __popc(lanes & below);
        count += __popc(lanes);
        if (passes) passed |= 1u << e;
      }
#pragma unroll
      for (int32_t e = 0; e < kShippedUnit; ++e) {
        if (!(passed >> e & 1)) continue;
        const int32_t key = s.keys ? s.keys[place + e] : place + e - row.begin;
        out.write(at++, key, x[e]);
      }
    }
  }
  out.fill(count);
  if (lane > 0) return;
  const int32_t last = cut.place;
  out.end(count,
          last < 0 ? -1
          : s.keys ? s.keys[last]
                   : last - row.begin,
          last < 0 ? 0 : s.scores[last]);
}

// A warp a row. Cuts lie in pinned memory, a microsecond away, and the link carries some hundred
// reads in that time: a block reads those of all its rows at once, while the stream's previous
// kernel ends.
__global__ void __launch_bounds__(32 * kRows)
    take(const __grid_constant__ IndexerTopkParams p, const __grid_constant__ Shipment s,
         const Cut* cuts) {
  __shared__ Cut cut[kRows];
  __shared__ ShippedRow shipped[kRows];
  let_next_start();
  const int64_t first = int64_t{blockIdx.x} * kRows;
  if (threadIdx.x < kRows && first + threadIdx.x < s.rows) {
    cut[threadIdx.x] = cuts[first + threadIdx.x];
    shipped[threadIdx.x] = s.shipped[first + threadIdx.x];
  }
  __syncthreads();
  wait_for_previous();
  const int32_t i = threadIdx.x / 32;
  if (first + i < s.rows) take_row(p, s, s.first_row + first + i, shipped[i], cut[i]);
}

}  // namespace

cudaError_t enqueue_take(const IndexerTopkParams& params, const Shipment& shipment, const Cut* cuts,
                         const Run& run) {
  const int64_t blocks = (shipment.rows + kRows - 1) / kRows;
  const LaunchShape shape = {.grid = static_cast<uint32_t>(blocks),
                             .block = 32 * kRows,
                             .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(take, shape, stream_of(run), params, shipment, cuts);
}

cudaError_t load_take() { return load_function(take); }

}  // namespace dsa::cuda

#include <math_constants.h>

#include "cuda/hybrid/shipping.h"
#include "cuda/kernel.h"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kWarps = 8;
constexpr int32_t kSteps = 8;  // loads of a lane, all under way at once
constexpr int32_t kPart = 128 * kSteps;

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

// What a warp has of a row at once: kPart scores, of which each lane ranks 4 neighbours of each
// 128.
class Part {
 public:
  // Scores from place `first` on of those shipped, up to `end`.
  __device__ void load(const float* scores, int32_t first, int32_t end) {
    first_ = first + static_cast<int32_t>(threadIdx.x % 32) * kShippedUnit;
    end_ = end;
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) {
      const int32_t place = first_ + i * 128;
      x_[i] = {};
      if (place < end) x_[i] = *reinterpret_cast<const float4*>(scores + place);
    }
  }

  // Lists where those that pass are, from `first` on; known to all lanes: how many.
  __device__ int32_t pass(const Cut& cut, uint16_t* list) const {
    const uint32_t below = (1u << threadIdx.x % 32) - 1;
    int32_t count = 0;
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) {
      const float x[kShippedUnit] = {x_[i].x, x_[i].y, x_[i].z, x_[i].w};
      const int32_t place = first_ + i * 128;
      uint32_t passed[kShippedUnit];
      int32_t at = count;
#pragma unroll
      for (int32_t e = 0; e < kShippedUnit; ++e) {
        passed[e] =
            __ballot_sync(~0u, place + e < end_ && (x[e] > cut.score ||
                                                    (x[e] == cut.score && place + e <= cut.place)));
        at += __popc(passed[e] & below);
        count += __popc(passed[e]);
      }
#pragma unroll
      for (int32_t e = 0; e < kShippedUnit; ++e) {
        if (!(passed[e] >> threadIdx.x % 32 & 1)) continue;
        list[at++] = static_cast<uint16_t>(i * 128 + threadIdx.x % 32 * kShippedUnit + e);
      }
    }
    __syncwarp();
    return count;
  }

 private:
  float4 x_[kSteps];
  int32_t first_, end_;
};

// kOfRow warps a row. Cuts lie in pinned memory, a microsecond or two away: a block asks for those
// of all its rows at once, and loads scores meanwhile. All that is read here is there before this
// kernel is launched; only what it writes has to wait for the stream's previous kernel.
template <int32_t kOfRow>
__global__ void __launch_bounds__(32 * kWarps)
    take(const __grid_constant__ IndexerTopkParams p, const __grid_constant__ Shipment s,
         const Cut* cuts) {
  constexpr int32_t kRows = kWarps / kOfRow;
  __shared__ Cut cut_of[kRows];
  __shared__ int32_t counts[kWarps];
  __shared__ uint16_t lists[kWarps][kPart];
  let_next_start();
  const int64_t first = int64_t{blockIdx.x} * kRows;
  Cut read = {CUDART_INF_F, -1};
  if (threadIdx.x < kRows && first + threadIdx.x < s.rows) read = cuts[first + threadIdx.x];
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int32_t i = warp / kOfRow, part = warp % kOfRow;
  const bool is_row = first + i < s.rows;
  const ShippedRow row = is_row ? s.shipped[first + i] : ShippedRow{0, 0};
  Part mine;
  mine.load(s.scores, row.begin + part * kPart, row.end);
  const int64_t t = s.first_row + min(first + i, s.rows - 1);
  const RowSelected out(p.select, t, p.indexer.rows.span(t));
  if (threadIdx.x < kRows) cut_of[threadIdx.x] = read;
  __syncthreads();
  const Cut cut = cut_of[i];
  wait_for_previous();
  int32_t count = 0;
  for (int32_t at = 0; at < s.row_room; at += kOfRow * kPart) {
    const int32_t begin = row.begin + at + part * kPart;
    if (at > 0) mine.load(s.scores, begin, row.end);
    const int32_t passed = mine.pass(cut, lists[warp]);
    int32_t before = count, all = passed;
    if constexpr (kOfRow > 1) {
      __syncthreads();
      if (lane == 0) counts[warp] = passed;
      __syncthreads();
      all = 0;
#pragma unroll
      for (int32_t w = 0; w < kOfRow; ++w) {
        const int32_t of_warp = counts[i * kOfRow + w];
        before += w < part ? of_warp : 0;
        all += of_warp;
      }
    }
    for (int32_t j = lane; j < passed; j += 32) {
      const int32_t place = begin + lists[warp][j];
      out.write(before + j, s.keys ? s.keys[place] : place - row.begin, s.scores[place]);
    }
    __syncwarp();
    count += all;
  }
  if (part > 0 || !is_row) return;
  out.fill(count);
  if (lane > 0) return;
  const int32_t last = cut.place;
  out.end(count,
          last < 0 ? -1
          : s.keys ? s.keys[last]
                   : last - row.begin,
          last < 0 ? 0 : s.scores[last]);
}

template <int32_t kOfRow>
cudaError_t enqueue(const IndexerTopkParams& params, const Shipment& shipment, const Cut* cuts,
                    const Run& run) {
  constexpr int32_t kRows = kWarps / kOfRow;
  const LaunchShape shape = {.grid = static_cast<uint32_t>((shipment.rows + kRows - 1) / kRows),
                             .block = 32 * kWarps,
                             .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(take<kOfRow>, shape, stream_of(run), params, shipment, cuts);
}

}  // namespace

cudaError_t enqueue_take(const IndexerTopkParams& params, const Shipment& shipment, const Cut* cuts,
                         const Run& run) {
  if (shipment.row_room <= kPart) return enqueue<1>(params, shipment, cuts, run);
  if (shipment.row_room <= 2 * kPart) return enqueue<2>(params, shipment, cuts, run);
  return enqueue<8>(params, shipment, cuts, run);
}

cudaError_t load_take() { return load_functions(0, take<1>, take<2>, take<8>); }

}  // namespace dsa::cuda

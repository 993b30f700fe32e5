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
  // Scores [first, first + kPart) of those shipped, up to `end`.
  __device__ void load(const float* scores, int32_t first, int32_t end) {
    first_ = first + static_cast<int32_t>(threadIdx.x % 32) * kShippedUnit;
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) {
      const int32_t place = first_ + i * 128;
      x_[i] = {};
      if (place < end) x_[i] = *reinterpret_cast<const float4*>(scores + place);
    }
    end_ = end;
  }

  // Known to all lanes: how many pass.
  __device__ int32_t rank(const Cut& cut) {
    const uint32_t below = (1u << threadIdx.x % 32) - 1;
    int32_t count = 0;
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) {
      at_[i] = count;
#pragma unroll
      for (int32_t e = 0; e < kShippedUnit; ++e) {
        const uint32_t lanes = __ballot_sync(~0u, passes(i, e, cut));
        at_[i] += __popc(lanes & below);
        count += __popc(lanes);
      }
    }
    return count;
  }

  // write(place, rank, score) for what passes.
  template <class F>
  __device__ void each(const Cut& cut, F&& write) const {
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) {
      int32_t at = at_[i];
#pragma unroll
      for (int32_t e = 0; e < kShippedUnit; ++e) {
        if (passes(i, e, cut)) write(place(i, e), at++, score(i, e));
      }
    }
  }

 private:
  __device__ int32_t place(int32_t i, int32_t e) const { return first_ + i * 128 + e; }
  __device__ float score(int32_t i, int32_t e) const {
    return e == 0 ? x_[i].x : e == 1 ? x_[i].y : e == 2 ? x_[i].z : x_[i].w;
  }
  __device__ bool passes(int32_t i, int32_t e, const Cut& cut) const {
    const float x = score(i, e);
    return place(i, e) < end_ && (x > cut.score || (x == cut.score && place(i, e) <= cut.place));
  }

  float4 x_[kSteps];
  int32_t at_[kSteps];
  int32_t first_, end_;
};

// kOfRow warps a row. Cuts lie in pinned memory, a microsecond away, and the link carries some
// hundred reads in that time: a block reads those of all its rows at once, while the stream's
// previous kernel ends.
template <int32_t kOfRow>
__global__ void __launch_bounds__(32 * kWarps)
    take(const __grid_constant__ IndexerTopkParams p, const __grid_constant__ Shipment s,
         const Cut* cuts) {
  constexpr int32_t kRows = kWarps / kOfRow;
  __shared__ Cut cut_of[kRows];
  __shared__ ShippedRow shipped[kRows];
  __shared__ int32_t counts[kWarps];
  let_next_start();
  const int64_t first = int64_t{blockIdx.x} * kRows;
  if (threadIdx.x < kRows) {
    const bool is_row = first + threadIdx.x < s.rows;
    cut_of[threadIdx.x] = is_row ? cuts[first + threadIdx.x] : Cut{CUDART_INF_F, -1};
    shipped[threadIdx.x] = is_row ? s.shipped[first + threadIdx.x] : ShippedRow{0, 0};
  }
  __syncthreads();
  wait_for_previous();
  const int32_t warp = threadIdx.x / 32, i = warp / kOfRow, part = warp % kOfRow;
  if (kOfRow == 1 && first + i >= s.rows) return;  // else others wait for this warp
  const int64_t t = s.first_row + min(first + i, s.rows - 1);
  const RowSelected out(p.select, t, p.indexer.rows.span(t));
  const ShippedRow row = shipped[i];
  const Cut cut = cut_of[i];
  int32_t count = 0;
  for (int32_t at = 0; at < s.row_room; at += kOfRow * kPart) {
    Part mine;
    const int32_t begin = row.begin + at + part * kPart;
    mine.load(s.scores, begin, row.end);
    int32_t before = count, passed = mine.rank(cut);
    if constexpr (kOfRow > 1) {
      __syncthreads();
      counts[warp] = passed;
      __syncthreads();
      passed = 0;
#pragma unroll
      for (int32_t w = 0; w < kOfRow; ++w) {
        const int32_t of_warp = counts[i * kOfRow + w];
        before += w < part ? of_warp : 0;
        passed += of_warp;
      }
    }
    mine.each(cut, [&](int32_t place, int32_t rank, float x) {
      out.write(before + rank, s.keys ? s.keys[place] : place - row.begin, x);
    });
    count += passed;
  }
  if (part > 0 || first + i >= s.rows) return;
  out.fill(count);
  if (threadIdx.x % 32 > 0) return;
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

#include <math_constants.h>

#include "cuda/attention/cut.h"
#include "cuda/element.cuh"
#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

constexpr int32_t kThreads = 512;
constexpr int32_t kColumnsOfThread = 4;

struct Cut {
  float score;
  int64_t position;
};

__device__ bool passes(const AttnScope& scope, int64_t t, const RowSpan& span, const Cut& cut,
                       int64_t s) {
  const float score = load_element(scope.scores.row(t), scope.scores.dtype,
                                   scope.rows.column(span, s) * scope.scores.stride[0]);
  if (!(score > cut.score)) {
    if (!(score == cut.score) || s > cut.position) return false;
    if (!scope.select_neg_inf && score == -CUDART_INF_F) return false;
  }
  KeyPlace place;
  return !scope.rows.hidden(t, span, s) && scope.axis.place(span.request, s, place);
}

// A block a row: a step of the scan takes 2048 columns, each thread 4 neighbours, and ranks them.
__global__ void __launch_bounds__(kThreads)
    write_lists(const __grid_constant__ SparseAttnParams p, char* lists, int64_t width,
                int64_t first_row) {
  __shared__ int32_t warp_counts[2][kThreads / 32];
  const AttnScope& scope = p.scope[0];
  const int64_t t = first_row + blockIdx.x;
  int32_t* const list = reinterpret_cast<int32_t*>(lists) + blockIdx.x * (width + 1);
  const RowSpan span = scope.rows.span(t);
  const int32_t index = *scope.cut_index.row_as<const int32_t>(t);
  uint32_t base = 0;
  if (scope.index_base.given()) {
    base = static_cast<uint32_t>(*scope.index_base.row_as<const int32_t>(t)) -
           static_cast<uint32_t>(span.begin);
  }
  const Cut cut = {*scope.cut_score.row_as<const float>(t),
                   static_cast<int32_t>(static_cast<uint32_t>(index) - base)};
  const bool empty = cut.score == CUDART_INF_F && index == -1;
  const int32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int64_t taken = 0;
  int32_t turn = 0;
  for (int64_t from = span.begin; !empty && from < span.end && taken < width;
       from += kThreads * kColumnsOfThread, turn ^= 1) {
    const int64_t mine = from + int64_t{threadIdx.x} * kColumnsOfThread;
    uint32_t passed = 0;
#pragma unroll
    for (int32_t i = 0; i < kColumnsOfThread; ++i) {
      if (mine + i < span.end && passes(scope, t, span, cut, mine + i)) passed |= 1u << i;
    }
    int32_t through = __popc(passed);  // of this lane and those before
    for (int32_t step = 1; step < 32; step *= 2) {
      const int32_t before = __shfl_up_sync(~0u, through, step);
      if (lane >= step) through += before;
    }
    if (lane == 31) warp_counts[turn][warp] = through;
    __syncthreads();
    int32_t before = 0, all = 0;
    for (int32_t w = 0; w < kThreads / 32; ++w) {
      if (w == warp) before = all;
      all += warp_counts[turn][w];
    }
    int64_t at = taken + before + through - __popc(passed);
    for (int32_t i = 0; i < kColumnsOfThread; ++i) {
      if (!(passed >> i & 1)) continue;
      if (at < width) list[1 + at] = static_cast<int32_t>(mine + i);
      ++at;
    }
    taken += all;
  }
  if (threadIdx.x == 0) list[0] = static_cast<int32_t>(min(taken, width));
}

}  // namespace

cudaError_t attn_write_lists(const SparseAttnParams& p, char* lists, int64_t first_row,
                             int64_t rows, cudaStream_t stream) {
  return launch_function(write_lists, {.grid = static_cast<uint32_t>(rows), .block = kThreads},
                         stream, p, lists, attn_list_width(p.scope[0]), first_row);
}

cudaError_t attn_load_cut() { return load_function(write_lists); }

}  // namespace dsa::cuda

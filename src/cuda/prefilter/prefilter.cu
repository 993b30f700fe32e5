#include "cuda/kernel.h"
#include "cuda/prefilter/prefilter.h"
#include "cuda/ptx.cuh"
#include "cuda/topk/sample.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda {
namespace {

using namespace topk;

constexpr int32_t kThreads = 256;
constexpr int32_t kShortRow = 256;  // and shorter: shipped whole
constexpr int32_t kWholeShare = 2;  // and rows of which more than half are wanted

// Scores of a row: 4 neighbours a thread and step. What is past the end is NaN.
__device__ float4 load_scores(const char* row, int32_t at, int32_t n) {
  const float* const scores = reinterpret_cast<const float*>(row) + at;
  if (at + 4 <= n) return *reinterpret_cast<const float4*>(scores);
  return {at < n ? scores[0] : NAN, at + 1 < n ? scores[1] : NAN, at + 2 < n ? scores[2] : NAN,
          NAN};
}

// How many of 4 scores are above the gate, and, in the upper half, how many equal it.
__device__ uint32_t count_of(float4 x, const Gate& gate) {
  const float scores[4] = {x.x, x.y, x.z, x.w};
  uint32_t count = 0;
#pragma unroll
  for (int32_t e = 0; e < 4; ++e) {
    count += scores[e] > gate.score ? 1u : 0u;
    count += gate.counts_equal && scores[e] == gate.score ? 1u << 16 : 0u;
  }
  return count;
}

struct Passing {
  int32_t above, equal;
};

// Of the whole row, known to all threads.
__device__ Passing count_row(const char* row, int32_t n, const Gate& gate, BlockShared& shared) {
  uint32_t above = 0, equal = 0;
#pragma unroll 4
  for (int32_t at = threadIdx.x * 4; at < n; at += kThreads * 4) {
    const uint32_t count = count_of(load_scores(row, at, n), gate);
    above += count & 0xffff;
    equal += count >> 16;
  }
  uint32_t all_above, all_equal;
  exclusive_sum<kThreads>(above, all_above, shared);
  __syncthreads();
  exclusive_sum<kThreads>(equal, all_equal, shared);
  __syncthreads();
  return {static_cast<int32_t>(all_above), static_cast<int32_t>(all_equal)};
}

// Writes what passes the gate, by all threads. Of scores equal to it the first k are enough: with
// smaller indices they go before the others.
__device__ void pass(const char* row, int32_t n, int32_t k, const Gate& gate, float* scores,
                     int32_t* keys, BlockShared& shared) {
  int32_t above = 0, equal = 0;  // before this step
  for (int32_t tile = 0; tile < n; tile += kThreads * 4) {
    const int32_t at = tile + static_cast<int32_t>(threadIdx.x) * 4;
    const float4 x = load_scores(row, at, n);
    uint32_t total;
    const uint32_t before = exclusive_sum<kThreads>(count_of(x, gate), total, shared);
    int32_t above_mine = above + static_cast<int32_t>(before & 0xffff);
    int32_t equal_mine = equal + static_cast<int32_t>(before >> 16);
    const float four[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
    for (int32_t e = 0; e < 4; ++e) {
      const bool is_above = four[e] > gate.score;
      const bool is_equal = gate.counts_equal && four[e] == gate.score;
      if (is_above || (is_equal && equal_mine < k)) {
        const int32_t to = above_mine + min(equal_mine, k);
        scores[to] = four[e];
        keys[to] = at + e;
      }
      above_mine += is_above ? 1 : 0;
      equal_mine += is_equal ? 1 : 0;
    }
    above += static_cast<int32_t>(total & 0xffff);
    equal += static_cast<int32_t>(total >> 16);
    __syncthreads();
  }
}

// A block a row.
__global__ void __launch_bounds__(kThreads)
    prefilter(const __grid_constant__ Rows rows, const __grid_constant__ Shipment s, int32_t k,
              uint32_t lowest) {
  __shared__ BlockShared shared;
  let_next_start();
  wait_for_previous();
  const RowSpan span = rows.span(s.first_row + blockIdx.x);
  const int32_t n = span.end - span.begin;
  const char* const row = s.raw + blockIdx.x * s.raw_stride;
  bool whole = n <= kShortRow || k > n / kWholeShare;
  Gate gate = {-__builtin_inff(), true};
  int32_t wanted = n;
  if (!whole) {
    clear_bins<kThreads>(shared.bins);
    __syncthreads();
    const Sample<1> sample = load_sample<kThreads, 1>(Slice<Float32>(row, n), 1);
    gate = sample_gate<kThreads>(sample, n, Float32(DSA_F32), k, 2 * k + 128, lowest, shared);
    __syncthreads();
    const Passing passing = count_row(row, n, gate, shared);
    whole = gate.score == -__builtin_inff() || passing.above + passing.equal < k;
    if (!whole) wanted = passing.above + min(passing.equal, k);
  }
  const int32_t begin = static_cast<int32_t>(blockIdx.x * s.row_room);
  float* const scores = s.scores + begin;
  int32_t* const keys = s.keys + begin;
  if (threadIdx.x == 0) {
    s.shipped[blockIdx.x] = {begin, begin + wanted};
    // Whole units are sent and read.
    for (int32_t i = wanted; i % kShippedUnit != 0; ++i) scores[i] = 0;
  }
  if (whole) {
    for (int32_t i = threadIdx.x; i < n; i += kThreads) {
      scores[i] = reinterpret_cast<const float*>(row)[i];
      keys[i] = i;
    }
    return;
  }
  pass(row, n, k, gate, scores, keys, shared);
}

}  // namespace

cudaError_t enqueue_prefilter(const IndexerTopkParams& params, const Shipment& shipment,
                              const Run& run) {
  const LaunchShape shape = {.grid = static_cast<uint32_t>(shipment.rows),
                             .block = kThreads,
                             .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(prefilter, shape, stream_of(run), params.indexer.rows, shipment,
                         params.select.k, lowest_key(params.select.select_neg_inf));
}

cudaError_t load_prefilter() { return load_function(prefilter); }

}  // namespace dsa::cuda

// cuda.topk.registers: a block a dense row that fits into its registers. Made for time: 11 key bits
// a histogram, mostly two of them, then the selection is written in order from the registers.
#include <algorithm>

#include "cuda/topk/cluster.cuh"
#include "cuda/topk/form.h"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kLongestRow = 16384;

struct Shared {
  BlockShared block;  // its bins: first and third histogram
  alignas(16) uint32_t second[kBins];
};

// Slab i of a thread: a warp's slabs are neighbours, in the order (i, lane).
template <int kSlabs>
__device__ int32_t slab_of(int32_t i) {
  return (warp_id() * kSlabs + i) * 32 + lane_id();
}

template <class Element, int kSlabs>
__device__ void load_keys(const RowScores& row, const Slice<Element>& slice, Element element,
                          uint32_t (&keys)[kSlabs][Element::kCount]) {
  constexpr int32_t kCount = Element::kCount;
  uint4 slabs[kSlabs];
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    const int32_t slab = slab_of<kSlabs>(i);
    if (slab >= slice.full_begin && slab < slice.full_end) slabs[i] = __ldg(slice.slabs + slab);
  }
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    const int32_t slab = slab_of<kSlabs>(i);
    if (slab >= slice.full_begin && slab < slice.full_end) {
      float x[kCount];
      element.unpack(slabs[i], x);
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) keys[i][e] = selectable_key(x[e], row.lowest);
      continue;
    }
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) {
      const int32_t place = slab * kCount + e;
      const bool inside = place >= slice.shift && place < slice.row_end;
      keys[i][e] = inside ? selectable_key(row.score(place - slice.shift), row.lowest) : kNoKey;
    }
  }
}

// Both histograms are clear, which a barrier has made known.
template <int kThreads, int kKeys>
__device__ Threshold register_threshold(const uint32_t (&keys)[kKeys], int32_t k, bool exact,
                                        Shared& shared) {
  Threshold result;
  uint32_t low = 0;
  int32_t top = 32, rank = k;
  for (const int32_t shift : {21, 10, 0}) {
    uint32_t* const bins = shift == 10 ? shared.second : shared.block.bins;
#pragma unroll
    for (int32_t i = 0; i < kKeys; ++i) {
      const bool inside = top == 32 ? keys[i] != kNoKey : (keys[i] - low) >> top == 0;
      if (inside) atomicAdd(&bins[(keys[i] - low) >> shift], 1u);
    }
    __syncthreads();
    uint32_t total;
    const Crossing crossing = find_crossing<kThreads>(bins, rank, total, shared.block);
    if (total == 0) return result;
    if (top == 32) {
      rank = static_cast<int32_t>(min(static_cast<uint32_t>(k), total));
      result.count = rank;
      clear_bins<kThreads>(bins);  // for the third; two barriers follow before
    }
    rank -= crossing.above;
    low += static_cast<uint32_t>(crossing.bin) << shift;
    result.key = low;
    result.quota = rank;
    result.equal = crossing.here;
    top = shift;
    if (shift > 0 && crossing.here == rank && !exact) {
      result.key = low - 1;
      result.quota = result.equal = 0;
      break;
    }
  }
  return result;
}

template <class Element, int kThreads, int kSlabs>
__device__ void register_row(const TopkParams& p, int64_t t, Shared& shared) {
  constexpr int32_t kCount = Element::kCount;
  constexpr int32_t kFieldBits = 32 / kSlabs;
  static_assert(kCount * 32 < (int64_t{1} << kFieldBits));
  const RowScores row(p, t);
  const SelectParams& select = p.select;
  const Slice<Element> slice(row, 0, 1);
  uint32_t keys[kSlabs][kCount];
  load_keys<Element, kSlabs>(row, slice, Element(p.scores.dtype), keys);
  const bool wants_cut = select.cut_score.given() || select.cut_index.given();

  Threshold threshold;  // all that can be selected
  if (row.n > select.k || wants_cut) {
    threshold = register_threshold<kThreads>(
        reinterpret_cast<const uint32_t(&)[kSlabs * kCount]>(keys), select.k, wants_cut, shared);
  }
  // Equal keys are counted apart only where some stay behind, or the last of them is wanted.
  const bool ties = threshold.quota < threshold.equal || wants_cut;
  const uint32_t least = threshold.quota > 0 && !ties ? threshold.key : threshold.key + 1;
  uint32_t greater_of_slab = 0, equal_of_slab = 0;  // a field for each slab
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) {
      greater_of_slab += (keys[i][e] >= least ? 1u : 0u) << (i * kFieldBits);
    }
  }
  if (ties) {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        const bool is_equal = keys[i][e] == threshold.key && threshold.key != kNoKey;
        equal_of_slab += (is_equal ? 1u : 0u) << (i * kFieldBits);
      }
    }
  }
  const uint32_t greater_incl = warp_inclusive_sum(greater_of_slab);
  const uint32_t equal_incl = ties ? warp_inclusive_sum(equal_of_slab) : 0;
  const uint32_t greater_all = __shfl_sync(kAllLanes, greater_incl, 31);
  const uint32_t equal_all = __shfl_sync(kAllLanes, equal_incl, 31);
  constexpr uint32_t kField = kFieldBits == 32 ? ~0u : (1u << kFieldBits % 32) - 1;
  const auto field = [&](uint32_t x, int32_t i) { return x >> (i * kFieldBits) & kField; };
  uint32_t of_warp = 0;  // greater << 16 | equal: at most 16384
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) of_warp += field(greater_all, i) << 16 | field(equal_all, i);
  if (lane_id() == 0) shared.block.warp_sum[warp_id()] = of_warp;
  __syncthreads();
  const uint32_t sums =
      warp_inclusive_sum(lane_id() < kThreads / 32 ? shared.block.warp_sum[lane_id()] : 0u);
  const uint32_t before = __shfl_sync(kAllLanes, sums, warp_id()) - of_warp;
  const uint32_t all = __shfl_sync(kAllLanes, sums, 31);
  const int32_t count = static_cast<int32_t>(all >> 16) + (ties ? threshold.quota : 0);

  const RowOutput out(p, row);
  int32_t greater_before = static_cast<int32_t>(before >> 16);
  int32_t equal_before = static_cast<int32_t>(before & 0xffffu);
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    int32_t at = greater_before + static_cast<int32_t>(field(greater_incl - greater_of_slab, i));
    int32_t equals = equal_before + static_cast<int32_t>(field(equal_incl - equal_of_slab, i));
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) {
      const int32_t j = slab_of<kSlabs>(i) * kCount + e - slice.shift;
      if (keys[i][e] >= least) {
        if (!select.cut_only()) out.write(at + min(equals, threshold.quota), j);
        ++at;
      } else if (ties && keys[i][e] == threshold.key && threshold.key != kNoKey) {
        if (equals < threshold.quota && !select.cut_only()) out.write(at + equals, j);
        if (equals == threshold.quota - 1) out.write_cut(j);
        ++equals;
      }
    }
    greater_before += static_cast<int32_t>(field(greater_all, i));
    equal_before += static_cast<int32_t>(field(equal_all, i));
  }
  if (!select.cut_only()) out.fill(count, threadIdx.x, kThreads);
  if (threadIdx.x == 0) {
    out.write_count(count);
    if (count == 0) out.write_no_cut();
  }
}

template <class Element, int kThreads, int kSlabs>
__global__ void __launch_bounds__(kThreads) registers(const __grid_constant__ TopkCall c) {
  __shared__ Shared shared;
  let_next_start();
  clear_bins<kThreads>(shared.block.bins);
  clear_bins<kThreads>(shared.second);
  __syncthreads();
  wait_for_previous();
  register_row<Element, kThreads, kSlabs>(c.p, c.first_row + blockIdx.x, shared);
}

// Scores of a row and of what may precede it in its first slab.
int64_t most_places(const TopkCall& c) {
  const RowTensor& scores = c.p.scores;
  const bool any_begin = c.p.rows.row_begin.given() && !c.p.rows.columns_from_begin;
  const int64_t strides = reinterpret_cast<int64_t>(scores.data) | scores.row_stride |
                          (scores.split > 0 ? scores.outer_stride : 0);
  return c.p.rows.max_length() + (any_begin || strides % 16 != 0 ? 16 / scores.bytes - 1 : 0);
}

const char* refuse(const TopkCall& c) {
  if (most_places(c) > kLongestRow) return "rows that do not fit into a block's registers";
  if (c.row_count > INT32_MAX) return "rows above 2^31 - 1";
  return refuse_but_dense(c, INT32_MAX);
}

template <class Element, int kThreads, int kSlabs>
cudaError_t launch_as(const TopkCall& c, const Run& run) {
  const LaunchShape shape = {.grid = static_cast<uint32_t>(c.row_count),
                             .block = kThreads,
                             .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(registers<Element, kThreads, kSlabs>, shape, stream_of(run), c);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  const int64_t places = most_places(c);
  if (c.p.scores.dtype == DSA_F32) {
    if (places <= 4096) return launch_as<Float32, 512, 2>(c, run);
    if (places <= 8192) return launch_as<Float32, 1024, 2>(c, run);
    return launch_as<Float32, 1024, 4>(c, run);
  }
  if (places <= 4096) return launch_as<Float16, 512, 1>(c, run);
  if (places <= 8192) return launch_as<Float16, 1024, 1>(c, run);
  return launch_as<Float16, 1024, 2>(c, run);
}

cudaError_t load() {
  return load_functions(0, registers<Float32, 512, 2>, registers<Float32, 1024, 2>,
                        registers<Float32, 1024, 4>, registers<Float16, 512, 1>,
                        registers<Float16, 1024, 1>, registers<Float16, 1024, 2>);
}

}  // namespace

constinit const Form kRegisters = {80, refuse, no_workspace, launch, load};

}  // namespace dsa::cuda::topk

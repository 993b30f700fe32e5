// cuda.topk.registers: a block a dense row that fits into its registers. Made for time: 11 key bits
// a histogram, mostly two of them, then the selection in order, through shared memory.
#include <algorithm>

#include "cuda/topk/cluster.cuh"
#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kLongestRow = 16384;

struct Shared {
  BlockShared block;  // its bins: first and third histogram
  alignas(16) uint32_t second[kBins];
  int32_t cut;
};

// Slab i of a thread: a warp's slabs are neighbours, in the order (i, lane).
template <int kSlabs>
__device__ int32_t slab_of(int32_t i) {
  return (warp_id() * kSlabs + i) * 32 + lane_id();
}

// Both histograms are clear, which a barrier has made known.
template <int kThreads, int kKeys>
__device__ Threshold register_threshold(const uint32_t (&keys)[kKeys], int32_t k, bool exact,
                                        Shared& shared) {
  Threshold result;
  uint32_t low = 0;
  int32_t rank = k;
#pragma unroll 1
  for (int32_t digit = 0; digit < 3; ++digit) {
    const int32_t top = digit == 1 ? 21 : 10;
    const int32_t shift = digit == 0 ? 21 : digit == 1 ? 10 : 0;
    uint32_t* const bins = digit == 1 ? shared.second : shared.block.bins;
#pragma unroll
    for (int32_t i = 0; i < kKeys; ++i) {
      const bool inside = digit == 0 ? keys[i] != kNoKey : (keys[i] - low) >> top == 0;
      if (inside) atomicAdd(&bins[(keys[i] - low) >> shift], 1u);
    }
    __syncthreads();
    uint32_t total;
    const Crossing crossing = find_crossing<kThreads>(bins, rank, total, shared.block);
    if (total == 0) return result;
    if (digit == 0) {
      rank = static_cast<int32_t>(min(static_cast<uint32_t>(k), total));
      result.count = rank;
      clear_bins<kThreads>(bins);  // for the third; barriers follow before
    }
    rank -= crossing.above;
    low += static_cast<uint32_t>(crossing.bin) << shift;
    result.key = low;
    result.quota = rank;
    result.equal = crossing.here;
    if (digit < 2 && crossing.here == rank && !exact) {
      result.key = low - 1;
      result.quota = result.equal = 0;
      break;
    }
  }
  return result;
}

// A counter for each of a thread's slabs, packed so that one scan does them all.
template <int kSlabs>
struct Fields {
  static constexpr int32_t kBits = 32 / kSlabs;
  static constexpr uint32_t kMask = kSlabs == 1 ? ~0u : (1u << kBits % 32) - 1;
  __device__ static uint32_t one(int32_t i) { return 1u << (i * kBits); }
  __device__ static int32_t get(uint32_t x, int32_t i) {
    return static_cast<int32_t>(x >> (i * kBits) & kMask);
  }
};

template <class Element, int kThreads, int kSlabs>
__device__ void register_row(const DenseCall& c, int64_t row_number, uint16_t* staged,
                             Shared& shared) {
  constexpr int32_t kCount = Element::kCount;
  using Counters = Fields<kSlabs>;
  static_assert(kCount * 32 <= Counters::kMask);
  const DenseRow row = dense_row(c, row_number);
  const Element element(c.dtype);
  const Slice<Element> slice(row.first, row.n, 0, 1);
  uint4 slabs[kSlabs];
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) slabs[i] = slice.load(slab_of<kSlabs>(i));
  uint32_t keys[kSlabs * kCount];
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    float x[kCount];
    element.unpack(slabs[i], x);
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) keys[i * kCount + e] = selectable_key(x[e], c.lowest);
  }

  Threshold threshold;  // all that can be selected
  if (row.n > c.k || c.wants_cut) {
    threshold = register_threshold<kThreads>(keys, c.k, c.wants_cut, shared);
  }
  // Equal keys are counted apart only where some stay behind, or the last of them is wanted.
  const bool ties = threshold.quota < threshold.equal || c.wants_cut;
  const uint32_t least = threshold.quota > 0 && !ties ? threshold.key : threshold.key + 1;
  uint32_t greater = 0, equal = 0;
#pragma unroll
  for (int32_t i = 0; i < kSlabs * kCount; ++i) {
    greater += keys[i] >= least ? Counters::one(i / kCount) : 0u;
  }
  if (ties) {
#pragma unroll
    for (int32_t i = 0; i < kSlabs * kCount; ++i) {
      equal += keys[i] == threshold.key ? Counters::one(i / kCount) : 0u;
    }
  }
  const uint32_t greater_incl = warp_inclusive_sum(greater);
  const uint32_t equal_incl = ties ? warp_inclusive_sum(equal) : 0;
  const uint32_t greater_warp = __shfl_sync(kAllLanes, greater_incl, 31);
  const uint32_t equal_warp = __shfl_sync(kAllLanes, equal_incl, 31);
  uint32_t of_warp = 0;  // greater << 16 | equal: at most 16384
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    of_warp += static_cast<uint32_t>(Counters::get(greater_warp, i)) << 16 |
               static_cast<uint32_t>(Counters::get(equal_warp, i));
  }
  if (lane_id() == 0) shared.block.warp_sum[warp_id()] = of_warp;
  __syncthreads();
  const uint32_t sums =
      warp_inclusive_sum(lane_id() < kThreads / 32 ? shared.block.warp_sum[lane_id()] : 0u);
  const uint32_t before = __shfl_sync(kAllLanes, sums, warp_id()) - of_warp;
  const int32_t count =
      static_cast<int32_t>(__shfl_sync(kAllLanes, sums, 31) >> 16) + (ties ? threshold.quota : 0);

  int32_t greater_before = static_cast<int32_t>(before >> 16);
  int32_t equal_before = static_cast<int32_t>(before & 0xffffu);
#pragma unroll
  for (int32_t i = 0; i < kSlabs; ++i) {
    int32_t at = greater_before + Counters::get(greater_incl - greater, i);
    int32_t equals = equal_before + Counters::get(equal_incl - equal, i);
    const int32_t j = slab_of<kSlabs>(i) * kCount - slice.shift;
    if (!ties) {
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        if (keys[i * kCount + e] >= least) staged[at++] = static_cast<uint16_t>(j + e);
      }
    } else {
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) {
        const bool is_equal = keys[i * kCount + e] == threshold.key;
        if (keys[i * kCount + e] >= least || (is_equal && equals < threshold.quota)) {
          staged[at + min(equals, threshold.quota)] = static_cast<uint16_t>(j + e);
        }
        if (is_equal && equals == threshold.quota - 1) shared.cut = j + e;
        at += keys[i * kCount + e] >= least ? 1 : 0;
        equals += is_equal ? 1 : 0;
      }
    }
    greater_before += Counters::get(greater_warp, i);
    equal_before += Counters::get(equal_warp, i);
  }
  __syncthreads();
  write_staged(c, row_number, staged, 0, count, threadIdx.x, kThreads);
  end_row(c, row_number, count, threadIdx.x, kThreads);
  if (c.wants_cut && count > 0 && threadIdx.x == 0) write_cut(c.full, row_number, shared.cut);
}

template <class Element, int kThreads, int kSlabs, int kBlocks>
__global__ void __launch_bounds__(kThreads, kBlocks)
    registers(const __grid_constant__ DenseCall c) {
  extern __shared__ __align__(16) char memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  let_next_start();
  clear_bins<kThreads>(shared.block.bins);
  clear_bins<kThreads>(shared.second);
  __syncthreads();
  wait_for_previous();
  register_row<Element, kThreads, kSlabs>(c, blockIdx.x, reinterpret_cast<uint16_t*>(&shared + 1),
                                          shared);
}

constexpr int32_t shared_bytes(int64_t selected) {
  return static_cast<int32_t>(sizeof(Shared) + selected * sizeof(uint16_t));
}

const char* refuse(const TopkCall& c) {
  if (c.p.rows.max_length() > kLongestRow) return "rows that do not fit into a block's registers";
  if (c.row_count > INT32_MAX) return "rows above 2^31 - 1";
  return refuse_but_dense(c, INT32_MAX);
}

// Scores of a row and of what may precede it in its first slab.
int64_t most_places(const TopkCall& c) {
  const RowTensor& scores = c.p.scores;
  const bool any_begin = c.p.rows.row_begin.given() && !c.p.rows.columns_from_begin;
  const int64_t strides = reinterpret_cast<int64_t>(scores.data) | scores.row_stride |
                          (scores.split > 0 ? scores.outer_stride : 0);
  return c.p.rows.max_length() + (any_begin || strides % 16 != 0 ? 16 / scores.bytes - 1 : 0);
}

template <class Element, int kThreads, int kSlabs, int kBlocks>
cudaError_t launch_as(const TopkCall& c, const Run& run) {
  const int64_t selected = std::min<int64_t>(c.p.select.k, c.p.rows.max_length());
  const LaunchShape shape = {.grid = static_cast<uint32_t>(c.row_count),
                             .block = kThreads,
                             .shared_bytes = shared_bytes(selected),
                             .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(registers<Element, kThreads, kSlabs, kBlocks>, shape, stream_of(run),
                         make_dense(c));
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  const int64_t places = most_places(c);
  if (places > kLongestRow) return kBlock.launch(c, run);  // 16K, and not aligned
  if (c.p.scores.dtype == DSA_F32) {
    if (places <= 4096) return launch_as<Float32, 512, 2, 3>(c, run);
    if (places <= 8192) return launch_as<Float32, 1024, 2, 1>(c, run);
    return launch_as<Float32, 1024, 4, 1>(c, run);
  }
  if (places <= 4096) return launch_as<Float16, 512, 1, 3>(c, run);
  if (places <= 8192) return launch_as<Float16, 1024, 1, 1>(c, run);
  return launch_as<Float16, 1024, 2, 1>(c, run);
}

cudaError_t load() {
  const cudaError_t error =
      load_functions(kLongestRow * 2, registers<Float32, 512, 2, 3>, registers<Float32, 1024, 2, 1>,
                     registers<Float32, 1024, 4, 1>, registers<Float16, 512, 1, 3>,
                     registers<Float16, 1024, 1, 1>, registers<Float16, 1024, 2, 1>);
  return error == cudaSuccess ? kBlock.load() : error;
}

}  // namespace

constinit const Form kRegisters = {80, refuse, no_workspace, launch, load};

}  // namespace dsa::cuda::topk

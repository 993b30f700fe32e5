#include <algorithm>

#include "cuda/ptx.cuh"
#include "cuda/topk/bucket_sort.cuh"
#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/order.h"

namespace dsa::cuda::topk {
namespace {

struct OrderCall {
  const int32_t* list;  // of the first row
  int64_t list_stride;  // elements, from row to row
  int32_t length;       // most that a row selects
  DenseCall dense;      // with the outputs of the caller
};

// What has no key stands behind all that have one.
constexpr uint32_t kBehind = 0xffffffffu;

__device__ inline int32_t first_key(const OrderCall& c, int64_t i) {
  return c.dense.plain ? 0 : c.dense.full.p.rows.span(c.dense.full.first_row + i).begin;
}

// Rises as the score of key j falls.
__device__ inline uint32_t falling_key(const DenseCall& c, const char* first, int32_t j) {
  return ~ordered_key(load_element(first, c.dtype, j));
}

// Writes row i, whose selected keys in order at(0), at(1), ... gives.
template <class At>
__device__ void write_row(const DenseCall& c, int64_t i, int32_t count, At at, int32_t thread,
                          int32_t threads) {
  if (c.plain) {
    const PlainOutput out(c, i);
#pragma unroll 4
    for (int32_t j = thread; j < count; j += threads) out.write(j, at(j));
    out.fill(count, thread, threads);
    return;
  }
  const RowScores row(c.full.p, c.full.first_row + i);
  const RowOutput out(c.full.p, row);
#pragma unroll 1
  for (int32_t j = thread; j < count; j += threads) out.write(j, at(j));
  out.fill(count, thread, threads);
  if (thread > 0) return;
  if (count > 0) out.write_cut(at(count - 1));
  if (count == 0) out.write_no_cut();
}

// By a warp a row: 32 kItems keys in registers, sorted by exchanges (K. E. Batcher, 1968).
constexpr int32_t kWarps = 4;  // of a block

// Item i of lane l is element 32 i + l. All ascending.
template <int kItems, class T>
__device__ void sort_in_warp(T (&x)[kItems]) {
#pragma unroll
  for (int32_t size = 2; size <= 32 * kItems; size *= 2) {
#pragma unroll
    for (int32_t stride = size / 2; stride > 0; stride /= 2) {
#pragma unroll
      for (int32_t i = 0; i < kItems; ++i) {
        const bool rises = ((i * 32 + lane_id()) & size) == 0;
        if (stride >= 32) {
          if ((i & stride / 32) != 0) continue;
          const T a = x[i], b = x[i + stride / 32];
          x[i] = rises ? min(a, b) : max(a, b);
          x[i + stride / 32] = rises ? max(a, b) : min(a, b);
        } else {
          const T other = __shfl_xor_sync(kAllLanes, x[i], stride);
          x[i] = ((lane_id() & stride) == 0) == rises ? min(x[i], other) : max(x[i], other);
        }
      }
    }
  }
}

template <int kItems>
__global__ void __launch_bounds__(kWarps * 32) order_by_warp(const __grid_constant__ OrderCall c) {
  constexpr int32_t kPlaceBits = kItems == 1 ? 5 : kItems == 2 ? 6 : 7;
  constexpr uint32_t kPlaces = 1u << kPlaceBits;
  static_assert(kPlaces == 32 * kItems);
  __shared__ int32_t keys_of[kWarps][kPlaces];  // as they came
  __shared__ uint8_t order_of[kWarps][kPlaces];
  let_next_start();
  wait_for_previous();
  const int64_t i = int64_t{blockIdx.x} * kWarps + warp_id();
  if (i >= c.dense.row_count) return;
  const DenseRow row = dense_row(c.dense, i);
  const int32_t* const list = c.list + i * c.list_stride;
  const int32_t before = first_key(c, i);
  int32_t* const key_at = keys_of[warp_id()];
  uint8_t* const order = order_of[warp_id()];
  uint32_t keys[kItems], least = kBehind, most = 0;
  int32_t count = 0;
#pragma unroll
  for (int32_t e = 0; e < kItems; ++e) {
    const int32_t at = e * 32 + lane_id();
    const int32_t s = at < c.length ? list[at] : -1;
    key_at[at] = s - before;
    count += __popc(__ballot_sync(kAllLanes, s >= 0));
    keys[e] = s >= 0 ? falling_key(c.dense, row.first, s - before) : kBehind;
    least = min(least, keys[e]);
    most = s >= 0 ? max(most, keys[e]) : most;
  }
  least = __reduce_min_sync(kAllLanes, least);
  most = __reduce_max_sync(kAllLanes, most);
  // Equal keys stay as they came. Mostly key and place fit into one word.
  if (most - least < kBehind >> kPlaceBits) {
    uint32_t x[kItems];
#pragma unroll
    for (int32_t e = 0; e < kItems; ++e) {
      x[e] = min(keys[e] - least, kBehind >> kPlaceBits) << kPlaceBits | (e * 32 + lane_id());
    }
    sort_in_warp(x);
#pragma unroll
    for (int32_t e = 0; e < kItems; ++e) order[e * 32 + lane_id()] = x[e] % kPlaces;
  } else {
    uint64_t x[kItems];
#pragma unroll
    for (int32_t e = 0; e < kItems; ++e) x[e] = uint64_t{keys[e]} << 32 | (e * 32 + lane_id());
    sort_in_warp(x);
#pragma unroll
    for (int32_t e = 0; e < kItems; ++e) order[e * 32 + lane_id()] = static_cast<uint8_t>(x[e]);
  }
  __syncwarp();
  write_row(
      c.dense, i, count, [&](int32_t at) { return key_at[order[at]]; }, lane_id(), 32);
}

// By a block a row.
template <int kThreads, int kItems>
struct OrderShared {
  union {
    BucketShared<kThreads, kItems> bucket;
    RadixShared<kThreads> radix;
  };
  uint2 pairs[kThreads * kItems];
  uint32_t least, most;
  int32_t count;
};

// Finds the range of all threads' keys that are there, and takes its lower end from them.
template <int kThreads, int kItems>
__device__ uint32_t find_range(SortItems<kItems>& items, OrderShared<kThreads, kItems>& shared) {
  uint32_t least = kBehind, most = 0;
  int32_t count = 0;
#pragma unroll
  for (int32_t e = 0; e < kItems; ++e) {
    const bool is_there = items.values[e] >= 0;
    least = min(least, items.keys[e]);
    most = is_there ? max(most, items.keys[e]) : most;
    count += is_there ? 1 : 0;
  }
  least = __reduce_min_sync(kAllLanes, least);
  most = __reduce_max_sync(kAllLanes, most);
  count = __reduce_add_sync(kAllLanes, count);
  if (lane_id() == 0 && count > 0) {
    atomicMin(&shared.least, least);
    atomicMax(&shared.most, most);
    atomicAdd(&shared.count, count);
  }
  __syncthreads();
  least = shared.least;
  most = shared.most;
  // What is not there comes last: it is so, and equal keys stay as they came.
#pragma unroll
  for (int32_t e = 0; e < kItems; ++e) items.keys[e] = min(items.keys[e], most) - least;
  return shared.count > 0 ? most - least : 0;
}

template <int kThreads, int kItems>
__global__ void __launch_bounds__(kThreads, 1024 / kThreads)
    order_by_block(const __grid_constant__ OrderCall c) {
  extern __shared__ __align__(16) char memory[];
  auto& shared = *reinterpret_cast<OrderShared<kThreads, kItems>*>(memory);
  let_next_start();
  if (threadIdx.x == 0) {
    shared.least = kBehind;
    shared.most = 0;
    shared.count = 0;
  }
  for (int32_t j = threadIdx.x; j < kThreads * kItems; j += kThreads) shared.bucket.bins[j] = 0;
  __syncthreads();
  wait_for_previous();
  const int64_t i = blockIdx.x;
  const DenseRow row = dense_row(c.dense, i);
  const int32_t* const list = c.list + i * c.list_stride;
  const int32_t before = first_key(c, i);
  SortItems<kItems> items;
#pragma unroll
  for (int32_t e = 0; e < kItems; ++e) {
    const int32_t at = items.place(e);
    items.values[e] = at < c.length ? list[at] - before : -1;
  }
#pragma unroll
  for (int32_t e = 0; e < kItems; ++e) {
    items.keys[e] =
        items.values[e] >= 0 ? falling_key(c.dense, row.first, items.values[e]) : kBehind;
  }
  const uint32_t range = find_range<kThreads>(items, shared);
  const int32_t count = shared.count, bits = 32 - __clz(range);
  if (!bucket_sort<kThreads>(items, count, bits, shared.pairs, shared.bucket)) {
    radix_sort<kThreads>(items, bits, shared.pairs, shared.radix);
  }
  write_row(
      c.dense, i, count, [&](int32_t at) { return static_cast<int32_t>(shared.pairs[at].y); },
      threadIdx.x, kThreads);
}

template <int kItems>
cudaError_t launch_warps(const OrderCall& c, const Run& run) {
  const LaunchShape shape = {
      .grid = static_cast<uint32_t>((c.dense.row_count + kWarps - 1) / kWarps),
      .block = kWarps * 32,
      .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(order_by_warp<kItems>, shape, stream_of(run), c);
}

template <int kThreads, int kItems>
cudaError_t launch_blocks(const OrderCall& c, const Run& run) {
  const LaunchShape shape = {
      .grid = static_cast<uint32_t>(c.dense.row_count),
      .block = kThreads,
      .shared_bytes = static_cast<int32_t>(sizeof(OrderShared<kThreads, kItems>)),
      .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(order_by_block<kThreads, kItems>, shape, stream_of(run), c);
}

template <int kThreads, int kItems>
cudaError_t load_blocks() {
  return load_function(order_by_block<kThreads, kItems>,
                       static_cast<int32_t>(sizeof(OrderShared<kThreads, kItems>)));
}

}  // namespace

cudaError_t enqueue_order(const TopkCall& call, const RowTensor& list, const Run& run) {
  const int64_t length = std::min<int64_t>(call.p.select.k, call.p.rows.max_length());
  const OrderCall c = {list.row_as<const int32_t>(call.first_row), list.row_stride / 4,
                       static_cast<int32_t>(length), make_dense(call)};
  if (length <= 32) return launch_warps<1>(c, run);
  if (length <= 64) return launch_warps<2>(c, run);
  if (length <= 128) return launch_warps<4>(c, run);
  if (length <= 512) return launch_blocks<256, 2>(c, run);
  if (length <= 1024) return launch_blocks<512, 2>(c, run);
  // Of many rows two at a time: 1024 of 32K take 115 us, not 125. Of 64 one takes 17.4, not 20.
  if (length <= 2048 && c.dense.row_count > run.device->multiprocessors) {
    return launch_blocks<512, 4>(c, run);
  }
  if (length <= 2048) return launch_blocks<1024, 2>(c, run);
  return launch_blocks<1024, 8>(c, run);
}

cudaError_t load_order() {
  cudaError_t error = load_functions(0, order_by_warp<1>, order_by_warp<2>, order_by_warp<4>);
  if (error == cudaSuccess) error = load_blocks<256, 2>();
  if (error == cudaSuccess) error = load_blocks<512, 2>();
  if (error == cudaSuccess) error = load_blocks<512, 4>();
  if (error == cudaSuccess) error = load_blocks<1024, 2>();
  return error == cudaSuccess ? load_blocks<1024, 8>() : error;
}

}  // namespace dsa::cuda::topk

// cuda.topk.warp: a warp a short dense row, keys in registers. The threshold is found by bisecting
// the range of keys, counting by ballots; as soon as a bound is met by just as many as are wanted,
// that is it.
#include <algorithm>

#include "cuda/topk/cluster.cuh"
#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kLongestRow = 2048;
constexpr int32_t kWarps = 4;  // of a block

// Keys of the warp that are at least `bound`.
template <int kKeys>
__device__ int32_t count_from(const uint32_t (&keys)[kKeys], uint32_t bound) {
  uint32_t own = 0;
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) own += keys[i] >= bound ? 1u : 0u;
  return static_cast<int32_t>(__reduce_add_sync(kAllLanes, own));
}

// Key i of lane l is that of element 32 i + l; `count` of them can be selected.
template <int kKeys>
__device__ Threshold warp_threshold(const uint32_t (&keys)[kKeys], int32_t count, int32_t k,
                                    bool exact) {
  Threshold result;
  result.count = min(k, count);
  if (result.count == 0) return result;
  uint32_t top = 0;
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) top = max(top, keys[i]);
  uint32_t low = 1, high = __reduce_max_sync(kAllLanes, top) + 1;
  int32_t from_low = count, from_high = 0;
  if (k <= 32) {
    // As many elements as there are lanes reach the smallest of their maxima.
    const uint32_t least = __reduce_min_sync(kAllLanes, top);
    if (least > low) {
      low = least;
      from_low = count_from(keys, low);
    }
  }
  while (from_low > result.count && high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    const int32_t from_middle = count_from(keys, middle);
    if (from_middle >= result.count) {
      low = middle;
      from_low = from_middle;
    } else {
      high = middle;
      from_high = from_middle;
    }
  }
  if (from_low > result.count) {  // ties at the threshold
    result.key = low;
    result.quota = result.count - from_high;
    result.equal = from_low - from_high;
    return result;
  }
  result.key = low - 1;
  if (!exact) return result;
  uint32_t least = kPosInfKey;
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) least = keys[i] >= low ? min(least, keys[i]) : least;
  result.key = __reduce_min_sync(kAllLanes, least);
  result.quota = result.equal = result.count - count_from(keys, result.key + 1);
  return result;
}

template <class Element, int kKeys>
__device__ void warp_row(const DenseCall& c, int64_t row_number, uint16_t* staged) {
  const DenseRow row = dense_row(c, row_number);
  const Element element(c.dtype);
  uint32_t keys[kKeys];
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) {
    const int32_t j = i * 32 + lane_id();
    const float x = j < row.n ? element.at(row.first, j) : -__builtin_nanf("");
    keys[i] = selectable_key(x, c.lowest);
  }
  const Threshold threshold = warp_threshold(keys, count_from(keys, 1), c.k, c.wants_cut);

  const uint32_t lower = (1u << lane_id()) - 1;
  int32_t at = 0, equals = 0, cut = -1;
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) {
    bool takes = keys[i] > threshold.key;
    const int32_t j = i * 32 + lane_id();
    if (threshold.quota > 0) {  // the same in all lanes
      const bool is_equal = keys[i] == threshold.key;
      const uint32_t lanes = __ballot_sync(kAllLanes, is_equal);
      const int32_t rank = equals + __popc(lanes & lower);
      equals += __popc(lanes);
      takes |= is_equal && rank < threshold.quota;
      if (is_equal && rank == threshold.quota - 1) cut = j;
    }
    const uint32_t lanes = __ballot_sync(kAllLanes, takes);
    if (takes) staged[at + __popc(lanes & lower)] = static_cast<uint16_t>(j);
    at += __popc(lanes);
  }
  __syncwarp();
  write_staged(c, row_number, staged, 0, 0, threshold.count, lane_id(), 32);
  end_row(c, row_number, threshold.count, lane_id(), 32);
  if (c.wants_cut && cut >= 0) write_cut(c.full, row_number, cut);
  __syncwarp();
}

// As many warps as registers allow: they hide each other's loads and ballots.
constexpr int32_t blocks_for(int32_t keys) { return keys > 32 ? 5 : keys > 16 ? 6 : 8; }

template <class Element, int kKeys>
__global__ void __launch_bounds__(kWarps * 32, blocks_for(kKeys))
    warp(const __grid_constant__ DenseCall c) {
  extern __shared__ uint16_t all_staged[];
  let_next_start();
  wait_for_previous();
  uint16_t* const staged = all_staged + warp_id() * min(c.k, c.length);
  for (int64_t i = int64_t{blockIdx.x} * kWarps + warp_id(); i < c.row_count;
       i += int64_t{gridDim.x} * kWarps) {
    warp_row<Element, kKeys>(c, i, staged);
  }
}

const char* refuse(const TopkCall& c) {
  if (c.p.rows.max_length() > kLongestRow) return "rows above 2048";
  return refuse_but_dense(c, INT32_MAX);
}

template <class Element, int kKeys>
cudaError_t launch_as(const TopkCall& c, const Run& run) {
  const int32_t selected =
      static_cast<int32_t>(std::min<int64_t>(c.p.select.k, c.p.rows.max_length()));
  const int64_t blocks = std::min<int64_t>((c.row_count + kWarps - 1) / kWarps, INT32_MAX);
  const LaunchShape shape = {.grid = static_cast<uint32_t>(blocks),
                             .block = kWarps * 32,
                             .shared_bytes = kWarps * selected * 2,
                             .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(warp<Element, kKeys>, shape, stream_of(run), make_dense(c));
}

template <class Element>
cudaError_t launch_of(const TopkCall& c, const Run& run) {
  const int64_t length = c.p.rows.max_length();
  if (length <= 128) return launch_as<Element, 4>(c, run);
  if (length <= 512) return launch_as<Element, 16>(c, run);
  if (length <= 1024) return launch_as<Element, 32>(c, run);
  return launch_as<Element, 64>(c, run);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  return c.p.scores.dtype == DSA_F32 ? launch_of<Float32>(c, run) : launch_of<Float16>(c, run);
}

template <class Element>
cudaError_t load_of() {
  return load_functions(0, warp<Element, 4>, warp<Element, 16>, warp<Element, 32>,
                        warp<Element, 64>);
}

cudaError_t load() {
  const cudaError_t error = load_of<Float32>();
  return error == cudaSuccess ? load_of<Float16>() : error;
}

}  // namespace

constinit const Form kWarp = {80, refuse, no_workspace, launch, load};

}  // namespace dsa::cuda::topk

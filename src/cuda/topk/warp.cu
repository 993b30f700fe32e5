// cuda.topk.warp: a warp a short dense row, keys in registers. The threshold is found by bisection
// with counts; as soon as a bound is reached by just as many keys as are wanted, that is it. Few of
// many: first a bound that so many groups of keys reach, then only the keys that reach it.
#include <algorithm>

#include "cuda/ptx.cuh"
#include "cuda/topk/dense_row.cuh"
#include "cuda/topk/select_keys.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kLongestRow = 2048;
constexpr int32_t kWarps = 4;   // of a block
constexpr int32_t kGroups = 8;  // of a lane's keys
constexpr int32_t kKeptOfLane = 8;
constexpr int32_t kKept = 32 * kKeptOfLane;
constexpr int32_t kFew = 160;  // about 1.3 times as many reach the bound: up to here they are kept
constexpr int32_t kFewest = 24;  // up to here the lanes' largest give the bound

// Shared memory of a warp; then what is selected, as 16-bit numbers of keys.
struct WarpShared {
  uint32_t keys[kKept];
  uint16_t places[kKept];
};

// Keys of the warp that are at least `bound`.
template <int kKeys>
__device__ int32_t count_from(const uint32_t (&keys)[kKeys], uint32_t bound) {
  if constexpr (kKeys == 1) return __popc(__ballot_sync(kAllLanes, keys[0] >= bound));
  uint32_t own = 0;
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) own += keys[i] >= bound ? 1u : 0u;
  return static_cast<int32_t>(__reduce_add_sync(kAllLanes, own));
}

// `from_low` keys are at least `low`, which are enough, and `from_high` at least `high`, too few.
struct Bracket {
  uint32_t low, high;
  int32_t from_low, from_high;
};

// Narrows the bracket until `most` keys at most are from its low end, which `least` keys still are,
// or nothing is left of it. By halving the keys' range; `scores`: that of the scores, twice of
// three times, which is quicker where the bracket spans magnitudes.
template <bool scores, int kKeys>
__device__ void narrow(const uint32_t (&keys)[kKeys], int32_t least, int32_t most, Bracket& b) {
#pragma unroll 1
  for (int32_t step = 0; b.from_low > most && b.high - b.low > 1; ++step) {
    uint32_t middle = b.low + (b.high - b.low) / 2;
    if (scores && step % 3 != 2) {
      const uint32_t key = ordered_key(0.5f * score_of(b.low) + 0.5f * score_of(b.high));
      if (key > b.low && key < b.high) middle = key;
    }
    const int32_t count = count_from(keys, middle);
    if (count >= least) {
      b.low = middle;
      b.from_low = count;
    } else {
      b.high = middle;
      b.from_high = count;
    }
  }
}

// Key i of lane l is that of element 32 i + l. `b` holds the k-th largest, of more than k or of k.
template <bool scores, int kKeys>
__device__ Threshold exact_threshold(const uint32_t (&keys)[kKeys], int32_t k, bool exact,
                                     Bracket b) {
  narrow<scores>(keys, k, k, b);
  Threshold result;
  result.count = k;
  if (b.from_low > k) {  // ties at the threshold
    result.key = b.low;
    result.quota = k - b.from_high;
    result.equal = b.from_low - b.from_high;
    return result;
  }
  result.key = b.low - 1;
  if (!exact) return result;
  uint32_t least = kPosInfKey;
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) least = keys[i] >= b.low ? min(least, keys[i]) : least;
  result.key = __reduce_min_sync(kAllLanes, least);
  result.quota = result.equal = k - count_from(keys, result.key + 1);
  return result;
}

// Puts the selected of keys whose numbers are place(i) into `staged`, in order. Returns the last
// one selected in (score, index) order in one lane, -1 in the others.
template <int kKeys, class Place>
__device__ int32_t stage(const uint32_t (&keys)[kKeys], const Threshold& threshold, Place place,
                         uint16_t* staged) {
  const uint32_t lower = (1u << lane_id()) - 1;
  int32_t at = 0, equals = 0, cut = -1;
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) {
    bool takes = keys[i] > threshold.key;
    if (threshold.quota > 0) {  // the same in all lanes
      const bool is_equal = keys[i] == threshold.key;
      const uint32_t lanes = __ballot_sync(kAllLanes, is_equal);
      const int32_t rank = equals + __popc(lanes & lower);
      equals += __popc(lanes);
      takes |= is_equal && rank < threshold.quota;
      if (is_equal && rank == threshold.quota - 1) cut = place(i);
    }
    const uint32_t lanes = __ballot_sync(kAllLanes, takes);
    if (takes) staged[at + __popc(lanes & lower)] = static_cast<uint16_t>(place(i));
    at += __popc(lanes);
  }
  return cut;
}

// A bound that at least k keys reach, and not many more, as the low end of the bracket; false where
// there is none. From the largest of each lane, or of eight groups of a lane's keys.
template <int kKeys>
__device__ bool bound_by_groups(const uint32_t (&keys)[kKeys], int32_t k, uint32_t lowest,
                                Bracket& b) {
  constexpr int32_t kOfLane = kKeys < kGroups ? kKeys : kGroups;
  uint32_t groups[kOfLane];
#pragma unroll
  for (int32_t i = 0; i < kOfLane; ++i) groups[i] = keys[i];
#pragma unroll
  for (int32_t i = kOfLane; i < kKeys; ++i) groups[i % kOfLane] = max(groups[i % kOfLane], keys[i]);
  uint32_t most[1] = {groups[0]};
  uint32_t least = groups[0];
#pragma unroll
  for (int32_t i = 1; i < kOfLane; ++i) {
    most[0] = max(most[0], groups[i]);
    least = min(least, groups[i]);
  }
  const uint32_t top = __reduce_max_sync(kAllLanes, most[0]) + 1;
  b.high = top;
  b.from_high = 0;
  if (k <= kFewest) {
    b.low = max(lowest, __reduce_min_sync(kAllLanes, most[0]));
    b.from_low = count_from(most, b.low);
    if (b.from_low < k) return false;
    narrow<true>(most, k, k + k / 4, b);
  } else {
    b.low = max(lowest, __reduce_min_sync(kAllLanes, least));
    b.from_low = count_from(groups, b.low);
    if (b.from_low < k) return false;
    narrow<true>(groups, k, k + k / 8, b);
  }
  b.high = top;
  b.from_high = 0;
  return true;
}

// Puts keys from b.low on into shared memory, in order; how many there are.
template <int kKeys>
__device__ int32_t keep(const uint32_t (&keys)[kKeys], uint32_t bound, WarpShared& shared) {
  const uint32_t lower = (1u << lane_id()) - 1;
  int32_t kept = 0;
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) {
    const bool keeps = keys[i] >= bound;
    const uint32_t lanes = __ballot_sync(kAllLanes, keeps);
    const int32_t at = kept + __popc(lanes & lower);
    if (keeps && at < kKept) {
      shared.keys[at] = keys[i];
      shared.places[at] = static_cast<uint16_t>(i * 32 + lane_id());
    }
    kept += __popc(lanes);
  }
  __syncwarp();
  return kept;
}

struct Selection {
  Threshold threshold;
  int32_t cut;
};

// Among what was kept, up to 32 kFewKeys.
template <int kFewKeys>
__device__ Selection select_kept(const DenseCall& c, const WarpShared& shared, const Bracket& b,
                                 uint16_t* staged) {
  uint32_t few[kFewKeys];
#pragma unroll
  for (int32_t i = 0; i < kFewKeys; ++i) {
    const int32_t at = i * 32 + lane_id();
    few[i] = at < b.from_low ? shared.keys[at] : kNoKey;
  }
  const Threshold threshold = exact_threshold<false>(few, c.k, c.wants_cut, b);
  const auto place = [&](int32_t i) { return shared.places[i * 32 + lane_id()]; };
  return {threshold, stage(few, threshold, place, staged)};
}

// Among all keys. `bounded`: b.low is a bound already.
template <int kKeys>
__device__ Selection select_all(const DenseCall& c, const uint32_t (&keys)[kKeys], bool bounded,
                                Bracket b, uint16_t* staged) {
  if (!bounded) {
    uint32_t least = kPosInfKey, most = kNoKey;
#pragma unroll
    for (int32_t i = 0; i < kKeys; ++i) {
      least = keys[i] >= c.lowest ? min(least, keys[i]) : least;
      most = max(most, keys[i]);
    }
    b = {__reduce_min_sync(kAllLanes, least), __reduce_max_sync(kAllLanes, most) + 1, 0, 0};
  }
  b.from_low = count_from(keys, b.low);
  const int32_t count = min(c.k, b.from_low);
  if (count == 0) return {{}, -1};
  const Threshold threshold = exact_threshold<true>(keys, count, c.wants_cut, b);
  const auto place = [](int32_t i) { return i * 32 + lane_id(); };
  return {threshold, stage(keys, threshold, place, staged)};
}

template <int kKeys>
__device__ Selection select(const DenseCall& c, const uint32_t (&keys)[kKeys], int32_t n,
                            WarpShared& shared, uint16_t* staged) {
  // Up to 16 keys a lane counting them all is as quick as keeping few.
  constexpr bool keeps_few = kKeys > 16;
  Bracket b;
  const bool bounded = kKeys > 2 && c.k < n && c.k <= (keeps_few ? kFew : kFewest) &&
                       bound_by_groups(keys, c.k, c.lowest, b);
  if constexpr (keeps_few) {
    if (bounded) {
      b.from_low = keep(keys, b.low, shared);
      if (b.from_low <= 64) return select_kept<2>(c, shared, b, staged);
      if (b.from_low <= kKept) return select_kept<kKeptOfLane>(c, shared, b, staged);
    }
  }
  return select_all(c, keys, bounded, b, staged);
}

template <class Element, int kKeys>
__device__ void warp_row(const DenseCall& c, int64_t row_number, WarpShared& shared,
                         uint16_t* staged) {
  const DenseRow row = dense_row(c, row_number);
  const Element element(c.dtype);
  const char* const own = row.first + lane_id() * (16 / Element::kCount);
  uint32_t keys[kKeys];
#pragma unroll
  for (int32_t i = 0; i < kKeys; ++i) {
    const float x = lane_id() < row.n - i * 32 ? element.at(own, i * 32) : -__builtin_nanf("");
    keys[i] = key_of_number(x);
    if (c.lowest <= kNegInfKey && x != x) keys[i] = kNoKey;
  }
  const auto [threshold, cut] = select(c, keys, row.n, shared, staged);
  __syncwarp();
  write_staged(c, row_number, 0, staged, 0, threshold.count, lane_id(), 32);
  end_row(c, row_number, threshold.count, lane_id(), 32);
  if (c.wants_cut && cut >= 0) write_cut(c.full, row_number, cut);
  __syncwarp();
}

// As many warps as registers allow: they hide each other's loads and ballots.
constexpr int32_t blocks_for(int32_t keys) { return keys > 32 ? 4 : keys > 16 ? 5 : 8; }

template <class Element, int kKeys>
__global__ void __launch_bounds__(kWarps * 32, blocks_for(kKeys))
    warp(const __grid_constant__ DenseCall c) {
  __shared__ WarpShared shared[kWarps];
  extern __shared__ uint16_t all_staged[];
  let_next_start();
  wait_for_previous();
  uint16_t* const staged = all_staged + warp_id() * min(c.k, c.length);
  for (int64_t i = int64_t{blockIdx.x} * kWarps + warp_id(); i < c.row_count;
       i += int64_t{gridDim.x} * kWarps) {
    warp_row<Element, kKeys>(c, i, shared[warp_id()], staged);
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
  if (length <= 64) return launch_as<Element, 2>(c, run);
  if (length <= 128) return launch_as<Element, 4>(c, run);
  if (length <= 256) return launch_as<Element, 8>(c, run);
  if (length <= 512) return launch_as<Element, 16>(c, run);
  if (length <= 1024) return launch_as<Element, 32>(c, run);
  return launch_as<Element, 64>(c, run);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  return c.p.scores.dtype == DSA_F32 ? launch_of<Float32>(c, run) : launch_of<Float16>(c, run);
}

template <class Element>
cudaError_t load_of() {
  return load_functions(0, warp<Element, 2>, warp<Element, 4>, warp<Element, 8>, warp<Element, 16>,
                        warp<Element, 32>, warp<Element, 64>);
}

cudaError_t load() {
  const cudaError_t error = load_of<Float32>();
  return error == cudaSuccess ? load_of<Float16>() : error;
}

}  // namespace

constinit const Form kWarp = {80, refuse, no_workspace, launch, load};

}  // namespace dsa::cuda::topk

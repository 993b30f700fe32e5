// cuda.topk.split: few long dense rows, each by several blocks. One kernel lists what passes the
// gate in each part, which all blocks of a row find alike; the next selects among the lists. Where
// there are clusters, kCluster does the same in one kernel and nearly twice as fast.
#include "cuda/ptx.cuh"
#include "cuda/topk/gated_row.cuh"
#include "cuda/topk/split.h"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kThreads = 512;
constexpr int32_t kBlocks = 2;  // of a multiprocessor

struct PartHead {
  ListHead list;
  Gate gate;
};
static_assert(sizeof(PartHead) + sizeof(Entry) * kListCapacity <= kPartBytes);

__device__ char* part_of(char* workspace, int64_t row, int32_t parts, int32_t part) {
  return workspace + (row * parts + part) * kPartBytes;
}
__device__ Entry* entries_of(char* part) { return reinterpret_cast<Entry*>(part + 256); }

template <class Element>
__global__ void __launch_bounds__(kThreads, kBlocks)
    list_parts(const __grid_constant__ DenseCall c, char* workspace, int32_t parts) {
  extern __shared__ __align__(16) char memory[];
  GatedShared& shared = *reinterpret_cast<GatedShared*>(memory);
  let_next_start();
  clear_gated<kThreads>(shared);
  wait_for_previous();
  const int32_t i = static_cast<int32_t>(blockIdx.x) / parts;
  const int32_t part = static_cast<int32_t>(blockIdx.x) % parts;
  const DenseRow row = dense_row(c, i);
  const Slice<Element> whole(row.first, row.n);
  if (is_short(whole)) return;
  const Slice<Element> slice(whole, part, (whole.end + parts - 1) / parts);
  const Gate gate = fill_keys<kThreads>(c, whole, slice, shared);
  char* const to = part_of(workspace, i, parts, part);
  if (threadIdx.x == 0) {
    *reinterpret_cast<PartHead*>(to) = {shared.head, gate};
  }
  const int32_t size = min(shared.head.size, kListCapacity);
  for (int32_t j = threadIdx.x; j < size; j += kThreads) entries_of(to)[j] = shared.list[j];
}

template <class Element>
__global__ void __launch_bounds__(kThreads, kBlocks)
    select_parts(const __grid_constant__ DenseCall c, char* workspace, int32_t parts) {
  extern __shared__ __align__(16) char memory[];
  GatedShared& shared = *reinterpret_cast<GatedShared*>(memory);
  let_next_start();
  clear_gated<kThreads>(shared);
  wait_for_previous();
  const int64_t i = blockIdx.x;
  DenseRow row = longest_row(c, i);
  uint16_t* const staged = reinterpret_cast<uint16_t*>(shared.list);
  if (short_row<kThreads, Element>(c, i, row, staged, shared.block)) return;
  // Every warp finds all offsets: lane p those of part p.
  PartHead head = {};
  if (lane_id() < parts) {
    head = *reinterpret_cast<const PartHead*>(part_of(workspace, i, parts, lane_id()));
  }
  const int32_t end = warp_inclusive_sum(head.list.size);
  const int32_t size = __shfl_sync(kAllLanes, end, 31);
  const ListHead all = {size, __reduce_add_sync(kAllLanes, head.list.equal),
                        __reduce_max_sync(kAllLanes, head.list.top)};
  const Gate gate = {__shfl_sync(kAllLanes, head.gate.score, 0), true};
  if (size <= kListCapacity) {
    for (int32_t part = warp_id(); part < parts; part += kThreads / 32) {
      const int32_t from = __shfl_sync(kAllLanes, end - head.list.size, part);
      const int32_t n = __shfl_sync(kAllLanes, head.list.size, part);
      const Entry* const entries = entries_of(part_of(workspace, i, parts, part));
#pragma unroll 4
      for (int32_t j = lane_id(); j < n; j += 32) shared.list[from + j] = entries[j];
    }
  }
  __syncthreads();
  const Slice<Element> slice(row.first, row.n);
  select_listed<kThreads, Element>(c, i, row, slice.shift, gate, all, shared);
}

const char* refuse(const TopkCall& c) {
  if (c.row_count > kSplitRows) return "rows enough for a block each";
  if (c.p.rows.max_length() <= kLongestUndivided) return "rows that one block selects as fast";
  return refuse_but_dense(c, kLargestGatedK);
}

template <class Element>
cudaError_t launch_of(const TopkCall& c, const Run& run) {
  const int32_t parts = static_cast<int32_t>(parts_of_row(c));
  const DenseCall dense = make_dense(c);
  LaunchShape shape = {.grid = static_cast<uint32_t>(c.row_count * parts),
                       .block = kThreads,
                       .shared_bytes = static_cast<int32_t>(sizeof(GatedShared)),
                       .overlap_previous = run.device->compute_capability >= 90};
  const cudaError_t error =
      launch_function(list_parts<Element>, shape, stream_of(run), dense, run.workspace, parts);
  if (error != cudaSuccess) return error;
  shape.grid = static_cast<uint32_t>(c.row_count);
  shape.shared_bytes = static_cast<int32_t>(gated_shared_bytes(c.p.rows.max_length()));
  return launch_function(select_parts<Element>, shape, stream_of(run), dense, run.workspace, parts);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  if (gated_shared_bytes(c.p.rows.max_length()) > run.device->shared_bytes) {
    return kBlock.launch(c, run);  // a million scores a row
  }
  return c.p.scores.dtype == DSA_F32 ? launch_of<Float32>(c, run) : launch_of<Float16>(c, run);
}

cudaError_t load() {
  int32_t most;
  const cudaError_t error = most_shared_bytes(most);
  if (error != cudaSuccess) return error;
  const cudaError_t loaded = load_functions(most, list_parts<Float32>, list_parts<Float16>,
                                            select_parts<Float32>, select_parts<Float16>);
  return loaded == cudaSuccess ? kBlock.load() : loaded;
}

}  // namespace

constinit const Form kSplit = {80, refuse, split_workspace, launch, load};

}  // namespace dsa::cuda::topk

// cuda.topk.gated: a block a dense row, for rows enough to fill the machine. Memory decides: a row
// is read once.
#include <algorithm>

#include "cuda/ptx.cuh"
#include "cuda/topk/gated_row.cuh"
#include "cuda/topk/split.h"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kThreads = 512;
constexpr int32_t kBlocks = 2;  // of a multiprocessor

// Where lengths stand in memory short rows have a kernel of their own before, with more and smaller
// blocks: 1024 rows of 4K take 15 us and not 24.
constexpr int32_t kShortThreads = 256;
constexpr int32_t kShortBlocks = 4;

struct ShortShared {
  BlockShared block;
  alignas(16) uint32_t spare[kBins];
  uint16_t staged[kLargestGatedK];
};

template <class Element>
__global__ void __launch_bounds__(kShortThreads, kShortBlocks)
    short_rows(const __grid_constant__ DenseCall c) {
  __shared__ ShortShared shared;
  let_next_start();
  clear_bins<kShortThreads>(shared.block.bins);
  clear_bins<kShortThreads>(shared.spare);
  __syncthreads();
  wait_for_previous();
  const int64_t i = blockIdx.x;
  const DenseRow row = dense_row(c, i);
  const Slice<Element> slice(row.first, row.n);
  if (!is_short(slice)) return;
  RegisterKeys<Element, kShortThreads, kShortPlaces / kShortThreads / Element::kCount> own(c,
                                                                                           slice);
  register_row(c, i, row.n, slice.shift, own, shared.staged, shared.spare, shared.block);
}

template <class Element>
__global__ void __launch_bounds__(kThreads, kBlocks) gated(const __grid_constant__ DenseCall c) {
  extern __shared__ __align__(16) char memory[];
  let_next_start();
  GatedShared& shared = *reinterpret_cast<GatedShared*>(memory);
  const int64_t i = blockIdx.x;
  const bool reads = reads_length(c);  // many rows may be short: they end at once
  if (!reads) clear_gated<kThreads>(shared);
  wait_for_previous();
  DenseRow row = dense_row(c, i);
  const Slice<Element> slice(row.first, row.n);
  if (reads) {
    if (is_short(slice)) return;  // short_rows
    clear_gated<kThreads>(shared);
  } else if (is_short(slice)) {
    uint16_t* const staged = reinterpret_cast<uint16_t*>(shared.list);
    select_short_apart<kThreads, Element>(c, i, row, staged, shared.block);
    return;
  }
  const Gate gate = fill_keys<kThreads>(c, slice, slice, shared);
  const ListHead head = shared.head;
  select_listed<kThreads, Element>(c, i, row, slice.shift, gate, head, shared);
}

const char* refuse(const TopkCall& c) {
  if (c.row_count > INT32_MAX) return "rows above 2^31 - 1";
  return refuse_but_dense(c, kLargestGatedK);
}

template <class Element>
cudaError_t launch_of(const TopkCall& c, int32_t shared_bytes, const Run& run) {
  const DenseCall dense = make_dense(c);
  LaunchShape shape = {.grid = static_cast<uint32_t>(c.row_count),
                       .block = kShortThreads,
                       .overlap_previous = run.device->compute_capability >= 90};
  if (reads_length(dense)) {
    const cudaError_t error = launch_function(short_rows<Element>, shape, stream_of(run), dense);
    if (error != cudaSuccess) return error;
  }
  shape.block = kThreads;
  shape.shared_bytes = shared_bytes;
  return launch_function(gated<Element>, shape, stream_of(run), dense);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  const int64_t bytes = gated_shared_bytes(c.p.rows.max_length());
  if (bytes > run.device->shared_bytes) return kBlock.launch(c, run);  // a million scores a row
  const auto launch_as = c.p.scores.dtype == DSA_F32 ? launch_of<Float32> : launch_of<Float16>;
  return launch_as(c, static_cast<int32_t>(bytes), run);
}

cudaError_t load() {
  int32_t most;
  cudaError_t error = most_shared_bytes(most);
  if (error == cudaSuccess) error = load_functions(most, gated<Float32>, gated<Float16>);
  if (error == cudaSuccess) error = load_functions(0, short_rows<Float32>, short_rows<Float16>);
  return error == cudaSuccess ? kBlock.load() : error;
}

}  // namespace

// As much workspace as kSplit has for fewer rows: it never shrinks.
constinit const Form kGated = {80, refuse, split_workspace, launch, load};

}  // namespace dsa::cuda::topk

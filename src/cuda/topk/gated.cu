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

template <class Element>
__global__ void __launch_bounds__(kThreads, kBlocks) gated(const __grid_constant__ DenseCall c) {
  extern __shared__ __align__(16) char memory[];
  let_next_start();
  wait_for_previous();
  GatedShared& shared = *reinterpret_cast<GatedShared*>(memory);
  for (int64_t i = blockIdx.x; i < c.row_count; i += gridDim.x) {
    const DenseRow row = dense_row(c, i);
    if (row.n <= kShortRow) {
      short_row<kThreads, Element>(c, i, row, memory);
    } else {
      const Slice<Element> slice(row.first, row.n);
      const Gate gate = fill_keys<kThreads>(c, slice, slice, shared);
      const ListHead head = shared.head;
      select_listed<kThreads, Element>(c, i, row, slice.shift, gate, head, shared);
    }
    __syncthreads();
  }
}

const char* refuse(const TopkCall& c) { return refuse_but_dense(c, kLargestGatedK); }

cudaError_t launch(const TopkCall& c, const Run& run) {
  const int64_t bytes = gated_shared_bytes(c.p.rows.max_length());
  if (bytes > run.device->shared_bytes) return kBlock.launch(c, run);  // a million scores a row
  const LaunchShape shape = {
      .grid = static_cast<uint32_t>(std::min<int64_t>(c.row_count, INT32_MAX)),
      .block = kThreads,
      .shared_bytes = static_cast<int32_t>(bytes),
      .overlap_previous = run.device->compute_capability >= 90};
  const auto kernel = c.p.scores.dtype == DSA_F32 ? gated<Float32> : gated<Float16>;
  return launch_function(kernel, shape, stream_of(run), make_dense(c));
}

cudaError_t load() {
  int32_t most;
  const cudaError_t error = most_shared_bytes(most);
  if (error != cudaSuccess) return error;
  const cudaError_t loaded = load_functions(most, gated<Float32>, gated<Float16>);
  return loaded == cudaSuccess ? kBlock.load() : loaded;
}

}  // namespace

// As much workspace as kSplit has for fewer rows: it never shrinks.
constinit const Form kGated = {80, refuse, split_workspace, launch, load};

}  // namespace dsa::cuda::topk

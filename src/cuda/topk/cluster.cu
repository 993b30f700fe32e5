// cuda.topk.cluster: a cluster of blocks a dense row, for few rows. Time is barriers and latency:
// the blocks meet once, when all have their lists.
#include "cuda/topk/gated_row.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kThreads = 512;
constexpr int32_t kBlocks = 2;  // of a multiprocessor: 16 clusters of 8 are there at once
constexpr int64_t kMostRows = 66;

int32_t ranks_for(const TopkCall& c) {
  if (c.p.rows.max_length() <= kShortRow) return 1;
  return c.row_count <= 16 ? 8 : c.row_count <= 33 ? 4 : 2;
}

template <class Element>
__global__ void __launch_bounds__(kThreads, kBlocks) cluster(const __grid_constant__ DenseCall c) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ __align__(16) char memory[];
  let_next_start();
  wait_for_previous();
  const int32_t ranks = cluster_size();
  const GatedMemory m = lay_out(memory, c.length, ranks);
  const int64_t i = static_cast<int32_t>(blockIdx.x) / ranks;
  const DenseRow row = dense_row(c, i);
  if (row.n > kShortRow) {
    gated_row<kThreads, Element>(c, i, row, ranks, m);
  } else if (cluster_rank() == 0) {
    short_row<kThreads, Element>(c, i, row, memory);
  }
#endif
}

const char* refuse(const TopkCall& c) {
  if (c.row_count > kMostRows) return "rows enough for a block each";
  return refuse_but_dense(c, kLargestGatedK);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  const int32_t ranks = ranks_for(c);
  const int64_t bytes = gated_shared_bytes(c.p.rows.max_length(), ranks);
  if (bytes > run.device->shared_bytes) return kBlock.launch(c, run);  // a million scores a block
  const LaunchShape shape = {.grid = static_cast<uint32_t>(c.row_count * ranks),
                             .block = kThreads,
                             .shared_bytes = static_cast<int32_t>(bytes),
                             .cluster = ranks,
                             .overlap_previous = true};
  const auto kernel = c.p.scores.dtype == DSA_F32 ? cluster<Float32> : cluster<Float16>;
  return launch_function(kernel, shape, stream_of(run), make_dense(c));
}

cudaError_t load() {
  int32_t most;
  const cudaError_t error = most_shared_bytes(most);
  if (error != cudaSuccess) return error;
  const cudaError_t loaded = load_functions(most, cluster<Float32>, cluster<Float16>);
  return loaded == cudaSuccess ? kBlock.load() : loaded;
}

}  // namespace

constinit const Form kCluster = {90, refuse, no_workspace, launch, load};

}  // namespace dsa::cuda::topk

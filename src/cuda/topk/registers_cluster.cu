// cuda.topk.registers.sm90: a cluster of blocks a dense row, kept in their registers, for few rows.
// The blocks add up each other's histograms.
#include <algorithm>

#include "cuda/topk/register_row.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kLongestSlice = 32768;
constexpr int64_t kAlone = 8192;  // one block does as well, if not for the 8 places before a row
constexpr int64_t kMostRows = 66;

// Blocks a row: as many as there are multiprocessors for.
int32_t ranks_for(const TopkCall& c) { return c.row_count <= 16 ? 8 : c.row_count <= 33 ? 4 : 2; }

// Places of the longest slice, wherever the row begins in a slab of eight.
int64_t longest_slice(const TopkCall& c) {
  const int32_t ranks = ranks_for(c);
  const int64_t slabs = (most_places(c) + 7) / 8;
  return (slabs + ranks - 1) / ranks * 8;
}

template <class Element, int kThreads, int kSlabs>
__global__ void __launch_bounds__(kThreads) registers_cluster(const __grid_constant__ DenseCall c) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ __align__(16) char memory[];
  RegisterShared& shared = *reinterpret_cast<RegisterShared*>(memory);
  let_next_start();
  clear_bins<kThreads>(shared.block.bins);
  clear_bins<kThreads>(shared.second);
  __syncthreads();
  wait_for_previous();
  int32_t ranks = cluster_size();
  const int64_t row_number = static_cast<int32_t>(blockIdx.x) / ranks;
  const DenseRow row = dense_row(c, row_number);
  if (row.n <= kAlone - 8) {
    if (cluster_rank() > 0) return;
    ranks = 1;
  }
  register_row<Element, kThreads, kSlabs>(c, row_number, row, ranks, shared);
#endif
}

const char* refuse(const TopkCall& c) {
  if (c.row_count > kMostRows) return "rows enough for a block each";
  if (c.p.rows.max_length() <= kAlone) return "rows that a block does as well";
  if (c.p.rows.max_length() / ranks_for(c) > kLongestSlice) {
    return "rows that do not fit into a cluster's registers";
  }
  return refuse_but_dense(c, INT32_MAX);
}

template <class Element, int kThreads, int kSlabs>
cudaError_t launch_as(const TopkCall& c, const Run& run) {
  const int32_t ranks = ranks_for(c);
  const int64_t slice = std::max<int64_t>(longest_slice(c), kAlone);
  const LaunchShape shape = {
      .grid = static_cast<uint32_t>(c.row_count * ranks),
      .block = kThreads,
      .shared_bytes = register_shared_bytes(std::min<int64_t>(c.p.select.k, slice)),
      .cluster = ranks,
      .overlap_previous = true};
  return launch_function(registers_cluster<Element, kThreads, kSlabs>, shape, stream_of(run),
                         make_dense(c));
}

template <class Element>
cudaError_t launch_of(const TopkCall& c, const Run& run) {
  constexpr int32_t kOf16 = 16 / Element::kCount;
  const int64_t slice = longest_slice(c);
  if (slice > kLongestSlice) return kBlock.launch(c, run);  // the longest, and not aligned
  if (slice <= 8192) return launch_as<Element, 512, kOf16>(c, run);
  if (slice <= 16384) return launch_as<Element, 1024, kOf16>(c, run);
  return launch_as<Element, 1024, 2 * kOf16>(c, run);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  return c.p.scores.dtype == DSA_F32 ? launch_of<Float32>(c, run) : launch_of<Float16>(c, run);
}

template <class Element>
cudaError_t load_of() {
  constexpr int32_t kOf16 = 16 / Element::kCount;
  return load_functions(
      register_shared_bytes(kLongestSlice), registers_cluster<Element, 512, kOf16>,
      registers_cluster<Element, 1024, kOf16>, registers_cluster<Element, 1024, 2 * kOf16>);
}

cudaError_t load() {
  cudaError_t error = load_of<Float32>();
  if (error == cudaSuccess) error = load_of<Float16>();
  return error == cudaSuccess ? kBlock.load() : error;
}

}  // namespace

constinit const Form kRegistersCluster = {90, refuse, no_workspace, launch, load};

}  // namespace dsa::cuda::topk

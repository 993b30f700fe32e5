// cuda.topk.registers: a block a dense row, kept in its registers.
#include <algorithm>

#include "cuda/ptx.cuh"
#include "cuda/topk/register_row.cuh"
#include "cuda/topk/split.h"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kLongestRow = 32768;
constexpr int32_t kLongestWarpRow = 2048;
constexpr int64_t kFewRows = 512;  // a block each is done sooner than a warp each

template <class Element, int kThreads, int kSlabs>
__global__ void __launch_bounds__(kThreads) registers(const __grid_constant__ DenseCall c) {
  extern __shared__ __align__(16) char memory[];
  RegisterShared& shared = *reinterpret_cast<RegisterShared*>(memory);
  let_next_start();
  clear_bins<kThreads>(shared.block.bins);
  clear_bins<kThreads>(shared.second);
  __syncthreads();
  wait_for_previous();
  register_row<Element, kThreads, kSlabs>(c, blockIdx.x, dense_row(c, blockIdx.x), shared);
}

const char* refuse(const TopkCall& c) {
  const int64_t length = c.p.rows.max_length();
  if (length <= 256 || (length <= kLongestWarpRow && c.row_count > kFewRows)) {
    return "short rows, which take a warp each";
  }
  if (c.p.rows.max_length() > kLongestRow) return "rows that do not fit into a block's registers";
  if (c.row_count > INT32_MAX) return "rows above 2^31 - 1";
  return refuse_but_dense(c, INT32_MAX);
}

template <class Element, int kThreads, int kSlabs>
cudaError_t launch_as(const TopkCall& c, const Run& run) {
  const int64_t selected = std::min<int64_t>(c.p.select.k, c.p.rows.max_length());
  const LaunchShape shape = {.grid = static_cast<uint32_t>(c.row_count),
                             .block = kThreads,
                             .shared_bytes = register_shared_bytes(selected),
                             .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(registers<Element, kThreads, kSlabs>, shape, stream_of(run),
                         make_dense(c));
}

// 16 keys a thread, or 32 of 1024 threads: fewer threads than that need fewer instructions, more
// hide more of their latency.
template <class Element>
cudaError_t launch_of(const TopkCall& c, const Run& run) {
  constexpr int32_t kOf16 = 16 / Element::kCount;
  const int64_t places = most_places(c);
  if (places > kLongestRow) return kBlock.launch(c, run);  // 32K, and not aligned
  if (places <= 4096) return launch_as<Element, 256, kOf16>(c, run);
  if (places <= 8192) return launch_as<Element, 512, kOf16>(c, run);
  if (places <= 16384) return launch_as<Element, 512, 2 * kOf16>(c, run);
  return launch_as<Element, 1024, 2 * kOf16>(c, run);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  return c.p.scores.dtype == DSA_F32 ? launch_of<Float32>(c, run) : launch_of<Float16>(c, run);
}

template <class Element>
cudaError_t load_of() {
  constexpr int32_t kOf16 = 16 / Element::kCount;
  return load_functions(register_shared_bytes(kLongestRow), registers<Element, 256, kOf16>,
                        registers<Element, 512, kOf16>, registers<Element, 512, 2 * kOf16>,
                        registers<Element, 1024, 2 * kOf16>);
}

cudaError_t load() {
  cudaError_t error = load_of<Float32>();
  if (error == cudaSuccess) error = load_of<Float16>();
  return error == cudaSuccess ? kBlock.load() : error;
}

}  // namespace

// As much workspace as kSplit has for fewer rows: it never shrinks.
constinit const Form kRegisters = {80, refuse, split_workspace, launch, load};

}  // namespace dsa::cuda::topk

// cuda.topk.registers: a block a dense row, kept in its registers.
#include <algorithm>

#include "cuda/ptx.cuh"
#include "cuda/topk/gated_row.cuh"
#include "cuda/topk/register_row.cuh"
#include "cuda/topk/split.h"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kLongestRow = 32768;
constexpr int32_t kShortRow = 512, kLongestWarpRow = 2048;
constexpr int64_t kFewRows = 512;  // above kShortRow a block each is done sooner than a warp each
// Of more rows than the machine runs at a time those above 16K go by a gate: 256 x 32K take 20 us
// against 21.
constexpr int64_t kFewLongRows = 132;
constexpr int64_t kLongestOfMany = 16384;

struct Shared {
  BlockShared block;
  alignas(16) uint32_t spare[kBins];
};

// Dynamic shared memory: then what is selected, as 16-bit places.
constexpr int32_t shared_bytes_of(int64_t selected) {
  return static_cast<int32_t>(sizeof(Shared) + selected * sizeof(uint16_t));
}

// `kBlocks` at least of a multiprocessor.
template <class Element, int kThreads, int kSlabs, int kBlocks>
__global__ void __launch_bounds__(kThreads, kBlocks)
    registers(const __grid_constant__ DenseCall c) {
  extern __shared__ __align__(16) char memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  let_next_start();
  clear_bins<kThreads>(shared.block.bins);
  clear_bins<kThreads>(shared.spare);
  const bool known = has_known_rows(c);
  if (!known) wait_for_previous();
  const DenseRow row = dense_row(c, blockIdx.x);
  const Slice<Element> slice(row.first, row.n);
  __syncthreads();
  if (known) wait_for_previous();
  RegisterKeys<Element, kThreads, kSlabs> own(c, slice);
  register_row(c, blockIdx.x, row.n, slice.shift, own, reinterpret_cast<uint16_t*>(&shared + 1),
               shared.spare, shared.block);
}

// Causal rows may be much shorter than the longest: that of the one in the middle.
int64_t usual_length(const TopkCall& c) {
  if (c.p.rows.by != VisibleBy::kCausal || !c.p.rows.on_host()) return c.p.rows.max_length();
  const RowSpan span = c.p.rows.span(c.first_row + c.row_count / 2);
  return span.end - span.begin;
}

const char* refuse(const TopkCall& c) {
  const int64_t length = c.p.rows.max_length();
  if (length <= kShortRow || (length <= kLongestWarpRow && c.row_count > kFewRows)) {
    return "short rows, which take some lanes of a warp each";
  }
  if (c.row_count > kFewLongRows && usual_length(c) > kLongestOfMany &&
      c.p.select.k <= kLargestGatedK) {
    return "many rows of a length that is read once sooner";
  }
  if (length > kLongestRow) return "rows that do not fit into a block's registers";
  if (c.row_count > INT32_MAX) return "rows above 2^31 - 1";
  return refuse_but_dense(c, INT32_MAX);
}

template <class Element, int kThreads, int kSlabs, int kBlocks>
cudaError_t launch_as(const TopkCall& c, const Run& run) {
  const int64_t selected = std::min<int64_t>(c.p.select.k, c.p.rows.max_length());
  const LaunchShape shape = {.grid = static_cast<uint32_t>(c.row_count),
                             .block = kThreads,
                             .shared_bytes = shared_bytes_of(selected),
                             .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(registers<Element, kThreads, kSlabs, kBlocks>, shape, stream_of(run),
                         make_dense(c));
}

// Slabs of 4 scores, or one, which may hold more.
template <class Element>
constexpr int32_t kOf4 = std::max(4 / Element::kCount, 1);

// 16 keys a thread, or 32 of 1024 threads: fewer threads than that need fewer instructions, more
// hide more of their latency. Of few rows each has as many registers as it likes, of many there are
// several at a time.
template <class Element>
cudaError_t launch_of(const TopkCall& c, const Run& run) {
  constexpr int32_t kOf16 = 16 / Element::kCount;
  const int64_t places = most_places(c);
  const bool few = c.row_count <= run.device->multiprocessors;
  if (places > kLongestRow) return kBlock.launch(c, run);  // 32K, and not aligned
  if (places <= 4096) {
    // Half the threads pay where a block has a multiprocessor to itself: 128 x 1024 take 2.7 us
    // against 2.85, 256 x 1024 3.3 against 3.0.
    if (few && places <= 1024) return launch_as<Element, 256, kOf4<Element>, 2>(c, run);
    if (few && places <= 2048) return launch_as<Element, 512, kOf4<Element>, 1>(c, run);
    if (c.row_count <= 2 * run.device->multiprocessors) {
      if (places <= 2048) return launch_as<Element, 512, kOf4<Element>, 2>(c, run);
      return launch_as<Element, 512, kOf16 / 2, 2>(c, run);
    }
    return launch_as<Element, 256, kOf16, 4>(c, run);
  }
  if (places <= 8192) {
    if (few) return launch_as<Element, 512, kOf16, 1>(c, run);
    return launch_as<Element, 512, kOf16, 2>(c, run);
  }
  if (places <= 16384) {
    if (few) return launch_as<Element, 1024, kOf16, 1>(c, run);
    return launch_as<Element, 512, 2 * kOf16, 2>(c, run);
  }
  return launch_as<Element, 1024, 2 * kOf16, 1>(c, run);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  return c.p.scores.dtype == DSA_F32 ? launch_of<Float32>(c, run) : launch_of<Float16>(c, run);
}

template <class Element>
cudaError_t load_of() {
  constexpr int32_t kOf16 = 16 / Element::kCount;
  return load_functions(shared_bytes_of(kLongestRow), registers<Element, 256, kOf4<Element>, 2>,
                        registers<Element, 512, kOf4<Element>, 1>,
                        registers<Element, 512, kOf4<Element>, 2>,
                        registers<Element, 512, kOf16 / 2, 2>, registers<Element, 256, kOf16, 4>,
                        registers<Element, 512, kOf16, 1>, registers<Element, 512, kOf16, 2>,
                        registers<Element, 1024, kOf16, 1>, registers<Element, 512, 2 * kOf16, 2>,
                        registers<Element, 1024, 2 * kOf16, 1>);
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

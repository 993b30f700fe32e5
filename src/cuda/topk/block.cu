// cuda.topk.block: a block a row, any call at all. What the faster forms refuse ends here.
#include <algorithm>

#include "cuda/topk/form.h"
#include "cuda/topk/stream_row.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kThreads = 512;
constexpr int64_t kSharedPairs = 4096;      // sorted in shared memory up to here
constexpr uint64_t kSortBytes = 16u << 20;  // of workspace, if that is enough for one row

// Pairs that a block may have to sort.
int64_t pairs_of(const TopkParams& p) {
  const bool sorts = p.select.order == DSA_ORDER_SCORE && !p.select.cut_only();
  return sorts ? round_up_to_power(std::min<int64_t>(p.select.k, p.rows.max_length())) : 0;
}

// 0 where the pairs fit into shared memory.
uint64_t workspace_of_block(const TopkParams& p) {
  const int64_t pairs = pairs_of(p);
  return pairs > kSharedPairs ? static_cast<uint64_t>(pairs) * sizeof(uint64_t) : 0;
}

int64_t most_blocks(const TopkCall& c, int32_t multiprocessors) {
  const int64_t blocks = std::min<int64_t>(c.row_count, int64_t{16} * multiprocessors);
  const uint64_t bytes = workspace_of_block(c.p);
  if (bytes == 0) return blocks;
  return std::min<int64_t>(blocks, std::max<int64_t>(1, static_cast<int64_t>(kSortBytes / bytes)));
}

const char* refuse(const TopkCall&) { return nullptr; }

uint64_t workspace(const TopkCall& c, int32_t multiprocessors) {
  return static_cast<uint64_t>(most_blocks(c, multiprocessors)) * workspace_of_block(c.p);
}

__global__ void __launch_bounds__(kThreads)
    block(const __grid_constant__ TopkCall c, char* memory, uint64_t bytes_of_block) {
  __shared__ BlockShared shared;
  extern __shared__ uint64_t shared_pairs[];
  uint64_t* pairs =
      memory ? reinterpret_cast<uint64_t*>(memory + blockIdx.x * bytes_of_block) : shared_pairs;
  for (int64_t i = blockIdx.x; i < c.row_count; i += gridDim.x) {
    const RowScores row(c.p, c.first_row + i);
    const RowOutput out(c.p, row);
    stream_row<kThreads>(row, out, c.p.select, pairs, shared);
    __syncthreads();
  }
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  const uint64_t bytes = workspace_of_block(c.p);
  const LaunchShape shape = {
      .grid = static_cast<uint32_t>(most_blocks(c, run.device->multiprocessors)),
      .block = kThreads,
      .shared_bytes = bytes > 0 ? 0 : static_cast<int32_t>(pairs_of(c.p) * sizeof(uint64_t))};
  return launch_function(block, shape, stream_of(run), c, bytes > 0 ? run.workspace : nullptr,
                         bytes);
}

cudaError_t load() {
  return load_function(block, static_cast<int32_t>(kSharedPairs * sizeof(uint64_t)));
}

}  // namespace

constinit const Form kBlock = {80, refuse, workspace, launch, load};

}  // namespace dsa::cuda::topk

// The query of a block's heads into shared memory.
#pragma once

#include "cuda/attention/wgmma/shared.cuh"

namespace dsa::cuda {

// By `threads` threads, 8 of them a row; heads past the block's are 0. Then wait_for_copies() and
// fence_async_proxy().
__device__ inline void fetch_query(const SparseAttnParams& p, const AttnTask& task, int32_t panels,
                                   uint32_t to, int32_t threads) {
  const int32_t first = static_cast<int32_t>(p.q[0].extent[1]) / 8;  // chunks of 8 columns
  const int32_t in_panel = threadIdx.x % 8;
  for (int32_t h = threadIdx.x / 8; h < kWgmmaHeads; h += threads / 8) {
    const bool inside = h < task.heads;
    const int64_t head = task.head + (inside ? h : 0);
    const char* const row = p.q[0].row(task.t) + head * p.q[0].stride[0] * 2 + in_panel * 16;
    const char* second = row;
    if (p.q[1].given()) {
      second = p.q[1].row(task.t) + head * p.q[1].stride[0] * 2 + (in_panel - first) * 16;
    }
    uint32_t at = to + sm90::panel_offset(h, in_panel);
    for (int32_t chunk = in_panel; chunk < panels * 8; chunk += 8) {
      const char* const piece = chunk < first ? row : second;
      copy_async_16(at, piece + (chunk - in_panel) * 16, inside ? 16 : 0);
      at += kQueryPanelBytes;
    }
  }
}

__device__ inline void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

}  // namespace dsa::cuda

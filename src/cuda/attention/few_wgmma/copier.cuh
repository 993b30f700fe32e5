// The warps that bring keys into the ring.
#pragma once

#include "cuda/attention/few_wgmma/shared.cuh"

namespace dsa::cuda {

// Warp `warp` of the copying ones: its rows of one half of each tile. 8 lanes a row, so that a step
// of theirs is one line of memory and one row of a panel. Rows that no key has are 0: their weight
// is, too, and a product of both must be.
template <class Shape>
__device__ __forceinline__ void few_copy(const FewArguments& arguments, FewShared<Shape>& shared,
                                         int32_t warp) {
  constexpr int32_t kHalfWarps = Shape::kCopyWarps / 2;
  constexpr int32_t kRows = 32 / kHalfWarps / 4;  // of a lane
  const int32_t lane = threadIdx.x % 32, half = warp / kHalfWarps, chunk = lane % 8;
  const int32_t panels = arguments.rows.key_steps / 4;
  const int32_t first_chunks = arguments.rows.scope[0].part[0].bytes / 16;
  int32_t row[kRows];  // of the half
  uint32_t to[kRows];
#pragma unroll
  for (int32_t i = 0; i < kRows; ++i) {
    row[i] = (warp % kHalfWarps * kRows + i) * 4 + lane / 8;
    to[i] = shared_address(shared.part) + sm90::panel_offset(half * 32 + row[i], chunk);
  }
  RingPlace<kLists> list(0);
  RingPlace<Shape::kRing> ring(1);
  int32_t ends = 0;
  for (FewTasks tasks(arguments.d); tasks.more();) {
    barrier_wait<32>(&shared.listed[list.at][half], list.parity);
    const int32_t keys = shared.keys[list.at][half];
    const char *first[kRows], *second[kRows];
    uint32_t valid[kRows];
#pragma unroll
    for (int32_t i = 0; i < kRows; ++i) {
      const ulonglong2 from = shared.from[list.at][half * 32 + row[i]];
      first[i] = reinterpret_cast<const char*>(from.x) + chunk * 16;
      second[i] = reinterpret_cast<const char*>(from.y) + chunk * 16;
      valid[i] = row[i] < keys ? 16 : 0;
    }
    barrier_arrive(&shared.taken[list.at][half]);
    list.advance();
    if (keys < 0) {  // an end for each consumer group, then parts for their output
      if (++ends < Shape::kGroups) continue;
      ends = 0;
      for (int32_t i = 0; i < Shape::kOutputParts; ++i) {
        barrier_wait<32>(&shared.empty[ring.at], ring.parity);
        barrier_arrive(&shared.full[ring.at]);
        ring.advance();
      }
      tasks.advance();
      continue;
    }
#pragma unroll
    for (int32_t part = 0; part < kParts; ++part) {
      barrier_wait<32>(&shared.empty[ring.at], ring.parity);
#pragma unroll
      for (int32_t i = 0; i < kPartPanels; ++i) {
        const int32_t panel = part * kPartPanels + i;
        const bool there = panel < panels;  // else zeros
        const bool in_first = panel * 8 + chunk < first_chunks;
#pragma unroll
        for (int32_t r = 0; r < kRows; ++r) {
          copy_async_16(to[r] + ring.at * kPartBytes + i * kFewPanelBytes,
                        (in_first ? first[r] : second[r]) + (there ? panel * 128 : 0),
                        there ? valid[r] : 0);
        }
      }
      barrier_arrive_after_copies(&shared.full[ring.at]);
      ring.advance();
    }
  }
}

}  // namespace dsa::cuda

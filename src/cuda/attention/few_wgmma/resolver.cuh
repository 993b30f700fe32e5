// The warps that find out what the others work on: where each tile's keys lie, and each task's
// query.
#pragma once

#include "cuda/attention/few_wgmma/shared.cuh"

namespace dsa::cuda {

// By one warp for each half of the tiles. A task's tiles, then an end for each consumer group.
template <class Walk, class Shape>
__device__ __forceinline__ void few_resolve(const FewArguments& arguments, FewShared<Shape>& shared,
                                            int32_t half) {
  const int32_t lane = threadIdx.x % 32;
  RingPlace<kLists> list(1);
  RingPlace<Shape::kRing> ring(0);
  const auto publish = [&](int32_t keys, ulonglong2 from) {
    barrier_wait<32>(&shared.taken[list.at][half], list.parity);
    shared.from[list.at][half * 32 + lane] = from;
    if (lane == 0) shared.keys[list.at][half] = keys;
    if (lane == 0 && half == 0) shared.place[list.at] = ring.number();
    barrier_arrive(&shared.listed[list.at][half]);
    list.advance();
  };
  for (FewTasks tasks(arguments.d); tasks.more(); tasks.advance()) {
    const AttnTask task = tasks.now();
    Walk walk(arguments.p, arguments.rows, arguments.linear, arguments.d.first_slots, task, half,
              2);
    bool has_ended = false;
    for (;;) {
      int32_t keys = walk.next();
      // A tile whose second half the walk does not reach has one of no keys.
      if (keys < 0 && half == 1 && !has_ended && walk.just_ended()) keys = 0, has_ended = true;
      if (keys < 0) break;
      const ScopeRow& row = walk.row();
      const int32_t last = row.parts - 1;
      ulonglong2 from;
      from.x = reinterpret_cast<uint64_t>(walk.address(0));
      from.y = reinterpret_cast<uint64_t>(walk.address(last)) - uint64_t(row.part[last].offset);
      publish(keys, from);
      ring.advance(kParts);
    }
    for (int32_t i = 0; i < Shape::kGroups; ++i) publish(-1, {});
    ring.advance(Shape::kOutputParts);
  }
}

// The heads' query into panels, 8 threads a row; heads past the block's are 0. `thread` of
// kQueryWarps.
template <class Shape>
__device__ __forceinline__ void few_fetch_query(const FewArguments& arguments,
                                                FewShared<Shape>& shared, int32_t thread) {
  const SparseAttnParams& p = arguments.p;
  const int32_t chunks = arguments.rows.key_steps * 2;
  const int32_t first = static_cast<int32_t>(p.q[0].extent[1]) / 8;
  const int32_t in_panel = thread % 8;
  int32_t parity = 1;
  for (FewTasks tasks(arguments.d); tasks.more(); tasks.advance(), parity ^= 1) {
    const AttnTask task = tasks.now();
    barrier_wait<32>(&shared.query_empty, parity);
#pragma unroll 1
    for (int32_t h = thread / 8; h < Shape::kMostHeads; h += kQueryWarps * 4) {
      const bool inside = h < task.heads;
      const int64_t head = task.head + (inside ? h : 0);
      const char* const row = p.q[0].row(task.t) + head * p.q[0].stride[0] * 2;
      const char* second = row;
      if (p.q[1].given()) {
        second = p.q[1].row(task.t) + head * p.q[1].stride[0] * 2 - first * 16;
      }
      uint32_t to = shared_address(shared.query) + sm90::panel_offset(h, in_panel);
      for (int32_t chunk = in_panel; chunk < kFewPanels * 8; chunk += 8) {
        const bool there = inside && chunk < chunks;
        const char* const from = there ? (chunk < first ? row : second) + chunk * 16 : row;
        copy_async_16(to, from, there ? 16 : 0);
        to += Shape::kQueryPanelBytes;
      }
    }
    barrier_arrive_after_copies(&shared.query_full);
  }
}

}  // namespace dsa::cuda

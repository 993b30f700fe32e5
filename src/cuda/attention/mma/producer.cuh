// The producer warps: each resolves the row's selection and brings its share of every tile's keys,
// a stage a tile.
#pragma once

#include "cuda/attention/mma/pipeline.cuh"
#include "cuda/attention/row_walk.cuh"

namespace dsa::cuda {

constexpr int32_t kMostStages = 8;

struct MmaCall : KeyRows {
  LinearKeys linear;
  int32_t pitch = 0;  // bytes from one key of a tile to the next: an odd multiple of 16
  int32_t stages = 0;
};

// In shared memory.
struct Stages {
  uint64_t full[kMostStages], empty[kMostStages];
  int32_t keys[kMostStages];          // of the tile; -1: the walk has ended
  int32_t value_offset[kMostStages];  // of V in its rows
};

// Keys that are missing in a tile have weight 0, and 0 times what lies there must be 0.
__device__ inline void clear_row(uint32_t row, int32_t bytes) {
  for (int32_t i = 0; i < bytes; i += 16) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(row + i), "r"(0) : "memory");
  }
  fence_async_proxy();
}

// The tile that the walk is at, of that many keys.
template <class Walk>
__device__ inline void fetch_tile(const Walk& walk, int32_t keys, uint32_t tile, int32_t pitch,
                                  uint64_t* full) {
  const int32_t lane = threadIdx.x % 32;
  const ScopeRow& row = walk.row();
#if __CUDA_ARCH__ >= 900
  if (lane >= keys) {  // arrives itself, for racecheck (TileReader::release)
    clear_row(tile + lane * pitch, pitch);
    barrier_arrive(full);
  }
  if (lane == 0) {
    barrier_arrive(full, keys);
    barrier_arrive_expecting(full, keys * row.bytes);
  }
  __syncwarp();
  if (lane < keys) {
    for (int32_t i = 0; i < row.parts; ++i) {
      const RowPart& part = row.part[i];
      copy_bulk(tile + lane * pitch + part.offset, walk.address(i), part.bytes, full);
    }
  }
#else
  if (lane >= keys) clear_row(tile + lane * pitch, pitch);
  __syncwarp();
  for (int32_t i = 0; i < row.parts; ++i) {
    const RowPart& part = row.part[i];
    const char* const own = walk.address(i);
    const int32_t units = part.bytes / 16;
    int32_t key = lane / units, unit = lane % units;
    for (int32_t first = 0; first < keys * units; first += 32) {
      const char* const from = address_of_lane(own, key & 31);
      if (key < keys) {
        copy_async_16(tile + key * pitch + part.offset + unit * 16, from + unit * 16);
      }
      for (unit += 32; unit >= units; unit -= units) ++key;
    }
  }
  barrier_arrive_after_copies(full);
  if (lane == 0) barrier_arrive(full);
#endif
}

template <class Walk>
__device__ inline void produce_tiles(const SparseAttnParams& p, const AttnDivision& d,
                                     const MmaCall& call, const AttnTask& task, Stages& stages,
                                     uint32_t tiles) {
  const int32_t lane = threadIdx.x % 32;
  // A producer may not be two phases of a stage ahead: a parity would say that both have ended.
  const int32_t producers = min(kProducerWarps, call.stages);
  const int32_t warp = threadIdx.x / 32 % kProducerWarps;
  if (warp >= producers) return;
  Walk walk(p, call, call.linear, d.first_slots, task, warp, producers);
  int32_t stage = warp;
  int32_t parity = 1;  // of the phase before the first, which has always ended
  for (int32_t keys = 0; keys >= 0;) {
    keys = walk.next();
    barrier_wait<100>(&stages.empty[stage], parity);
    if (lane == 0) {
      stages.keys[stage] = keys;
      stages.value_offset[stage] = walk.row().value_offset;
    }
    if (keys > 0) {
      fetch_tile(walk, keys, tiles + stage * kTileKeys * call.pitch, call.pitch,
                 &stages.full[stage]);
    } else {
#if __CUDA_ARCH__ >= 900
      if (lane == 0) barrier_arrive(&stages.full[stage], kFullArrivals);
#else
      barrier_arrive_after_copies(&stages.full[stage]);
      if (lane == 0) barrier_arrive(&stages.full[stage]);
#endif
    }
    stage += producers;
    if (stage >= call.stages) stage -= call.stages, parity ^= 1;
  }
}

__device__ inline void produce(const SparseAttnParams& p, const AttnDivision& d,
                               const MmaCall& call, const AttnTask& task, Stages& stages,
                               uint32_t tiles) {
  if (call.linear.data) {
    produce_tiles<LinearWalk>(p, d, call, task, stages, tiles);
  } else {
    produce_tiles<PlacedWalk>(p, d, call, task, stages, tiles);
  }
}

}  // namespace dsa::cuda

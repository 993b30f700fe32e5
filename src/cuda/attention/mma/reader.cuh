// The consumers' end of the stages: tiles that hold keys, in order.
#pragma once

#include "cuda/attention/mma/producer.cuh"

namespace dsa::cuda {

struct HeldTile {
  uint32_t address;  // in shared memory
  int32_t keys;
  int32_t value_offset;  // of V in a row
  int32_t stage;
};

class TileReader {
 public:
  __device__ TileReader(Stages& stages, const MmaCall& call, uint32_t tiles)
      : stages_(stages),
        call_(call),
        tiles_(tiles),
        count_(call.stages),
        tile_bytes_(kTileKeys * call.pitch) {}

  // Waits for the next tile; false: there are no more.
  __device__ bool take(HeldTile& tile) {
    for (;;) {
      barrier_wait(&stages_.full[stage_], parity_);
      tile.stage = stage_;
      tile.keys = stages_.keys[stage_];
      tile.address = tiles_ + stage_ * tile_bytes_;
      if (tile.keys < 0) return false;
      tile.value_offset = stages_.value_offset[stage_];
      if (++stage_ == count_) stage_ = 0, parity_ ^= 1;
      if (tile.keys > 0) return true;
      release(tile);
    }
  }

  // This lane has read all that it needs of the tile. Every lane says so: racecheck does not know
  // that __syncwarp() orders its reads before another lane's arrival, and it costs no time.
  __device__ void release(const HeldTile& tile) { barrier_arrive(&stages_.empty[tile.stage]); }

 private:
  Stages& stages_;
  const MmaCall& call_;
  const uint32_t tiles_;
  const int32_t count_, tile_bytes_;
  int32_t stage_ = 0, parity_ = 0;
};

}  // namespace dsa::cuda

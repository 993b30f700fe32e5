// Who scores what in the Hopper indexer's form for few rows, and where that lies.
#pragma once

#include "cuda/indexer/sm90_decode.h"
#include "cuda/indexer/sm90_tile.cuh"

namespace dsa::cuda::sm90 {

// Visible keys of row i of a unit.
__device__ __forceinline__ int32_t end_of(const DecodeParams& p, int32_t unit, int32_t i) {
  int64_t end = p.base;
  if (p.lengths) end += *reinterpret_cast<const int32_t*>(p.lengths + unit * p.length_stride);
  return static_cast<int32_t>(clamp64(end + i * p.step, 0, p.limit));
}
__device__ __forceinline__ int32_t tiles_of(int32_t end) {
  return (end + kBlockKeys - 1) / kBlockKeys;
}

// A block's tiles: of one unit, every `step`-th from `first` on.
struct DecodeShare {
  int32_t unit, first, step, end;  // end: of the unit's visible keys

  __device__ explicit DecodeShare(const DecodeParams& p)
      : unit(0), first(blockIdx.x), step(gridDim.x), end(0) {
    if (p.units == 1) {
      end = end_of(p, 0, p.rows - 1);
    } else {
      find_unit(p, threadIdx.x % 32);
    }
  }
  __device__ int32_t count() const {
    const int32_t left = tiles_of(end) - first;
    return left > 0 ? (left + step - 1) / step : 0;
  }

 private:
  // By a warp. As many tiles a block as let each unit have blocks of its own, one at least.
  __device__ void find_unit(const DecodeParams& p, int32_t lane) {
    const int32_t block = first;
    uint32_t all = 0;
    for (int32_t u = lane; u < p.units; u += 32) all += tiles_of(end_of(p, u, p.rows - 1));
    all = __reduce_add_sync(~0u, all);
    const uint32_t spare = max(step - p.units, 1);
    const uint32_t each = max((all + spare - 1) / spare, 1u);
    int32_t before = 0;  // blocks of units before these 32
    for (int32_t u = lane; u - lane < p.units; u += 32) {
      const int32_t own_end = u < p.units ? end_of(p, u, p.rows - 1) : 0;
      const int32_t own = u < p.units ? max((tiles_of(own_end) + each - 1) / each, 1u) : 0;
      int32_t upto = own;
#pragma unroll
      for (int32_t i = 1; i < 32; i *= 2) {
        const int32_t sum = __shfl_up_sync(~0u, upto, i);
        if (lane >= i) upto += sum;
      }
      upto += before;
      const uint32_t after = __ballot_sync(~0u, block < upto);
      if (after) {
        const int32_t owner = __ffs(after) - 1;
        unit = u - lane + owner;
        step = __shfl_sync(~0u, own, owner);
        first = block - (__shfl_sync(~0u, upto, owner) - step);
        end = __shfl_sync(~0u, own_end, owner);
        return;
      }
      before = __shfl_sync(~0u, upto, 31);
    }
  }
};

// Where a tile's keys lie on the cache's outer axis; -1: outside.
__device__ __forceinline__ int32_t outer_of(const DecodeParams& p, int32_t unit, int32_t tile) {
  if (!p.table) return p.keys_by_unit ? unit : 0;
  const int32_t page = min(p.page_tiles == 1 ? tile : tile / p.page_tiles, p.last_page);
  const int32_t entry = *reinterpret_cast<const int32_t*>(p.table + unit * p.table_stride +
                                                          page * p.table_page_stride);
  return entry < p.pages ? max(entry, -1) : -1;
}

}  // namespace dsa::cuda::sm90

// Walks over a task's slots, tile by tile, that say where in memory the keys' rows lie. Both are
// used by the lanes of one warp together, for every `step`-th tile from `first_tile` on.
#pragma once

#include <type_traits>

#include "cuda/attention/rows.h"
#include "cuda/attention/selection.cuh"

namespace dsa::cuda {

// Of any call.
class PlacedWalk {
 public:
  __device__ __forceinline__ PlacedWalk(const SparseAttnParams& p, const KeyRows& rows,
                                        const LinearKeys&, int64_t first_slots,
                                        const AttnTask& task, int32_t first_tile, int32_t step)
      : rows_(rows),
        head_(task.head),
        walk_(p, task.t, task.first, task.last, first_slots, first_tile, step) {}

  // Lane i < n (returned) has key i of the next tile; n may be 0. -1: no more tiles.
  __device__ __forceinline__ int32_t next() { return keys_ = walk_.next(place_, scope_); }
  // Of a walk that next() said has no more tiles: whether the one before that was the last of all.
  __device__ __forceinline__ bool just_ended() const { return walk_.just_ended(); }

  // Of the tile that next() gave.
  __device__ __forceinline__ const ScopeRow& row() const { return rows_.scope[scope_]; }
  // Where part i of the lane's key lies; a lane that has none gets an address too.
  __device__ __forceinline__ const char* address(int32_t i) const {
    const KeyTensor& tensor = row().part[i].tensor;
    const bool mine = static_cast<int32_t>(threadIdx.x % 32) < keys_;
    return mine ? tensor.at(place_, head_ / row().heads_of_kv) : tensor.data;
  }

 private:
  const KeyRows& rows_;
  const int32_t head_;
  TileWalk walk_;
  KeyPlace place_ = {};
  int32_t scope_ = 0, keys_ = 0;
};

// Of a linear call: the same, a tenth as long a way to the first key.
class LinearWalk {
 public:
  __device__ __forceinline__ LinearWalk(const SparseAttnParams& p, const KeyRows& rows,
                                        const LinearKeys& keys, int64_t, const AttnTask& task,
                                        int32_t first_tile, int32_t step)
      : row_(rows.scope[0]),
        keys_(keys),
        list_(p, task.t),
        first_(static_cast<int32_t>(task.first) + first_tile * kTileKeys),
        end_(static_cast<int32_t>(min(task.last, list_.size))),
        step_(step * kTileKeys),
        own_(keys.data) {
    fetch_number();
  }

  __device__ __forceinline__ int32_t next() {
    if (first_ >= end_) return -1;
    const int32_t lane = static_cast<int32_t>(threadIdx.x % 32);
    own_ = first_ + lane < end_ ? linear_row(keys_, number_) : nullptr;
    const uint32_t mask = __ballot_sync(~0u, own_ != nullptr);
    const int32_t n = __popc(mask);
    if (mask != ~0u) {
      own_ = address_of_lane(own_, bit_of_rank(mask, lane) % 32);
      if (lane >= n) own_ = keys_.data;
    }
    first_ += step_;
    fetch_number();
    return n;
  }
  __device__ __forceinline__ bool just_ended() const { return first_ - kTileKeys < end_; }

  __device__ __forceinline__ const ScopeRow& row() const { return row_; }
  __device__ __forceinline__ const char* address(int32_t) const { return own_; }

 private:
  // A tile ahead, since it comes from memory.
  __device__ __forceinline__ void fetch_number() {
    const int32_t slot = first_ + static_cast<int32_t>(threadIdx.x % 32);
    if (slot < end_) number_ = list_.number(slot);
  }

  const ScopeRow& row_;
  const LinearKeys& keys_;
  const LinearList list_;
  int32_t first_;
  const int32_t end_, step_;
  int32_t number_ = 0;
  const char* own_;
};

template <bool kLinear>
using RowWalk = std::conditional_t<kLinear, LinearWalk, PlacedWalk>;

}  // namespace dsa::cuda

// The resolver: from a row's selection to places in the cache. The only part of the attention that
// knows selection modes and blocks (cuts become lists before, in cut.cu); visibility, tables and
// pages are Rows' and KeyAxis'.
#pragma once

#include "core/params.h"

namespace dsa::cuda {

constexpr int32_t kTileKeys = 32;  // slots of one step of a softmax: one a lane

// A row's selection in one scope as numbered slots [0, size): a slot holds a key or nothing.
class RowSelection {
 public:
  RowSelection() = default;
  __device__ RowSelection(const AttnScope& scope, int64_t t) : span_(scope.rows.span(t)) {
    if (scope.selection == DSA_SELECTION_ALL) {
      size_ = span_.end - span_.begin;
      return;
    }
    const bool blocks = scope.index_block > 1;
    if (scope.index_base.given()) {
      base_ = static_cast<uint32_t>(*scope.index_base.row_as<const int32_t>(t));
      if (!blocks) base_ -= static_cast<uint32_t>(span_.begin);
    }
    int64_t entries = scope.k;
    if (scope.counts.given()) {
      entries = clamp64(*scope.counts.row_as<const int32_t>(t), 0, entries);
    }
    size_ = listed_ = entries * scope.index_block;
    list_ = scope.indices.row(t);
    step_ = scope.indices.stride[0] * 4;
    limit_ = span_.end;
    if (scope.block_tail && blocks) {
      limit_ = span_.begin + (span_.end - span_.begin) / scope.index_block * scope.index_block;
      size_ += span_.end - limit_;
    }
  }

  __device__ int64_t size() const { return size_; }

  // The list's entry of a slot below size(); anything where it has none.
  __device__ int32_t entry(const AttnScope& scope, int64_t slot) const {
    if (slot >= listed_) return 0;
    const int64_t i = scope.index_block == 1 ? slot : slot / scope.index_block;
    return *reinterpret_cast<const int32_t*>(list_ + i * step_);
  }

  // The key in a slot below size(), given its entry; false where there is none.
  __device__ bool find(const AttnScope& scope, int64_t t, int64_t slot, int32_t index,
                       KeyPlace& place) const {
    int64_t s;
    if (scope.selection == DSA_SELECTION_ALL) {
      s = span_.begin + slot;
    } else if (slot >= listed_) {
      s = limit_ + (slot - listed_);  // the tail
    } else {
      if (scope.selection == DSA_SELECTION_SLOTS) return scope.axis.place_slot(index, place);
      const int64_t block = scope.index_block;
      const int64_t number = static_cast<int32_t>(static_cast<uint32_t>(index) - base_);
      s = block == 1 ? number : span_.begin + number * block + slot % block;
      if (number < 0 || s < span_.begin || s >= limit_) return false;
    }
    return !scope.rows.hidden(t, span_, s) && scope.axis.place(span_.request, s, place);
  }

 private:
  RowSpan span_ = {};
  int64_t size_ = 0;
  int64_t listed_ = 0;  // slots of list entries; the tail's keys come after them
  int64_t limit_ = 0;   // keys that entries can stand for end here
  uint32_t base_ = 0;   // what an index holds beyond a position or block number
  const char* list_ = nullptr;
  int64_t step_ = 0;  // bytes
};

// Position of the set bit of rank `n` (from 0); 32 where there are not as many.
__device__ inline uint32_t bit_of_rank(uint32_t mask, int32_t n) {
  return min(__fns(mask, 0, n + 1), 32u);
}

__device__ __forceinline__ const char* address_of_lane(const char* own, int32_t lane) {
  return reinterpret_cast<const char*>(
      __shfl_sync(~0u, reinterpret_cast<unsigned long long>(own), lane));
}

// A range of one row's slots, both scopes after each other, in tiles of 32 slots; the keys of a
// tile that are there come first. Used by the lanes of one warp together, for every step-th tile.
class TileWalk {
 public:
  // Slots [first, last) of all; those of the second scope follow the first's `capacity`.
  __device__ TileWalk(const SparseAttnParams& p, int64_t t, int64_t first, int64_t last,
                      int64_t capacity, int32_t first_tile, int32_t step)
      : p_(p), t_(t), tile_(first_tile), step_(step) {
    if (p.scopes == 2 && last > capacity) {
      second_first_ = max(first - capacity, int64_t{0});
      second_end_ = min(last - capacity, RowSelection(p.scope[1], t).size());
    }
    selection_ = RowSelection(p.scope[0], t);
    first_ = min(first, capacity);
    end_ = min(min(last, capacity), selection_.size());
    tiles_of_first_ = tiles(first_, end_);
    tiles_ = tiles_of_first_ + tiles(second_first_, second_end_);
    fetch_entry();
  }

  // Lane i < n (returned) gets the place of key i of the next tile; n may be 0. -1: no more tiles.
  __device__ int32_t next(KeyPlace& mine, int32_t& scope) {
    scope = scope_;
    if (tile_ >= tiles_) return -1;
    const int32_t lane = static_cast<int32_t>(threadIdx.x % 32);
    KeyPlace place = {};
    const bool found = slot_ < end_ && selection_.find(p_.scope[scope_], t_, slot_, entry_, place);
    const uint32_t mask = __ballot_sync(~0u, found);
    const int32_t n = __popc(mask);
    mine = place;
    if ((mask & (mask + 1)) != 0) {  // holes
      const uint32_t from = lane < n ? bit_of_rank(mask, lane) : 0;
      // Pages and rows are below 2^31.
      mine.outer = __shfl_sync(~0u, static_cast<int32_t>(place.outer), from);
      mine.inner = __shfl_sync(~0u, static_cast<int32_t>(place.inner), from);
    }
    tile_ += step_;
    fetch_entry();
    return n;
  }

  // Of a walk that next() said has no more tiles: whether the one before that was the last of all.
  __device__ bool just_ended() const { return tile_ == tiles_; }

 private:
  __device__ static int64_t tiles(int64_t first, int64_t end) {
    return max((end - first + kTileKeys - 1) / kTileKeys, int64_t{0});
  }

  // Of the lane's slot of tile_: asked for a tile ahead, since it comes from memory.
  __device__ void fetch_entry() {
    if (scope_ == 0 && tile_ >= tiles_of_first_ && tile_ < tiles_) {
      scope_ = 1;
      selection_ = RowSelection(p_.scope[1], t_);
      first_ = second_first_ - tiles_of_first_ * kTileKeys;
      end_ = second_end_;
    }
    slot_ = first_ + tile_ * kTileKeys + threadIdx.x % 32;
    if (slot_ < end_) entry_ = selection_.entry(p_.scope[scope_], slot_);
  }

  const SparseAttnParams& p_;
  const int64_t t_;
  int64_t tile_;
  const int32_t step_;
  int32_t scope_ = 0;
  int64_t tiles_of_first_, tiles_;  // of the first scope, of both
  int64_t second_first_ = 0, second_end_ = 0;
  // Of scope_: its selection, where its slots would begin at tile 0, where they end.
  RowSelection selection_;
  int64_t first_, end_;
  int64_t slot_;
  int32_t entry_ = 0;
};

}  // namespace dsa::cuda

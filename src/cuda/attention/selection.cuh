// The resolver: from a row's selection to places in the cache. The only part of the attention that
// knows selection modes and blocks (cuts become lists before, in cut.cu); visibility, tables and
// pages are Rows' and KeyAxis'.
#pragma once

#include "core/params.h"

namespace dsa::cuda {

constexpr int32_t kTileKeys = 32;  // keys of one step of a softmax: one a lane

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

// Walks a range of one row's slots, both scopes after each other, and packs the keys found into
// tiles of 32. Used by the lanes of one warp together.
class KeyWalk {
 public:
  // Slots [first, last) of all; those of the second scope follow the first's `capacity`.
  __device__ KeyWalk(const SparseAttnParams& p, int64_t t, int64_t first, int64_t last,
                     int64_t capacity)
      : p_(p), t_(t), last_(last), capacity_(capacity) {
    open(first < capacity ? 0 : 1, first);
  }

  // Lane i < n (returned) gets the place of key i of the next tile; 0: there are no more. The keys
  // of a tile are of one scope.
  __device__ int32_t next(KeyPlace& mine, int32_t& scope) {
    for (;;) {
      const int32_t n = next_in_scope(mine);
      scope = scope_;
      if (n > 0) return n;
      if (scope_ + 1 >= p_.scopes || last_ <= capacity_) return 0;
      open(1, capacity_);
    }
  }

 private:
  __device__ void open(int32_t scope, int64_t first) {
    scope_ = scope;
    selection_ = RowSelection(p_.scope[scope], t_);
    const int64_t origin = scope == 0 ? 0 : capacity_;
    at_ = first - origin;
    end_ = min(last_ - origin, selection_.size());
    if (scope == 0) end_ = min(end_, capacity_);
    fetch_entry();
  }

  // Of the lane's next slot: asked for a tile ahead, since it comes from memory.
  __device__ void fetch_entry() {
    const int64_t slot = at_ + threadIdx.x % 32;
    if (slot < end_) entry_ = selection_.entry(p_.scope[scope_], slot);
  }

  __device__ int32_t next_in_scope(KeyPlace& mine) {
    const int32_t lane = static_cast<int32_t>(threadIdx.x % 32);
    int32_t n = 0;
    int32_t outer = 0, inner = 0;  // pages and rows are below 2^31
    while (n < kTileKeys && at_ < end_) {
      KeyPlace place = {};
      const int64_t slot = at_ + lane;
      const bool found = slot < end_ && selection_.find(p_.scope[scope_], t_, slot, entry_, place);
      const uint32_t mask = __ballot_sync(~0u, found);
      const int32_t all = __popc(mask);
      const int32_t take = min(all, kTileKeys - n);
      const bool mine_now = lane >= n && lane < n + take;
      if (n == 0 && (mask & (mask + 1)) == 0) {  // nothing missing in between
        if (mine_now)
          outer = static_cast<int32_t>(place.outer), inner = static_cast<int32_t>(place.inner);
      } else {
        const uint32_t from = mine_now ? bit_of_rank(mask, lane - n) : 0;
        const int32_t o = __shfl_sync(~0u, static_cast<int32_t>(place.outer), from);
        const int32_t i = __shfl_sync(~0u, static_cast<int32_t>(place.inner), from);
        if (mine_now) outer = o, inner = i;
      }
      at_ += take == all ? kTileKeys : bit_of_rank(mask, take);
      n += take;
      fetch_entry();
    }
    mine = {outer, inner};
    return n;
  }

  const SparseAttnParams& p_;
  const int64_t t_;
  const int64_t last_;
  const int64_t capacity_;  // slots of the first scope
  int32_t scope_ = 0;
  RowSelection selection_;
  int64_t at_ = 0;  // in the scope
  int64_t end_ = 0;
  int32_t entry_ = 0;
};

}  // namespace dsa::cuda

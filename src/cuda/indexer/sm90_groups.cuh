// How the Hopper indexer divides a call: groups of query rows that are multiplied together, the
// tiles of keys that a group sees, and each block's equal share of all tiles. Lengths live on the
// device, so every block adds them up for itself: no metadata pass, and a captured graph follows
// new lengths.
#pragma once

#include "cuda/indexer/sm90_variants.h"

namespace dsa::cuda::sm90 {

// Query rows [t, t + rows) of one request whose spans overlap, and the keys that any of them sees.
struct Group {
  int64_t t = 0;
  int32_t rows = 0;
  int32_t request = 0;
  int32_t begin = 0;
  int32_t end = 0;

  __device__ int32_t first_tile() const { return begin / kTileKeys; }
  __device__ int32_t tiles() const {
    return begin < end ? (end + kTileKeys - 1) / kTileKeys - first_tile() : 0;
  }
};

// The call's rows in blocks of at most kTokens, none of which crosses a request where the host
// knows requests (RowGrid, sm90_variants.h).
template <int kTokens>
struct RowBlocks {
  const Rows& rows;
  const RowGrid& grid;
  const int64_t first_row, end_row;

  __device__ RowBlocks(const ScoreParams& s)
      : rows(s.call.p.rows),
        grid(s.rows),
        first_row(s.call.first_row),
        end_row(s.call.first_row + s.call.row_count) {}

  // Rows [t, end) of a block; none (t >= end) where they lie outside the call's.
  __device__ void bounds(int64_t block, int64_t& t, int64_t& end) const {
    int64_t last = end_row;
    if (grid.in_request == 0) {
      t = first_row + block * kTokens;
    } else {
      int64_t request = block;
      t = 0;
      if (grid.in_request > 1) {
        request = block / grid.in_request;
        t = block % grid.in_request * kTokens;
      }
      request += grid.first_request;
      t += request * rows.per_request;
      last = min((request + 1) * rows.per_request, end_row);
    }
    end = min(t + kTokens, last);
    t = max(t, first_row);
  }
  // The group that starts at row t of a block that ends at `end`.
  __device__ Group group(int64_t t, int64_t end) const {
    Group g;
    g.t = t;
    for (; t < end; ++t) {
      const RowSpan span = rows.span(t);
      const bool first = t == g.t;
      if (!first && grid.keys_differ && span.request != g.request) break;
      if (first) g.request = span.request;
      if (span.begin < span.end) {
        if (g.begin < g.end && (span.begin >= g.end || span.end <= g.begin)) break;
        const bool empty = g.begin >= g.end;
        g.begin = empty || span.begin < g.begin ? span.begin : g.begin;
        g.end = empty || span.end > g.end ? span.end : g.end;
      }
      ++g.rows;
    }
    return g;
  }
};

// The groups of the blocks [block, ...) in order.
template <int kTokens>
struct GroupWalk {
  int64_t block;           // of the current group
  int64_t t = 0, end = 0;  // rows of it that are still to come
  Group group;

  // To the next group; false when it lies in block `limit` or beyond.
  __device__ bool next(const RowBlocks<kTokens>& blocks, int64_t limit) {
    while (t >= end) {
      if (block + 1 >= limit) return false;
      blocks.bounds(++block, t, end);
    }
    group = blocks.group(t, end);
    t += group.rows;
    return true;
  }
};

// Where a block of the grid starts, and how many tiles are its own.
template <int kTokens>
struct Share {
  GroupWalk<kTokens> walk;  // at the first group
  int64_t skip;             // tiles of it that are others'
  int64_t count;
};

// all * i / parts, rounded down. (A 64-bit division takes half a microsecond.)
__device__ inline int64_t part_of(int64_t all, uint32_t i, uint32_t parts) {
  if (all > UINT32_MAX) return all * i / parts;
  const uint32_t n = static_cast<uint32_t>(all);
  return int64_t{n / parts} * i + n % parts * i / parts;
}

// Called by all kThreads threads; `sums` [kThreads / 32], `share`: shared memory.
template <int kTokens, int kThreads>
__device__ void find_share(const RowBlocks<kTokens>& blocks, int64_t* sums, Share<kTokens>* share) {
  constexpr int32_t kWarps = kThreads / 32;
  const int64_t count = blocks.grid.blocks;
  const int64_t begin = count * threadIdx.x / kThreads;
  const int64_t end = count * (threadIdx.x + 1) / kThreads;
  int64_t own = 0;
  int32_t groups = 0;
  GroupWalk<kTokens> walk = {begin - 1};
  for (; walk.next(blocks, end); ++groups) own += walk.group.tiles();

  const int32_t lane = threadIdx.x % 32;
  int64_t upto = own;  // of the threads of this warp up to this one
  for (int32_t step = 1; step < 32; step *= 2) {
    const int64_t before = __shfl_up_sync(~0u, upto, step);
    if (lane >= step) upto += before;
  }
  if (lane == 31) sums[threadIdx.x / 32] = upto;
  if (threadIdx.x == 0) share->count = 0;
  __syncthreads();
  int64_t before = upto - own;
  int64_t all = 0;
  for (int32_t w = 0; w < kWarps; ++w) {
    if (w < static_cast<int32_t>(threadIdx.x / 32)) before += sums[w];
    all += sums[w];
  }
  const int64_t from = part_of(all, blockIdx.x, gridDim.x);
  const int64_t to = part_of(all, blockIdx.x + 1, gridDim.x);
  if (from < to && from >= before && from < before + own) {
    // With one group (few rows: every microsecond counts) the walk still stands at it.
    if (groups > 1) {
      walk = {begin - 1};
      while (walk.next(blocks, end) && from >= before + walk.group.tiles()) {
        before += walk.group.tiles();
      }
    }
    *share = {walk, from - before, to - from};
  }
  __syncthreads();
}

// Tiles [first, first + count) of one group.
struct Segment {
  Group group;
  int32_t first;
  int32_t count;
};

// Walks the segments of a share in order.
template <int kTokens>
class Walk {
 public:
  __device__ Walk(const RowBlocks<kTokens>& blocks, const Share<kTokens>& share)
      : blocks_(blocks), groups_(share.walk), skip_(share.skip), left_(share.count) {}

  // False when there is none left.
  __device__ bool next(Segment& segment) {
    if (left_ == 0) return false;
    while (started_ || groups_.group.tiles() == 0) {
      groups_.next(blocks_, INT64_MAX);
      started_ = false;
    }
    const Group& group = groups_.group;
    const int64_t tiles = group.tiles() - skip_;
    const int32_t own = static_cast<int32_t>(tiles < left_ ? tiles : left_);
    segment = {group, group.first_tile() + static_cast<int32_t>(skip_), own};
    skip_ = 0;
    left_ -= own;
    started_ = true;
    return true;
  }

 private:
  const RowBlocks<kTokens>& blocks_;
  GroupWalk<kTokens> groups_;
  int64_t skip_;  // tiles to pass over
  int64_t left_;
  bool started_ = false;  // the current group is done with
};

}  // namespace dsa::cuda::sm90

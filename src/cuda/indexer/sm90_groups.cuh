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
// knows requests.
template <int kTokens>
struct RowBlocks {
  const Rows& rows;
  const int64_t first_row, end_row;
  const bool by_request;  // the keys of requests differ
  const bool known;       // and the host knows which rows are whose
  int64_t in_request = 0;
  int64_t first_request = 0;

  __device__ RowBlocks(const ScoreCall& call)
      : rows(call.p.rows),
        first_row(call.first_row),
        end_row(call.first_row + call.row_count),
        by_request(call.p.axis.layout != DSA_LAYOUT_ROWS && rows.batch > 1),
        known(by_request && !rows.row_request.given()) {
    if (!known) return;
    in_request = (rows.per_request + kTokens - 1) / kTokens;
    first_request = first_row / rows.per_request;
  }

  __device__ int64_t count() const {
    if (!known) return (end_row - first_row + kTokens - 1) / kTokens;
    return ((end_row - 1) / rows.per_request - first_request + 1) * in_request;
  }
  // Rows [t, end) of a block; none (t >= end) where they lie outside the call's.
  __device__ void bounds(int64_t block, int64_t& t, int64_t& end) const {
    int64_t last = end_row;
    t = first_row + block * kTokens;
    if (known) {
      const int64_t request = first_request + block / in_request;
      t = request * rows.per_request + block % in_request * kTokens;
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
      if (!first && by_request && span.request != g.request) break;
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
  __device__ int64_t tiles(int64_t block) const {
    int64_t t, end, sum = 0;
    for (bounds(block, t, end); t < end;) {
      const Group g = group(t, end);
      sum += g.tiles();
      t += g.rows;
    }
    return sum;
  }
};

// Where a block of the grid starts, and how many tiles are its own.
struct Share {
  int64_t block;  // of rows
  int64_t skip;   // tiles of that block of rows that are others'
  int64_t count;
};

// Called by all kThreads threads; `sums` [kThreads / 32], `share`: shared memory.
template <int kTokens, int kThreads>
__device__ void find_share(const RowBlocks<kTokens>& blocks, int64_t* sums, Share* share) {
  constexpr int32_t kWarps = kThreads / 32;
  const int64_t count = blocks.count();
  const int64_t begin = count * threadIdx.x / kThreads;
  const int64_t end = count * (threadIdx.x + 1) / kThreads;
  int64_t own = 0;
  for (int64_t i = begin; i < end; ++i) own += blocks.tiles(i);

  const int32_t lane = threadIdx.x % 32;
  int64_t upto = own;  // of the threads of this warp up to this one
  for (int32_t step = 1; step < 32; step *= 2) {
    const int64_t before = __shfl_up_sync(~0u, upto, step);
    if (lane >= step) upto += before;
  }
  if (lane == 31) sums[threadIdx.x / 32] = upto;
  if (threadIdx.x == 0) *share = {0, 0, 0};
  __syncthreads();
  int64_t before = upto - own;
  int64_t all = 0;
  for (int32_t w = 0; w < kWarps; ++w) {
    if (w < static_cast<int32_t>(threadIdx.x / 32)) before += sums[w];
    all += sums[w];
  }
  const int64_t from = all * blockIdx.x / gridDim.x;
  const int64_t to = all * (blockIdx.x + 1) / gridDim.x;
  if (from < to && from >= before && from < before + own) {
    int64_t block = begin;
    for (int64_t n; from >= before + (n = blocks.tiles(block)); ++block) before += n;
    *share = {block, from - before, to - from};
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
  __device__ Walk(const RowBlocks<kTokens>& blocks, const Share& share)
      : blocks_(blocks), block_(share.block - 1), skip_(share.skip), left_(share.count) {}

  // False when there is none left.
  __device__ bool next(Segment& segment) {
    while (left_ > 0) {
      while (t_ >= end_) blocks_.bounds(++block_, t_, end_);
      const Group group = blocks_.group(t_, end_);
      t_ += group.rows;
      const int64_t tiles = group.tiles() - skip_;
      if (tiles <= 0) {
        skip_ = -tiles;
        continue;
      }
      const int64_t own = tiles < left_ ? tiles : left_;
      segment = {group, group.first_tile() + static_cast<int32_t>(skip_),
                 static_cast<int32_t>(own)};
      skip_ = 0;
      left_ -= own;
      return true;
    }
    return false;
  }

 private:
  const RowBlocks<kTokens>& blocks_;
  int64_t block_;
  int64_t skip_;  // tiles to pass over
  int64_t left_;
  int64_t t_ = 0, end_ = 0;
};

}  // namespace dsa::cuda::sm90

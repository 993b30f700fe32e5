// How an attention call is divided between blocks: rows, heads, and, where those are few, ranges of
// a row's selection, whose partial results a second kernel merges in order. From host extents
// alone.
#pragma once

#include <cuda_runtime.h>

#include "core/params.h"

namespace dsa::cuda {

// Partial results of the splits: largest logit and sum of exponentials [T, H, splits], and weighted
// sums of V [T, H, splits, Dv], without the final factor.
struct AttnPartials {
  float2* state = nullptr;
  float* out = nullptr;
};

struct AttnDivision {
  int32_t group = 0;       // heads that share keys in both scopes
  int32_t groups = 0;      // of a row
  int32_t tile_heads = 0;  // most heads of a block
  int32_t tiles = 0;       // blocks of a group
  int32_t splits = 1;
  int64_t split_slots = 0;  // of a split: a multiple of the tile
  int64_t first_slots = 0;  // of the first scope; the second's follow
  int64_t first_row = 0;    // of this launch
  int64_t rows = 0;
  AttnPartials partials;  // used when splits > 1

  DSA_HOST_DEVICE int64_t units_of_row() const { return int64_t{groups} * tiles; }
  DSA_HOST_DEVICE int64_t blocks() const { return rows * units_of_row() * splits; }
};

// A block's share, by its number: row t, heads [head, head + heads), slots [first, last).
struct AttnTask {
  int64_t t;
  int32_t head, heads;
  int32_t split;
  int64_t first, last;

  DSA_HOST_DEVICE AttnTask(const AttnDivision& d, uint32_t block)
      : AttnTask(d, block / static_cast<uint32_t>(d.splits) / units(d),
                 block / static_cast<uint32_t>(d.splits) % units(d),
                 block % static_cast<uint32_t>(d.splits)) {}
  // Of row d.first_row + row, unit `in_row` of a row's, that split.
  DSA_HOST_DEVICE AttnTask(const AttnDivision& d, uint32_t row, uint32_t in_row, uint32_t of_unit) {
    split = static_cast<int32_t>(of_unit);
    t = d.first_row + row;
    const int32_t group = static_cast<int32_t>(in_row) / d.tiles;
    const int32_t before = (static_cast<int32_t>(in_row) - group * d.tiles) * d.tile_heads;
    head = group * d.group + before;
    heads = d.group - before < d.tile_heads ? d.group - before : d.tile_heads;
    first = split * d.split_slots;
    last = first + d.split_slots;
  }

 private:
  DSA_HOST_DEVICE static uint32_t units(const AttnDivision& d) {
    return static_cast<uint32_t>(d.groups * d.tiles);
  }
};

// Heads that share keys in both scopes.
int32_t attn_group_heads(const SparseAttnParams& p);

// Slots that a row can have, of both scopes.
int64_t attn_most_slots(const SparseAttnParams& p);

// `resident`: blocks that the device holds at once. No splits of less than `least` slots, and none
// where the units fill the device.
AttnDivision attn_divide(const SparseAttnParams& p, int32_t tile_heads, int64_t resident,
                         int64_t least = 32);

// Floats from one partial result to the next, at most.
DSA_HOST_DEVICE constexpr int32_t attn_partial_pitch(int32_t value_dim) {
  return (value_dim + 3) / 4 * 4;
}

// Most blocks of a divided call: what bounds the partial results' memory.
constexpr int32_t kMostSplits = 64;
constexpr int32_t kSplitHeadsOfSm = 64;  // tile_heads times resident blocks of an SM, at most

// Bytes of workspace of any attention kernel: one bound for all of them, so that a size asked for
// without data pointers holds whichever kernel the pointers' alignment lets in.
uint64_t attn_workspace(const SparseAttnParams& p, int32_t sms);

// The call's parameters with the cut as lists that stand in `lists` [rows, 1 + width] i32 (count
// first), for rows [first_row, first_row + rows); written by attn_write_lists.
int64_t attn_list_width(const AttnScope& scope);
int64_t attn_list_rows(const SparseAttnParams& p);  // rows whose lists the workspace holds
SparseAttnParams attn_with_lists(const SparseAttnParams& p, char* lists, int64_t first_row);

// Where in the workspace the partial results lie, behind the lists, sums `pitch` floats apart. They
// go by the row's number in the whole call.
AttnPartials attn_partials(const SparseAttnParams& p, const AttnDivision& d, int32_t pitch,
                           char* memory);

}  // namespace dsa::cuda

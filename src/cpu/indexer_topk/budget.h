// How a fused call is cut up and where its memory goes: at most 64 MiB whatever T and S (a k above
// a million or so needs more for a single row's list).
#pragma once

#include "core/params.h"
#include "cpu/indexer/walk.h"
#include "cpu/topk/emit.h"
#include "cpu/topk/tier.h"

namespace dsa::cpu {

// Two ways to divide the work:
//  - by rows: a lane takes a block of rows through all of their keys, feeding each panel of scores
//    to the rows' survivor lists;
//  - by keys, when there are too few blocks for the lanes: a lane takes a block of rows through a
//    range of keys and stores the scores; the lane that finishes a block's last range selects.
struct FusedBudget {
  IndexerShape shape;
  int32_t lanes;
  int64_t row_blocks;
  int64_t ranges;  // of keys, a row block; 1: by rows
  int64_t range_keys;
  uint64_t list;      // bytes of one row's list
  uint64_t scratch;   // in a lane's memory, behind its walk: what Tier::select_row needs
  uint64_t emit;      // behind that: what RowWriter needs
  uint64_t lane;      // bytes of a lane
  bool keeps_scores;  // by keys; also where all scores are few: a whole row is selected faster

  FusedBudget(const IndexerTier& tier, const IndexerTopkParams& p, int32_t most_lanes);
};

// What a call takes on one core.
double fused_ns(const IndexerTopkParams& p);

// At least what any FusedBudget of these or smaller extents uses.
uint64_t fused_workspace(const IndexerTier& tier, const IndexerTopkParams& p, int32_t lanes);

}  // namespace dsa::cpu

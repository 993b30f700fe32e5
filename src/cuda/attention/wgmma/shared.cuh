// Shared memory of a block of wgmma attention: the query of 64 heads and a ring of tiles of 32
// keys, both as wgmma.cuh's panels of 64 columns, in bf16.
#pragma once

#include "cuda/attention/rows.h"
#include "cuda/attention/selection.cuh"
#include "cuda/attention/wgmma/attend.h"
#include "cuda/sm90/wgmma.cuh"

namespace dsa::cuda {

struct WgmmaArguments {
  SparseAttnParams p;
  AttnDivision d;
  KeyRows rows;
  LinearKeys linear;
};

constexpr int32_t kPanels = 9;  // of 64 columns: 576
constexpr int32_t kQueryPanelBytes = kWgmmaHeads * sm90::kPanelRowBytes;
constexpr int32_t kTilePanelBytes = kTileKeys * sm90::kPanelRowBytes;
constexpr int32_t kTileBytes = kPanels * kTilePanelBytes;
constexpr int32_t kTiles = 4;  // two pairs: one in work, one on its way
// The last panel of a tile holds no values: once the logits are there it takes their weights.
constexpr int32_t kWeightsOffset = (kPanels - 1) * kTilePanelBytes;
constexpr int32_t kWeightsBytes = kWgmmaHeads * kTileKeys * 2;
static_assert(kWeightsBytes <= kTilePanelBytes);

constexpr int32_t kGroupThreads = 128;  // a warpgroup
constexpr int32_t kConsumerGroups = 2;
constexpr int32_t kWgmmaConsumers = kConsumerGroups * kGroupThreads;
constexpr int32_t kWgmmaThreads = kWgmmaConsumers + kGroupThreads;
constexpr int32_t kFullArrivals = 2 * 2 * 32;  // two warps of producers: each lane and its copies

template <bool kFp8>
struct alignas(1024) WgmmaShared {
  uint8_t query[kPanels][kQueryPanelBytes];
  uint8_t tile[kTiles][kTileBytes];
  // Of FP8: weights times the scales of the other warpgroup's second group of columns.
  uint8_t weights[kFp8 ? kConsumerGroups : 1][kWeightsBytes];
  float4 scale[kFp8 ? kTiles : 1][kTileKeys];
  // Of each warpgroup, by head: the largest logit so far, as float_order; in the end the sum.
  int32_t number[kConsumerGroups][kWgmmaHeads];
  uint64_t full[kTiles], empty[kTiles];
  int32_t keys[kTiles];  // of the tile; -1: the walk has ended
};
static_assert(sizeof(WgmmaShared<true>) <= 227 * 1024);

}  // namespace dsa::cuda

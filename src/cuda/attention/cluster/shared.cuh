// A block of cluster attention: what it is given, and its shared memory.
#pragma once

#include <type_traits>

#include "cuda/attention/cluster/attend.h"
#include "cuda/attention/mma/format.cuh"
#include "cuda/attention/rows.h"
#include "cuda/sm90/wgmma.cuh"

namespace dsa::cuda {

struct ClusterCall {
  KeyRows rows;
  LinearKeys linear;
};

struct alignas(16) ClusterArguments {
  SparseAttnParams p;
  AttnDivision d;
  ClusterCall call;
};

// 8 warps compute; 4 bring the keys, a lane each, which takes them 2,000 clocks to ask for.
constexpr int32_t kClusterWarps = 8;
constexpr int32_t kClusterComputing = 32 * kClusterWarps;
constexpr int32_t kClusterThreads = kClusterComputing + kClusterKeys;
// A barrier of those that compute.
__device__ inline void sync_computing() { sm90::turn_wait(1, kClusterComputing); }

constexpr int32_t kLogitsPitch = kClusterKeys + 8;  // floats: 8 rows of pairs meet no bank twice
constexpr int32_t kWideLogitsPitch = kClusterKeys + 4;    // 8 keys of 4 heads meet none twice
constexpr int32_t kWeightsPitch = kClusterKeys * 2 + 16;  // bytes: an odd multiple of 16

constexpr int32_t kKeyColumns = 576;                   // what fewer are filled up to, with zeros
constexpr int32_t kQueryPitch = kKeyColumns * 2 + 16;  // bytes, of a head

// What both kinds of blocks have, kM blocks of 16 heads.
template <class Format, int kM>
struct ClusterBlock {
  static constexpr int32_t kHeads = 16 * kM;
  static constexpr int32_t kGroups = Format::kIsFp8 ? kFp8Groups : 1;
  static constexpr int32_t kRowBytes = Format::kIsFp8 ? kFp8RowBytes : kKeyColumns * 2;
  static constexpr int32_t kPitch = Format::kIsFp8 ? kFp8RowBytes : kRowBytes + 16;  // of a key
  alignas(16) uint8_t keys[kClusterKeys][kPitch];
  float undo_query[kHeads];  // of FP8: inverses of the powers of two of the query's rows
  uint64_t query_full, keys_full;
  uint8_t there[kClusterKeys];
};

// Of mma.sync: each row of logits is a sum of kM parts of the columns.
template <class Format, int kM>
struct ClusterShared : ClusterBlock<Format, kM> {
  using Block = ClusterBlock<Format, kM>;
  union {
    alignas(16) uint8_t query[Block::kHeads][kQueryPitch];
    float logits[kM][Block::kHeads][kLogitsPitch];
  };
  alignas(16) uint8_t weights[Block::kGroups][Block::kHeads][kWeightsPitch];

  // 16 bytes of the query as it is multiplied.
  __device__ uint4& query_chunk(int32_t h, int32_t chunk) {
    return reinterpret_cast<uint4*>(query[h])[chunk];
  }
  // The weights of keys `pair` * 2 and the next one.
  __device__ uint32_t& weights_pair(int32_t group, int32_t h, int32_t pair) {
    return reinterpret_cast<uint32_t*>(weights[group][h])[pair];
  }
  __device__ float logit(int32_t h, int32_t key) const {
    float x = logits[0][h][key];
    if constexpr (kM == 2) x += logits[1][h][key];
    return x;
  }
};

// Of wgmma: query and weights are operands in panels. It pays in FP8 with 32 heads: a query of 128
// takes 13.5 us, with mma.sync 14.5; of 64, 16 heads a block, 10.6 and 9.9; of bf16 13.3 and 13.1.
template <>
struct alignas(1024) ClusterShared<Fp8Format, 2> : ClusterBlock<Fp8Format, 2> {
  static constexpr int32_t kPanelBytes = kHeads * sm90::kPanelRowBytes;
  static constexpr int32_t kQueryPanels = kKeyColumns * 2 / sm90::kPanelRowBytes;
  static constexpr int32_t kWeightsPanels = kClusterKeys * 2 / sm90::kPanelRowBytes;
  union {
    alignas(1024) uint8_t query_panels[kQueryPanels][kPanelBytes];
    uint8_t weights[kGroups][kWeightsPanels][kPanelBytes];
  };
  union {
    alignas(16) uint8_t query[kHeads][kQueryPitch];
    float logits[kHeads][kWideLogitsPitch];
  };

  __device__ uint4& query_chunk(int32_t h, int32_t chunk) {
    uint8_t* const panel = query_panels[chunk / 8];
    return *reinterpret_cast<uint4*>(panel + sm90::panel_offset(h, chunk % 8));
  }
  __device__ uint32_t& weights_pair(int32_t group, int32_t h, int32_t pair) {
    uint8_t* const panel = weights[group][pair / 32];
    return *reinterpret_cast<uint32_t*>(panel + sm90::panel_offset(h, pair % 32 / 4) +
                                        pair % 4 * 4);
  }
  __device__ float logit(int32_t h, int32_t key) const { return logits[h][key]; }
};

template <class Shared>
constexpr bool kUsesWgmma = std::is_same_v<Shared, ClusterShared<Fp8Format, 2>>;

}  // namespace dsa::cuda

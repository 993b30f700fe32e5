// A block of cluster attention: what it is given, and its shared memory.
#pragma once

#include "cuda/attention/cluster/attend.h"
#include "cuda/attention/mma/format.cuh"
#include "cuda/attention/rows.h"
#include "cuda/sm90/copies.cuh"

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
// Named barriers.
constexpr uint32_t kComputing = 1, kQueryAsked = 2;
__device__ inline void sync_computing() { sm90::turn_wait(kComputing, kClusterComputing); }

constexpr int32_t kLogitsPitch = kClusterKeys + 8;  // floats: 8 rows of pairs meet no bank twice
constexpr int32_t kWeightsPitch = kClusterKeys * 2 + 16;  // bytes: an odd multiple of 16

constexpr int32_t kKeyColumns = 576;                   // what fewer are filled up to, with zeros
constexpr int32_t kQueryPitch = kKeyColumns * 2 + 16;  // bytes, of a head

// kM blocks of 16 heads, each row of logits from kM parts of the columns.
template <class Format, int kM>
struct ClusterShared {
  static constexpr int32_t kHeads = 16 * kM;
  static constexpr int32_t kGroups = Format::kIsFp8 ? kFp8Groups : 1;
  static constexpr int32_t kRowBytes = Format::kIsFp8 ? kFp8RowBytes : kKeyColumns * 2;
  static constexpr int32_t kPitch = Format::kIsFp8 ? kFp8RowBytes : kRowBytes + 16;  // of a key
  alignas(16) uint8_t keys[kClusterKeys][kPitch];
  union {
    alignas(16) uint8_t query[kHeads][kQueryPitch];
    float logits[kM][kHeads][kLogitsPitch];
  };
  alignas(16) uint8_t weights[kGroups][kHeads][kWeightsPitch];
  float undo_query[kHeads];  // of FP8: inverses of the powers of two of the query's rows
  uint64_t query_full, keys_full;
  uint8_t there[kClusterKeys];
};

}  // namespace dsa::cuda

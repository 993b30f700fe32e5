// What the warps of the Hopper indexer share: sizes, shared memory, and who waits for whom.
#pragma once

#include <limits>

#include "cuda/indexer/sm90_groups.cuh"
#include "cuda/indexer/sm90_variants.h"
#include "cuda/sm90/copies.cuh"
#include "cuda/sm90/wgmma.cuh"

namespace dsa::cuda::sm90 {

inline constexpr int32_t kBlockKeys = 64;  // that one instruction multiplies
inline constexpr int32_t kKeyWarps = 2;    // of the producers; one more loads queries, one fills
static_assert(kTileKeys == 2 * kBlockKeys);
inline constexpr int32_t kMaxShared = 227 * 1024;
inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// One row of a group, as the epilogue needs it.
struct alignas(16) RowTarget {
  char* scores;  // where key 0 of the row's request would be written
  int32_t begin;
  int32_t end;
};

// kHeads: Hi, or the next class above it; kColumns: (row, head) pairs multiplied at once.
template <class Element_, int kHeads_, int kColumns_>
struct Tile {
  using Element = Element_;
  static constexpr int32_t kHeads = kHeads_;
  static constexpr int32_t kColumns = kColumns_;
  static constexpr int32_t kKeys = kTileKeys;
  static constexpr int32_t kTokens = kColumns / kHeads;
  static constexpr int32_t kPairs = kColumns == 256 ? 1 : 2;  // of consumer warpgroups
  // Whether a pair multiplies in turns. Left alone, the tensor cores take the instructions of both
  // in turn, so that both finish, and leave them idle, at the same time: bf16 takes 8 % longer so.
  // FP8, whose products take half as long, is 4 % slower with turns.
  static constexpr bool kTurns = kPairs == 1 && Element::kBytes == 2;
  static constexpr int32_t kThreads = 128 * (1 + 2 * kPairs);
  // Registers of a thread: 64K in all, less than a multiple of 8 a thread at launch.
  static constexpr int32_t kProducerRegisters = kPairs == 1 ? 56 : 64;
  static constexpr int32_t kConsumerRegisters = kPairs == 1 ? 224 : 104;
  static constexpr bool kKeepWeights = kColumns != 128;
  static constexpr float kWeightFactor = Element::kFinite ? 0.5f : 1.0f;  // as they are kept
  static constexpr int32_t kMaxDim = 128;
  static constexpr int32_t kPanels = kMaxDim * Element::kBytes / kPanelRowBytes;
  static constexpr int32_t kQueryBytes = kPanels * kColumns * kPanelRowBytes;
  static constexpr int32_t kKeyBytes = kPanels * kTileKeys * kPanelRowBytes;
  static_assert(kColumns % kHeads == 0);

  struct alignas(128) Stage {
    float scale[kTileKeys];
    uint32_t in_cache[kTileKeys / 32];  // a bit for key row >> keys.shift: the block table has it
    int32_t first_key;
    int32_t group;  // number in this block's share
  };
  struct Queries {
    alignas(16) float weights[kColumns];
    alignas(16) float scale[kColumns];
    RowTarget rows[kTokens];
    int64_t t;
  };

  // bf16 queries of 256 columns are 64 KB: one copy, and room for four tiles of keys.
  static constexpr int32_t kQueryStages = kQueryBytes > 48 * 1024 ? 1 : 2;
  static constexpr int32_t kFixed =
      kQueryStages * (kQueryBytes + int32_t(sizeof(Queries)) + 16) + 256;
  static constexpr int32_t kFitting =
      (kMaxShared - kFixed) / (kKeyBytes + int32_t(sizeof(Stage)) + 16);
  // Even: a stage has always the same producer and the same pair of consumers.
  static constexpr int32_t kStages = kFitting < 12 ? kFitting / 2 * 2 : 12;

  struct Shared {
    alignas(1024) uint8_t queries[kQueryStages][kQueryBytes];
    alignas(1024) uint8_t keys[kStages][kKeyBytes];
    Stage stage[kStages];
    Queries query[kQueryStages];
    uint64_t keys_full[kStages], keys_empty[kStages];
    uint64_t queries_full[kQueryStages], queries_empty[kQueryStages];
    int64_t sums[kThreads / 32];
    Share<kTokens> share;
  };
  static constexpr int32_t kSharedBytes = int32_t(sizeof(Shared));
  static_assert(kSharedBytes <= kMaxShared);
};

// x, the same in all lanes, in a register: what the compiler can find again it finds again at every
// use.
__device__ __forceinline__ uint32_t kept(uint32_t x) { return __shfl_sync(~0u, x, 0); }
// The same for what differs between lanes.
__device__ __forceinline__ int32_t kept_own(int32_t x) {
  return __shfl_sync(~0u, x, threadIdx.x % 32);
}

// A place in a ring and the parity of its current phase.
template <int kCount>
struct RingPlace {
  int32_t i = 0;
  uint32_t parity = 0;

  __device__ void next() {
    if (++i == kCount) {
      i = 0;
      parity ^= 1;
    }
  }
};

}  // namespace dsa::cuda::sm90

// Shared memory of a block of the kernel for few heads: the query, a ring of keys and the weights,
// as wgmma.cuh's panels, and what the warps tell each other.
//
// A tile is 64 keys, the rows of A in both products: logits[64 keys, heads] = K Q^T, and then
// out[64 columns, heads] += V^T P^T, whose A is the same panel of the tile read transposed. So the
// number of heads is the N of wgmma, which is a multiple of 8 and not of 64, and a tile is read
// by the tensor cores alone.
#pragma once

#include "cuda/attention/few_wgmma/attend.h"
#include "cuda/attention/row_walk.cuh"
#include "cuda/sm90/wgmma.cuh"

namespace dsa::cuda {

struct alignas(16) FewArguments {
  SparseAttnParams p;
  AttnDivision d;
  KeyRows rows;
  LinearKeys linear;
};

constexpr int32_t kFewKeys = 64;   // of a tile: two of the resolver's
constexpr int32_t kFewPanels = 9;  // of 64 columns: 576, or one less
constexpr int32_t kFewValuePanels = 8;
constexpr int32_t kFewPanelBytes = kFewKeys * sm90::kPanelRowBytes;
// The ring's unit is a third of a tile: the values give it back while the rest is in use, so that
// more is on its way than with whole tiles, of which three do not fit.
constexpr int32_t kPartPanels = 3;
constexpr int32_t kParts = kFewPanels / kPartPanels;  // of a tile
constexpr int32_t kPartBytes = kPartPanels * kFewPanelBytes;

constexpr int32_t kLists = 4;  // tiles whose keys are resolved ahead
constexpr int32_t kResolveWarps = 2, kQueryWarps = 2;

// kHeads: most of a block. Two consumer warpgroups take turns with the tiles, so that the products
// of one run while the other has its softmax; with 32 heads there are no registers for two.
template <int kHeads>
struct FewShape {
  static constexpr int32_t kMostHeads = kHeads;
  static constexpr int32_t kGroups = kHeads <= 16 ? 2 : 1;
  static constexpr int32_t kGroupThreads = 128;
  static constexpr int32_t kConsumers = kGroups * kGroupThreads;
  static constexpr int32_t kCopyWarps = kGroups == 2 ? 4 : 8;
  static constexpr int32_t kThreads = kConsumers + 32 * (kCopyWarps + kResolveWarps + kQueryWarps);
  static constexpr int32_t kProducerRegisters = kGroups == 2 ? 96 : 88;
  static constexpr int32_t kConsumerRegisters = kGroups == 2 ? 160 : 240;
  static constexpr int32_t kRing = kGroups == 2 ? 8 : 7;
  // Parts that a task's output takes on its way to memory, 8 heads each.
  static constexpr int32_t kOutputParts = kHeads / 8;
  static constexpr int32_t kQueryPanelBytes = kHeads * sm90::kPanelRowBytes;
  static constexpr int32_t kWeightBytes = kHeads * kFewKeys * 2;  // of a tile: a row a head
};

template <class Shape>
struct alignas(1024) FewShared {
  uint8_t part[Shape::kRing][kPartBytes];
  uint8_t query[kFewPanels][Shape::kQueryPanelBytes];
  uint8_t weights[Shape::kGroups][Shape::kWeightBytes];
  // Where the two pieces of each key lie, the second's as if it began where the first does.
  ulonglong2 from[kLists][kFewKeys];
  alignas(16) char arguments[sizeof(FewArguments)];
  int32_t keys[kLists][2];  // of each half of a tile; -1: the task has no more
  int32_t place[kLists];    // in the ring, of a tile or of the output: RingPlace's number
  // Of each consumer warp, by head.
  int32_t top[4 * Shape::kGroups][Shape::kMostHeads];  // as float_order
  float sum[4 * Shape::kGroups][Shape::kMostHeads];
  // Of each consumer group.
  float base[Shape::kGroups][Shape::kMostHeads];
  float factor[Shape::kGroups][Shape::kMostHeads];
  uint64_t full[Shape::kRing], empty[Shape::kRing];
  uint64_t listed[kLists][2], taken[kLists][2];
  uint64_t query_full, query_empty;
  uint64_t together;  // of all consumers
};
static_assert(sizeof(FewShared<FewShape<16>>) <= 227 * 1024);
static_assert(sizeof(FewShared<FewShape<32>>) <= 227 * 1024);

// A place in a ring of kSize and the parity of its phase.
template <int kSize>
struct RingPlace {
  int32_t at = 0, parity;
  __device__ explicit RingPlace(int32_t first_parity) : parity(first_parity) {}
  __device__ __forceinline__ void advance() {
    if (++at == kSize) at = 0, parity ^= 1;
  }
  __device__ __forceinline__ void advance(int32_t steps) {
    at += steps;
    if (at >= kSize) at -= kSize, parity ^= 1;
  }
  // As one number, and back.
  __device__ __forceinline__ int32_t number() const { return at * 2 + parity; }
  __device__ __forceinline__ static RingPlace from_number(int32_t number) {
    RingPlace place(number % 2);
    place.at = number / 2;
    return place;
  }
};

// A block's tasks: every gridDim.x-th. Producers are ahead of the consumers, in the next task too.
class FewTasks {
 public:
  __device__ explicit FewTasks(const AttnDivision& d)
      : d_(d), end_(static_cast<uint32_t>(d.blocks())) {}
  // As a vote: in loops that each lane leaves for itself ptxas uses no uniform registers.
  __device__ bool more() const { return __all_sync(~0u, block_ < end_); }
  __device__ void advance() { block_ += gridDim.x; }
  __device__ AttnTask now() const { return AttnTask(d_, block_); }

 private:
  const AttnDivision& d_;
  const uint32_t end_;
  uint32_t block_ = blockIdx.x;
};

}  // namespace dsa::cuda

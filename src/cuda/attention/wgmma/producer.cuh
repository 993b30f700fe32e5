// The producer warps: two for each tile of a pair, half of its keys each. Each resolves the row's
// selection of its tiles and brings the keys, as bf16, into the tile's place in the ring.
#pragma once

#include "cuda/attention/wgmma/shared.cuh"
#include "cuda/e4m3.cuh"

namespace dsa::cuda {

constexpr int32_t kRopePanel = kFp8Columns / 64;

__device__ __forceinline__ const char* address_of_lane(const char* own, int32_t lane) {
  return reinterpret_cast<const char*>(
      __shfl_sync(~0u, reinterpret_cast<unsigned long long>(own), lane));
}

constexpr int32_t kKeysOfWarp = kTileKeys / 2;

// Keys [first, first + 16) of the tile: a part of their rows as it lies. Rows that no key has are
// 0: their weight is, too, and a product of both must be. 8 lanes a row, so that a step of theirs
// is one line of memory and one row of a panel.
__device__ __forceinline__ void fetch_part(const RowPart& part, const char* own, int32_t first,
                                           int32_t keys, uint32_t tile) {
  const int32_t lane = threadIdx.x % 32;
  const int32_t chunks = part.bytes / 16;
  const int32_t chunk = part.offset / 16 + lane % 8;
  const uint32_t panel = tile + chunk / 8 * kTilePanelBytes;
#pragma unroll 2
  for (int32_t i = 0; i < kKeysOfWarp; i += 4) {
    const int32_t key = first + i + lane / 8;
    const char* from = address_of_lane(own, key) + lane % 8 * 16;
    uint32_t to = panel + sm90::panel_offset(key, chunk % 8);
    const uint32_t valid = key < keys ? 16 : 0;
#pragma unroll 3
    for (int32_t c = lane % 8; c < chunks; c += 8) {
      copy_async_16(to, from, valid);
      to += kTilePanelBytes, from += 128;
    }
  }
}

constexpr int32_t kRowsAhead = 8;  // whose loads are under way

// 16 of the 512 e4m3 elements of a row. Volatile: it stands where its latency is hidden.
__device__ __forceinline__ uint4 load_row(const char* own, int32_t key) {
  const char* const from = address_of_lane(own, key) + threadIdx.x % 32 * 16;
  uint4 x;
  asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
               : "l"(from));
  return x;
}

__device__ __forceinline__ void store_chunk(uint32_t to, uint32_t low, uint32_t high) {
  const uint2 a = e4m3x4_to<__nv_bfloat16>(low), b = e4m3x4_to<__nv_bfloat16>(high);
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(a.x), "r"(a.y), "r"(b.x),
               "r"(b.y)
               : "memory");
}

// A lane has chunks 2 (l % 4) and the next one of panel l / 4; lanes of odd panels store the second
// one first, so that 8 lanes meet all banks.
__device__ __forceinline__ void store_row(uint4 x, uint32_t tile, int32_t key) {
  const int32_t lane = threadIdx.x % 32;
  const bool odd = lane / 4 % 2;
  const uint32_t at =
      tile + lane / 4 * kTilePanelBytes + sm90::panel_offset(key, lane % 4 * 2 + (odd ? 1 : 0));
  store_chunk(at, odd ? x.z : x.x, odd ? x.w : x.y);
  store_chunk(at ^ 16, odd ? x.x : x.z, odd ? x.y : x.w);
}

// A warp's keys [first, first + 16) of tiles of KV_FP8_656: e4m3 is exact in bf16; scales are
// applied to logits and weights. Elements pass through registers, so their loads need no room in
// the ring: those of a tile are under way before its predecessor is converted.
class Fp8Rows {
 public:
  __device__ __forceinline__ explicit Fp8Rows(int32_t first) : first_(first) {}

  // Asks for the first rows of a tile that has keys; `own`: the lane's.
  __device__ __forceinline__ void begin(const char* own) {
#pragma unroll
    for (int32_t i = 0; i < kRowsAhead; ++i) row_[i] = load_row(own, first_ + i);
  }

  // Brings what begin() or the last call asked for into the tile, then asks for the first rows of
  // the next one. Lanes from `keys` on have any key's address, in both.
  __device__ __forceinline__ void bring(const char* own, int32_t keys, const char* next,
                                        uint32_t tile, float4* scales) {
    const int32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int32_t i = 0; i < kKeysOfWarp; i += 4) {
      const int32_t key = first_ + i + lane / 8;
      copy_async_16(tile + kRopePanel * kTilePanelBytes + sm90::panel_offset(key, lane % 8),
                    address_of_lane(own, key) + kFp8RopeOffset + lane % 8 * 16,
                    key < keys ? 16 : 0);
    }
    if (lane / kKeysOfWarp == first_ / kKeysOfWarp) {
      copy_async_16(shared_address(scales + lane), own + kFp8ScaleOffset, lane < keys ? 16 : 0);
    }
#pragma unroll
    for (int32_t i = 0; i < kKeysOfWarp; ++i) {
      const uint4 row = row_[i % kRowsAhead];
      const uint32_t mask = first_ + i < keys ? ~0u : 0;
      store_row({row.x & mask, row.y & mask, row.z & mask, row.w & mask}, tile, first_ + i);
      const int32_t ahead = i + kRowsAhead;
      row_[i % kRowsAhead] =
          load_row(ahead < kKeysOfWarp ? own : next, first_ + ahead % kKeysOfWarp);
    }
  }

  // A tile of no keys: weights are 0, and products with them must be.
  __device__ __forceinline__ void clear(uint32_t tile, float4* scales) const {
    for (int32_t i = 0; i < kKeysOfWarp; ++i) store_row({}, tile, first_ + i);
    scales[threadIdx.x % 32] = {};
  }

 private:
  const int32_t first_;
  uint4 row_[kRowsAhead];
};

// Every second tile of a linear call's row: as TileWalk, of addresses.
class LinearWalk {
 public:
  __device__ __forceinline__ LinearWalk(const WgmmaArguments& arguments, const AttnTask& task,
                                        int32_t in_pair)
      : keys_(arguments.linear),
        list_(arguments.p, task.t),
        first_(static_cast<int32_t>(task.first) + in_pair * kTileKeys),
        end_(static_cast<int32_t>(min(task.last, list_.size))) {
    fetch_number();
  }

  // Lane i < n (returned) gets the address of key i of the next tile, the others any key's; n may
  // be 0. -1: no more tiles.
  __device__ __forceinline__ int32_t next(const char*& own) {
    if (first_ >= end_) return -1;
    const int32_t lane = threadIdx.x % 32;
    own = first_ + lane < end_ ? linear_row(keys_, number_) : nullptr;
    const uint32_t mask = __ballot_sync(~0u, own != nullptr);
    const int32_t n = __popc(mask);
    if (mask != ~0u)
      own = address_of_lane(own, lane < n ? bit_of_rank(mask, lane) : __ffs(mask) - 1);
    first_ += 2 * kTileKeys;
    fetch_number();
    return n;
  }

  // Of a walk that next() said has no more tiles: whether the one before that was the last of all.
  __device__ __forceinline__ bool just_ended() const { return first_ - kTileKeys < end_; }

 private:
  // A tile ahead, since it comes from memory.
  __device__ __forceinline__ void fetch_number() {
    const int32_t slot = first_ + static_cast<int32_t>(threadIdx.x % 32);
    if (slot < end_) number_ = list_.number(slot);
  }

  const LinearKeys& keys_;
  const LinearList list_;
  int32_t first_;
  const int32_t end_;
  int32_t number_ = 0;
};

// A warp's walk over KV_FP8_656 rows.
template <bool kLinear>
class Fp8Walk {
 public:
  __device__ __forceinline__ Fp8Walk(const WgmmaArguments& arguments, const AttnTask& task,
                                     int32_t in_pair)
      : arguments_(arguments),
        walk_(arguments.p, task.t, task.first, task.last, arguments.d.first_slots, in_pair, 2) {}

  // As LinearWalk's.
  __device__ __forceinline__ int32_t next(const char*& own) {
    KeyPlace place;
    int32_t scope;
    const int32_t keys = walk_.next(place, scope);
    const int32_t lane = threadIdx.x % 32;
    if (lane < keys) own = arguments_.rows.scope[scope].part[0].tensor.at(place);
    const char* const any = address_of_lane(own, 0);
    if (lane >= keys) own = any;
    return keys;
  }
  __device__ __forceinline__ bool just_ended() const { return walk_.just_ended(); }

 private:
  const WgmmaArguments& arguments_;
  TileWalk walk_;
};
template <>
class Fp8Walk<true> : public LinearWalk {
  using LinearWalk::LinearWalk;
};

// Where a producer warp is in the ring.
class ProducerStage {
 public:
  __device__ __forceinline__ explicit ProducerStage(int32_t in_pair) : stage_(in_pair) {}
  __device__ __forceinline__ int32_t stage() const { return stage_; }

  template <bool kFp8>
  __device__ __forceinline__ void wait(WgmmaShared<kFp8>& shared) const {
    barrier_wait<32>(&shared.empty[stage_], parity_);
  }
  template <bool kFp8>
  __device__ __forceinline__ void hand_over(WgmmaShared<kFp8>& shared, int32_t first,
                                            int32_t keys) {
    if (threadIdx.x % 32 == 0 && first == 0) shared.keys[stage_] = keys;
    barrier_arrive_after_copies(&shared.full[stage_]);
    barrier_arrive(&shared.full[stage_]);
    stage_ ^= 2;
    parity_ ^= stage_ < 2;
  }

 private:
  int32_t stage_;
  int32_t parity_ = 1;  // of the phase before the first, which has always ended
};

template <bool kLinear>
__device__ __forceinline__ void produce_fp8(const WgmmaArguments& arguments, const AttnTask& task,
                                            WgmmaShared<true>& shared, int32_t in_pair,
                                            int32_t first) {
  Fp8Walk<kLinear> walk(arguments, task, in_pair);
  ProducerStage at(in_pair);
  Fp8Rows rows(first);
  const char* own = nullptr;
  int32_t next_keys = walk.next(own);
  if (next_keys > 0) rows.begin(own);
  for (int32_t keys = 0; keys >= 0;) {
    keys = next_keys;
    // A pair whose second tile the walk does not reach has one of no keys.
    const bool filled = keys >= 0 || (in_pair == 1 && walk.just_ended());
    const char* next = own;
    if (keys >= 0) next_keys = walk.next(next);
    if (next_keys <= 0) next = own;
    const uint32_t tile = shared_address(shared.tile[at.stage()]);
    at.wait(shared);
    if (keys > 0) {
      rows.bring(own, keys, next, tile, shared.scale[at.stage()]);
    } else {
      if (filled) rows.clear(tile, shared.scale[at.stage()]);
      if (next_keys > 0) rows.begin(next);
    }
    at.hand_over(shared, first, keys);
    own = next;
  }
}

__device__ __forceinline__ void produce_plain(const WgmmaArguments& arguments, const AttnTask& task,
                                              WgmmaShared<false>& shared, int32_t in_pair,
                                              int32_t first) {
  const int32_t lane = threadIdx.x % 32;
  TileWalk walk(arguments.p, task.t, task.first, task.last, arguments.d.first_slots, in_pair, 2);
  ProducerStage at(in_pair);
  for (int32_t keys = 0; keys >= 0;) {
    KeyPlace place;
    int32_t scope;
    keys = walk.next(place, scope);
    const uint32_t tile = shared_address(shared.tile[at.stage()]);
    at.wait(shared);
    // A pair whose second tile the walk does not reach has one of no keys.
    if (keys >= 0 || (in_pair == 1 && walk.just_ended())) {
      const ScopeRow& row = arguments.rows.scope[scope];
      const int32_t kv_head = task.head / row.heads_of_kv;
      const int32_t there = max(keys, 0);
      for (int32_t i = 0; i < row.parts; ++i) {
        const KeyTensor& tensor = row.part[i].tensor;
        const char* const own = lane < there ? tensor.at(place, kv_head) : tensor.data;
        fetch_part(row.part[i], own, first, there, tile);
      }
    }
    at.hand_over(shared, first, keys);
  }
}

// kLinear: of FP8 only. Its producers convert; those that wait for copies have time for any walk.
template <bool kFp8, bool kLinear>
__device__ __forceinline__ void wgmma_produce(const WgmmaArguments& arguments, const AttnTask& task,
                                              WgmmaShared<kFp8>& shared) {
  const int32_t warp = threadIdx.x / 32 % 4;
  const int32_t in_pair = warp % 2, first = warp / 2 * kKeysOfWarp;
  if constexpr (kFp8) {
    produce_fp8<kLinear>(arguments, task, shared, in_pair, first);
  } else {
    produce_plain(arguments, task, shared, in_pair, first);
  }
}

}  // namespace dsa::cuda

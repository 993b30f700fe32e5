// The producer warps: two for each tile of a pair, half of its keys each. Each resolves the row's
// selection of its tiles and brings the keys, as bf16, into the tile's place in the ring.
#pragma once

#include "cuda/attention/row_walk.cuh"
#include "cuda/attention/wgmma/shared.cuh"
#include "cuda/e4m3.cuh"

namespace dsa::cuda {

constexpr int32_t kRopePanel = kFp8Columns / 64;

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

template <class Walk>
__device__ __forceinline__ void produce_fp8(Walk walk, WgmmaShared<true>& shared, int32_t in_pair,
                                            int32_t first) {
  ProducerStage at(in_pair);
  Fp8Rows rows(first);
  int32_t next_keys = walk.next();
  const char* own = walk.address(0);
  if (next_keys > 0) rows.begin(own);
  for (int32_t keys = 0; keys >= 0;) {
    keys = next_keys;
    // A pair whose second tile the walk does not reach has one of no keys.
    const bool filled = keys >= 0 || (in_pair == 1 && walk.just_ended());
    if (keys >= 0) next_keys = walk.next();
    const char* const next = next_keys > 0 ? walk.address(0) : own;
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

template <class Walk>
__device__ __forceinline__ void produce_plain(Walk walk, WgmmaShared<false>& shared,
                                              int32_t in_pair, int32_t first) {
  ProducerStage at(in_pair);
  for (int32_t keys = 0; keys >= 0;) {
    keys = walk.next();
    const uint32_t tile = shared_address(shared.tile[at.stage()]);
    at.wait(shared);
    // A pair whose second tile the walk does not reach has one of no keys.
    if (keys >= 0 || (in_pair == 1 && walk.just_ended())) {
      const ScopeRow& row = walk.row();
      for (int32_t i = 0; i < row.parts; ++i) {
        fetch_part(row.part[i], walk.address(i), first, max(keys, 0), tile);
      }
    }
    at.hand_over(shared, first, keys);
  }
}

template <bool kFp8, bool kLinear>
__device__ __forceinline__ void wgmma_produce(const WgmmaArguments& arguments, const AttnTask& task,
                                              WgmmaShared<kFp8>& shared) {
  const int32_t warp = threadIdx.x / 32 % 4;
  const int32_t in_pair = warp % 2, first = warp / 2 * kKeysOfWarp;
  RowWalk<kLinear> walk(arguments.p, arguments.rows, arguments.linear, arguments.d.first_slots,
                        task, in_pair, 2);
  if constexpr (kFp8) {
    produce_fp8(walk, shared, in_pair, first);
  } else {
    produce_plain(walk, shared, in_pair, first);
  }
}

}  // namespace dsa::cuda

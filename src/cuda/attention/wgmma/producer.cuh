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

// Keys [first, first + 16) of a tile of KV_FP8_656: e4m3 is exact in bf16; scales are applied to
// logits and weights.
__device__ __forceinline__ void fetch_fp8(const char* own, int32_t first, int32_t keys,
                                          uint32_t tile, float4* scales) {
  const int32_t lane = threadIdx.x % 32;
  if (keys == 0) {
    for (int32_t i = 0; i < kKeysOfWarp; ++i) store_row({}, tile, first + i);
    scales[lane] = {};
    return;
  }
  // Rows that no key has load the first one's again: loads with a condition wait for each other.
  const char* const any = address_of_lane(own, 0);
  const char* const there = lane < keys ? own : any;
  uint4 x[kRowsAhead];
#pragma unroll
  for (int32_t i = 0; i < kRowsAhead; ++i) x[i] = load_row(there, first + i);
  if (lane / kKeysOfWarp == first / kKeysOfWarp) {
    float4 scale = {};
    if (lane < keys) scale = __ldcg(reinterpret_cast<const float4*>(own + kFp8ScaleOffset));
    scales[lane] = scale;
  }
#pragma unroll
  for (int32_t i = 0; i < kKeysOfWarp; i += 4) {
    const int32_t key = first + i + lane / 8;
    copy_async_16(tile + kRopePanel * kTilePanelBytes + sm90::panel_offset(key, lane % 8),
                  address_of_lane(there, key) + kFp8RopeOffset + lane % 8 * 16,
                  key < keys ? 16 : 0);
  }
#pragma unroll
  for (int32_t i = 0; i < kKeysOfWarp; ++i) {
    const uint4 row = x[i % kRowsAhead];
    const uint32_t mask = first + i < keys ? ~0u : 0;
    store_row({row.x & mask, row.y & mask, row.z & mask, row.w & mask}, tile, first + i);
    if (i + kRowsAhead < kKeysOfWarp) {
      x[i % kRowsAhead] = load_row(there, first + i + kRowsAhead);
    }
  }
}

template <bool kFp8>
__device__ __forceinline__ void wgmma_produce(const WgmmaArguments& arguments, const AttnTask& task,
                                              WgmmaShared<kFp8>& shared) {
  const int32_t lane = threadIdx.x % 32;
  const int32_t warp = threadIdx.x / 32 % 4;
  const int32_t in_pair = warp % 2, first = warp / 2 * kKeysOfWarp;
  TileWalk walk(arguments.p, task.t, task.first, task.last, arguments.d.first_slots, in_pair, 2);
  int32_t stage = in_pair;
  int32_t parity = 1;  // of the phase before the first, which has always ended
  for (int32_t keys = 0; keys >= 0;) {
    KeyPlace place;
    int32_t scope;
    keys = walk.next(place, scope);
    const uint32_t tile = shared_address(shared.tile[stage]);
    barrier_wait<32>(&shared.empty[stage], parity);
    // A pair whose second tile the walk does not reach has one of no keys.
    if (keys >= 0 || (in_pair == 1 && walk.just_ended())) {
      const ScopeRow& row = arguments.rows.scope[scope];
      const int32_t kv_head = task.head / row.heads_of_kv;
      const int32_t there = max(keys, 0);
      for (int32_t i = 0; i < (kFp8 ? 1 : row.parts); ++i) {
        const KeyTensor& tensor = row.part[i].tensor;
        const char* const own = lane < there ? tensor.at(place, kv_head) : tensor.data;
        if constexpr (kFp8) {
          fetch_fp8(own, first, there, tile, shared.scale[stage]);
        } else {
          fetch_part(row.part[i], own, first, there, tile);
        }
      }
    }
    if (lane == 0 && first == 0) shared.keys[stage] = keys;
    barrier_arrive_after_copies(&shared.full[stage]);
    barrier_arrive(&shared.full[stage]);
    stage ^= 2;
    parity ^= stage < 2;
  }
}

}  // namespace dsa::cuda

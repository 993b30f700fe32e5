// The consumers of the Hopper indexer: two warpgroups in ping-pong, each with 64 keys of a tile by
// all columns. While one multiplies, the other applies ReLU and weights to its products.
//
// Order of a score's sum over heads, the same in every variant: head h belongs to lane (h / 2) % 4
// of a quad; a lane adds its heads in ascending order by fused multiply-adds from 0; then
// (lane 0 + lane 1) + (lane 2 + lane 3); then times k_scale.
#pragma once

#include "cuda/element.cuh"
#include "cuda/indexer/sm90_tile.cuh"

namespace dsa::cuda::sm90 {

// The larger one; NaN if one is.
__device__ __forceinline__ float max_or_nan(float a, float b) {
  float out;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(out) : "f"(a), "f"(b));
  return out;
}

// products [64 keys, kColumns] = keys . queries, of which a thread holds a part.
template <class T>
__device__ __forceinline__ void multiply(float (&products)[T::kColumns / 2], uint32_t keys,
                                         uint32_t queries) {
  const uint64_t a = operand_at(keys);
  const uint64_t b = operand_at(queries);
#pragma unroll
  for (int32_t panel = 0; panel < T::kPanels; ++panel) {
#pragma unroll
    for (int32_t k = 0; k < kPanelRowBytes / kMmaBytes; ++k) {
      const uint32_t a_bytes = panel * kTileKeys * kPanelRowBytes + k * kMmaBytes;
      const uint32_t b_bytes = panel * T::kColumns * kPanelRowBytes + k * kMmaBytes;
      T::Element::mma(products, a + (a_bytes >> 4), b + (b_bytes >> 4), panel + k > 0);
    }
  }
}

// A lane's sums [kTokens, 2 keys] over its own heads. kGeneral: with the queries' `scale` (shared
// memory), and without what heads from Hi on give, which is NaN where a key is not finite.
template <class T, bool kGeneral>
__device__ __forceinline__ void sum_heads(const float (&products)[T::kColumns / 2],
                                          const float (&weights)[T::kColumns / 4],
                                          const float* scale, int32_t heads, float least,
                                          float (&sums)[2 * T::kTokens]) {
#pragma unroll
  for (int32_t token = 0; token < T::kTokens; ++token) {
    float a = 0, b = 0;
#pragma unroll
    for (int32_t block = 0; block < T::kHeads / 8; ++block) {
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        const int32_t j = token * (T::kHeads / 8) + block;
        float x = products[4 * j + i], y = products[4 * j + 2 + i];
        if (kGeneral) {
          const bool given = 8 * block + 2 * static_cast<int32_t>(threadIdx.x % 4) + i < heads;
          x = given ? x * scale[8 * j + i] : 0.0f;
          y = given ? y * scale[8 * j + i] : 0.0f;
        }
        a = fmaf(max_or_nan(x, least), weights[2 * j + i], a);
        b = fmaf(max_or_nan(y, least), weights[2 * j + i], b);
      }
    }
    sums[2 * token] = a;
    sums[2 * token + 1] = b;
  }
}

// Adds the sums of a quad's lanes. Each lane gives half of them away and keeps the other half,
// twice (of two sums: keeps one, then both lanes have it); sums[i] is then sum kept_sum<T>(lane) +
// i.
template <class T>
__device__ __forceinline__ void add_quad(float (&sums)[2 * T::kTokens], int32_t lane) {
  constexpr int32_t kHalf = T::kTokens;
#pragma unroll
  for (int32_t i = 0; i < kHalf; ++i) {
    const float give = lane & 1 ? sums[i] : sums[i + kHalf];
    const float keep = lane & 1 ? sums[i + kHalf] : sums[i];
    sums[i] = keep + __shfl_xor_sync(~0u, give, 1);
  }
  if constexpr (kHalf == 1) {
    sums[0] += __shfl_xor_sync(~0u, sums[0], 2);
  } else {
#pragma unroll
    for (int32_t i = 0; i < kHalf / 2; ++i) {
      const float give = lane & 2 ? sums[i] : sums[i + kHalf / 2];
      const float keep = lane & 2 ? sums[i + kHalf / 2] : sums[i];
      sums[i] = keep + __shfl_xor_sync(~0u, give, 2);
    }
  }
}
template <class T>
inline constexpr int32_t kKeptSums = T::kTokens == 1 ? 1 : T::kTokens / 2;
template <class T>
__device__ __forceinline__ int32_t kept_sum(int32_t lane) {
  return (lane & 1) * T::kTokens + (T::kTokens == 1 ? 0 : (lane >> 1 & 1) * kKeptSums<T>);
}

// What the epilogue of a tile needs of its stage, read before the stage is given back.
struct LaneTile {
  int32_t key[2];
  float scale[2];
  bool hidden[2];  // by the block table
};

template <class T>
__device__ __forceinline__ void store_scores(const ScoreCall& call,
                                             const typename T::Queries& query, const LaneTile& tile,
                                             const float (&sums)[2 * T::kTokens], int32_t lane) {
  if (T::kTokens == 1 && lane & 2) return;  // lanes 2 and 3 of a quad hold what 0 and 1 do
  const IndexerParams& p = call.p;
  const int64_t step = p.scores.stride[0];
  const int32_t first = kept_sum<T>(lane);
#pragma unroll
  for (int32_t i = 0; i < kKeptSums<T>; ++i) {
    const int32_t token = (first + i) / 2;
    const bool second = kKeptSums<T> > 1 ? i % 2 : first % 2;
    const int32_t key = second ? tile.key[1] : tile.key[0];
    const RowTarget& row = query.rows[token];
    if (key < row.begin || key >= row.end) continue;
    float score = sums[i] * (second ? tile.scale[1] : tile.scale[0]);
    bool hidden = second ? tile.hidden[1] : tile.hidden[0];
    if (p.rows.mask.given()) {
      const int64_t t = query.t + token;
      hidden = hidden || p.rows.hidden(t, {0, row.begin, row.end}, key);
    }
    if (hidden) {
      if (call.keep_hidden) continue;
      score = call.hidden;
    }
    if (p.scores.dtype == DSA_F32) {
      reinterpret_cast<float*>(row.scores)[key * step] = score;
    } else {
      reinterpret_cast<__nv_bfloat16*>(row.scores)[key * step] = __float2bfloat16_rn(score);
    }
  }
}

template <class T>
__device__ __forceinline__ void consume(const ScoreParams& s, typename T::Shared& shared) {
  const IndexerParams& p = s.call.p;
  const int32_t lane = threadIdx.x % 32;
  const int32_t own = threadIdx.x / 128 - 1;  // warpgroup
  const int32_t first_row = own * 64 + threadIdx.x % 128 / 32 * 16 + lane / 4;
  const float least = p.relu ? 0.0f : kMinusInfinity;
  // Products of 256 columns in turns: named barriers kTurn + warpgroup. Fewer columns wait for
  // memory anyway.
  constexpr bool kTurns = T::kColumns == 256;
  constexpr uint32_t kTurn = 1;
  float products[T::kColumns / 2];
  float weights[T::kColumns / 4];
  RingPlace<T::kStages> place;
  RingPlace<T::kQueryStages> query;
  const int64_t tiles = shared.share.count;
  if (kTurns && own == 1) turn_pass(kTurn, 256);
  for (int64_t n = 0; n < tiles; ++n) {
    typename T::Stage& stage = shared.stage[place.i];
    barrier_wait(&shared.keys_full[place.i], place.parity);
    if (stage.starts_group) {
      if (n > 0) {
        __syncwarp();
        if (lane == 0) barrier_arrive(&shared.queries_empty[query.i]);
        query.next();
      }
      barrier_wait(&shared.queries_full[query.i], query.parity);
#pragma unroll
      for (int32_t j = 0; j < T::kColumns / 8; ++j) {
        const float2 pair = *reinterpret_cast<const float2*>(
            &shared.query[query.i].weights[8 * j + 2 * (lane % 4)]);
        weights[2 * j] = pair.x;
        weights[2 * j + 1] = pair.y;
      }
    }
    // The copy engine's writes need no fence; those of threads do: queries, and keys without boxes.
    if (!s.boxes || stage.starts_group) fence_tensor_reads();
    if (kTurns) turn_wait(kTurn + own, 256);
    wgmma_fence();
    multiply<T>(products, shared_address(shared.keys[place.i]) + own * 64 * kPanelRowBytes,
                shared_address(shared.queries[query.i]));
    wgmma_commit();
    if (kTurns) turn_pass(kTurn + (own ^ 1), 256);

    LaneTile tile;
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      const int32_t row = first_row + 8 * i;
      tile.key[i] = stage.first_key + row;
      tile.scale[i] = p.keys.scale.given() ? stage.scale[row] : 1.0f;
      const int32_t bit = row >> s.box_shift;
      tile.hidden[i] = (stage.in_cache[bit / 32] >> bit % 32 & 1) == 0;
    }
    wgmma_wait<0>();
    __syncwarp();
    if (lane == 0) barrier_arrive(&shared.keys_empty[place.i]);
    place.next();

    const typename T::Queries& q = shared.query[query.i];
    float sums[2 * T::kTokens];
    if (p.q_scale.given() || p.heads != T::kHeads) {
      sum_heads<T, true>(products, weights, q.scale + 2 * (lane % 4), p.heads, least, sums);
    } else {
      sum_heads<T, false>(products, weights, nullptr, p.heads, least, sums);
    }
    add_quad<T>(sums, lane);
    store_scores<T>(s.call, q, tile, sums, lane);
  }
}

}  // namespace dsa::cuda::sm90

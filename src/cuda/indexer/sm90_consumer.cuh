// The consumers of the Hopper indexer: pairs of warpgroups. A pair works on one tile, 64 keys each
// by all columns: while one multiplies, the other applies ReLU and weights to its products. (Taking
// turns by barriers was 3 % slower than leaving the order to the tensor cores.) One pair with 256
// columns; two with fewer, each with every other tile: what little there is to compute must not
// wait for itself, because memory decides.
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
  constexpr int32_t kSteps = kPanelRowBytes / kMmaBytes;
  const uint64_t a = operand_at(keys);
  const uint64_t b = operand_at(queries);
#pragma unroll
  for (int32_t i = 0; i < T::kPanels * kSteps; ++i) {
    const uint32_t a_bytes = i / kSteps * kTileKeys * kPanelRowBytes + i % kSteps * kMmaBytes;
    const uint32_t b_bytes = i / kSteps * T::kColumns * kPanelRowBytes + i % kSteps * kMmaBytes;
    T::Element::mma(products, a + (a_bytes >> 4), b + (b_bytes >> 4), i > 0);
  }
  wgmma_commit();
}

// A lane's weights: of columns 8 j + 2 (lane % 4) and the next one. In registers where there is
// room.
template <class T>
struct LaneWeights {
  float own[T::kKeepWeights ? T::kColumns / 4 : 1];
  const float* shared;  // of the group's queries

  __device__ __forceinline__ void take(const typename T::Queries& query, int32_t lane) {
    shared = query.weights + 2 * (lane % 4);
    if constexpr (T::kKeepWeights) {
#pragma unroll
      for (int32_t j = 0; j < T::kColumns / 8; ++j) {
        const float2 pair = *reinterpret_cast<const float2*>(shared + 8 * j);
        own[2 * j] = pair.x;
        own[2 * j + 1] = pair.y;
      }
    }
  }
  __device__ __forceinline__ float2 pair(int32_t j) const {
    if constexpr (T::kKeepWeights) return {own[2 * j], own[2 * j + 1]};
    return *reinterpret_cast<const float2*>(shared + 8 * j);
  }
};

// A lane's sums [kTokens, 2 keys] over its own heads. kGeneral: with the queries' `scale` (shared
// memory), any `least`, and without what heads from Hi on give, which is NaN where a key is not
// finite.
//
// Products that are finite or NaN get their ReLU by x + |x|, which is exactly twice it, with half
// of the weight: additions have twice the rate of maxima. Four rows' sums grow side by side: one
// alone would wait 4 cycles for itself at every head; more would not fit into the registers.
template <class T, bool kGeneral>
__device__ __forceinline__ void sum_heads(const float (&products)[T::kColumns / 2],
                                          const LaneWeights<T>& weights, const float* scale,
                                          int32_t heads, float least,
                                          float (&sums)[2 * T::kTokens]) {
  constexpr int32_t kTogether = T::kTokens < 4 ? T::kTokens : 4;
  constexpr bool kDoubled = T::Element::kFinite && !kGeneral;
  constexpr float kWhole = 1.0f / T::kWeightFactor;
#pragma unroll
  for (int32_t i = 0; i < 2 * T::kTokens; ++i) sums[i] = 0;
#pragma unroll
  for (int32_t part = 0; part < T::kTokens / kTogether; ++part) {
#pragma unroll
    for (int32_t block = 0; block < T::kHeads / 8; ++block) {
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        const bool given = 8 * block + 2 * static_cast<int32_t>(threadIdx.x % 4) + i < heads;
#pragma unroll
        for (int32_t row = 0; row < kTogether; ++row) {
          const int32_t token = part * kTogether + row;
          const int32_t j = token * (T::kHeads / 8) + block;
          const float2 pair = weights.pair(j);
          const float weight = (i == 0 ? pair.x : pair.y) * (kDoubled ? 1.0f : kWhole);
#pragma unroll
          for (int32_t key = 0; key < 2; ++key) {
            float x = products[4 * j + 2 * key + i];
            if (kGeneral) x = given ? x * scale[8 * j + i] : 0.0f;
            x = kDoubled ? x + fabsf(x) : max_or_nan(x, least);
            sums[2 * token + key] = fmaf(x, weight, sums[2 * token + key]);
          }
        }
      }
    }
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

// What the epilogue of 64 keys needs of their stage, read before the stage is given back.
struct LaneKeys {
  int32_t key[2];
  float scale[2];
  bool hidden[2];  // by the block table
};

template <class T>
__device__ __forceinline__ LaneKeys read_keys(const ScoreParams& s, const typename T::Stage& stage,
                                              int32_t first_row) {
  LaneKeys out;
#pragma unroll
  for (int32_t i = 0; i < 2; ++i) {
    const int32_t row = first_row + 8 * i;
    out.key[i] = stage.first_key + row;
    out.scale[i] = s.call.p.keys.scale.given() ? stage.scale[row] : 1.0f;
    const int32_t bit = row >> s.box_shift;
    out.hidden[i] = (stage.in_cache[bit / 32] >> bit % 32 & 1) == 0;
  }
  return out;
}

// The rows of a lane's sums: in registers where there is room.
template <class T>
struct LaneTargets {
  static constexpr int32_t kRows = kKeptSums<T> == 1 ? 1 : kKeptSums<T> / 2;
  static constexpr bool kKeep = kRows == 1;
  RowTarget own;
  const RowTarget* shared;

  __device__ __forceinline__ void take(const typename T::Queries& query, int32_t lane) {
    shared = query.rows + kept_sum<T>(lane) / 2;
    if (kKeep) own = *shared;
  }
  __device__ __forceinline__ RowTarget row(int32_t i) const { return kKeep ? own : shared[i]; }
};

// Scores that are not simply f32 in adjacent columns.
__device__ __forceinline__ void store_general(const ScoreCall& call, const RowTarget& row,
                                              int64_t t, int32_t key, float score, bool hidden) {
  const IndexerParams& p = call.p;
  if (hidden || p.rows.hidden(t, {0, row.begin, row.end}, key)) {
    if (call.keep_hidden) return;
    score = call.hidden;
  }
  store_element(row.scores, p.scores.dtype, key * p.scores.stride[0], score);
}

template <class T>
__device__ __forceinline__ void store_scores(const ScoreCall& call, bool simple, int64_t t,
                                             const LaneTargets<T>& targets, const LaneKeys& keys,
                                             const float (&sums)[2 * T::kTokens], int32_t lane) {
  const int32_t first = kept_sum<T>(lane);
  const bool twin = T::kTokens == 1 && lane & 2;  // has the same sum as lane - 2
#pragma unroll
  for (int32_t i = 0; i < kKeptSums<T>; ++i) {
    const RowTarget row = targets.row(i / 2);
    const bool second = kKeptSums<T> > 1 ? i % 2 : first % 2;
    const int32_t key = second ? keys.key[1] : keys.key[0];
    const bool hidden = second ? keys.hidden[1] : keys.hidden[0];
    const float score = sums[i] * (second ? keys.scale[1] : keys.scale[0]);
    const bool seen = key >= row.begin && key < row.end && !twin;
    if (simple) {
      if (seen && !(hidden && call.keep_hidden)) {
        reinterpret_cast<float*>(row.scores)[key] = hidden ? call.hidden : score;
      }
    } else if (seen) {
      store_general(call, row, t + (first + i) / 2, key, score, hidden);
    }
  }
}

template <class T>
class Consumer {
 public:
  __device__ Consumer(const ScoreParams& s, typename T::Shared& shared) : s_(s), shared_(shared) {}

  __device__ __forceinline__ void run() {
    const IndexerParams& p = s_.call.p;
    const int32_t own = threadIdx.x / 128 - 1;  // warpgroup
    const int32_t block = own % 2;
    const int32_t first_row = block * kBlockKeys + threadIdx.x % 128 / 32 * 16 + lane() / 4;
    const bool simple =
        p.scores.dtype == DSA_F32 && p.scores.stride[0] == 1 && !p.rows.mask.given();
    const float least = p.relu ? 0.0f : kMinusInfinity;
    const bool general =
        p.q_scale.given() || p.heads != T::kHeads || (T::Element::kFinite && !p.relu);
    LaneWeights<T> weights;
    LaneTargets<T> targets;
    int32_t group = -1;
    RingPlace<T::kStages> place;
    if (own / 2 == 1) place.next();
    const int64_t tiles = shared_.share.count;
    for (int64_t n = own / 2; n < tiles; n += T::kPairs) {
      typename T::Stage& stage = shared_.stage[place.i];
      barrier_spin(&shared_.keys_full[place.i], place.parity);
      const bool new_queries = stage.group != group;
      if (new_queries) {
        take_queries(stage.group, group);
        weights.take(query(group), lane());
        targets.take(query(group), lane());
      }
      // The copy engine's writes need no fence; those of threads do: queries, and keys of rows.
      if (new_queries || !s_.boxes) fence_async_proxy();

      float products[T::kColumns / 2];
      wgmma_fence();
      multiply<T>(products,
                  shared_address(shared_.keys[place.i]) + block * kBlockKeys * kPanelRowBytes,
                  shared_address(shared_.queries[group % T::kQueryStages]));
      const LaneKeys keys = read_keys<T>(s_, stage, first_row);
      wgmma_wait<0>();
      __syncwarp();
      if (lane() == 0) barrier_arrive(&shared_.keys_empty[place.i]);
#pragma unroll
      for (int32_t i = 0; i < T::kPairs; ++i) place.next();

      float sums[2 * T::kTokens];
      if (general) {
        sum_heads<T, true>(products, weights, query(group).scale + 2 * (lane() % 4), p.heads, least,
                           sums);
      } else {
        sum_heads<T, false>(products, weights, nullptr, p.heads, least, sums);
      }
      add_quad<T>(sums, lane());
      store_scores<T>(s_.call, simple, query(group).t, targets, keys, sums, lane());
    }
  }

 private:
  __device__ __forceinline__ static int32_t lane() { return threadIdx.x % 32; }
  __device__ __forceinline__ const typename T::Queries& query(int32_t group) const {
    return shared_.query[group % T::kQueryStages];
  }

  // Gives back the queries of the groups before `wanted`, also of those of which this warpgroup had
  // no tile, and waits for the new ones.
  __device__ __forceinline__ void take_queries(int32_t wanted, int32_t& group) {
    while (group < wanted) {
      __syncwarp();
      if (group >= 0 && lane() == 0) {
        barrier_arrive(&shared_.queries_empty[group % T::kQueryStages]);
      }
      ++group;
      barrier_spin(&shared_.queries_full[group % T::kQueryStages], group / T::kQueryStages & 1);
    }
  }

  const ScoreParams& s_;
  typename T::Shared& shared_;
};

}  // namespace dsa::cuda::sm90

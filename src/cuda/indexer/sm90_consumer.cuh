// The consumers of the Hopper indexer: pairs of warpgroups. A pair works on one tile, 64 keys each
// by all columns: while one multiplies, the other applies ReLU and weights to its products. One
// pair with 256 columns; two with fewer, each with every other tile: what little there is to
// compute must not wait for itself, because memory decides.
//
// A pair's two warps of a scheduler have 512 additions and products to issue in the 1024 cycles
// that a tile takes the tensor cores, and only one of them is awake at most times: every
// instruction beside those, every latency of an address that is found again, lengthens the tile.
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

// products [64 keys, kColumns] = keys . queries, of which a thread holds a part. With turns the
// last instruction is committed apart.
template <class T>
__device__ __forceinline__ void multiply(float (&products)[T::kColumns / 2], uint32_t keys,
                                         uint32_t queries) {
  constexpr int32_t kSteps = kPanelRowBytes / kMmaBytes;
  constexpr int32_t kCount = T::kPanels * kSteps;
#pragma unroll
  for (int32_t i = 0; i < kCount; ++i) {
    const uint32_t a = i / kSteps * T::kKeys * kPanelRowBytes + i % kSteps * kMmaBytes;
    const uint32_t b = i / kSteps * T::kColumns * kPanelRowBytes + i % kSteps * kMmaBytes;
    T::Element::mma(products, operand_at(keys, a), operand_at(queries, b), i > 0);
    if (i + 1 == kCount || (T::kTurns && i + 2 == kCount)) wgmma_commit();
  }
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
// of the weight: additions have twice the rate of maxima, with which FP8 took 18 % longer. Four
// rows' sums grow side by side: one alone would wait 4 cycles for itself at every head; more would
// not fit into the registers.
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

// Where a lane's two keys lie in a tile.
class OwnKeys {
 public:
  // Of the warpgroup's `block` of 64 keys.
  __device__ OwnKeys(const ScoreParams& s, int32_t block) {
    const int32_t thread = threadIdx.x % 128;
    first_ = kept_own(block * kBlockKeys + thread / 32 * 16 + thread % 32 / 4);
    bit_ = kept_own(first_ >> s.keys.shift);
    next_bit_ = kept_own((first_ + 8) >> s.keys.shift);
  }
  template <class Stage>
  __device__ __forceinline__ LaneKeys read(const Stage& stage) const {
    const int32_t key = stage.first_key + first_;
    return {{key, key + 8},
            {stage.scale[first_], stage.scale[first_ + 8]},
            {hidden(stage.in_cache, bit_), hidden(stage.in_cache, next_bit_)}};
  }

 private:
  __device__ __forceinline__ static bool hidden(const uint32_t* in_cache, int32_t bit) {
    return (in_cache[bit / 32] >> bit % 32 & 1) == 0;
  }
  int32_t first_, bit_, next_bit_;
};

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

// The rest of storing a lane's sums: calls store(i-th kept sum's row, key, hidden, score) for those
// that their rows see.
template <class T, class Store>
__device__ __forceinline__ void for_scores(const LaneTargets<T>& targets, const LaneKeys& keys,
                                           const float (&sums)[2 * T::kTokens], int32_t lane,
                                           Store store) {
  const int32_t first = kept_sum<T>(lane);
  const bool twin = T::kTokens == 1 && lane & 2;  // has the same sum as lane - 2
#pragma unroll
  for (int32_t i = 0; i < kKeptSums<T>; ++i) {
    const RowTarget row = targets.row(i / 2);
    const bool second = kKeptSums<T> > 1 ? i % 2 : first % 2;
    const int32_t key = second ? keys.key[1] : keys.key[0];
    const bool hidden = second ? keys.hidden[1] : keys.hidden[0];
    const float score = sums[i] * (second ? keys.scale[1] : keys.scale[0]);
    const bool seen = (key >= row.begin) & (key < row.end) & !twin;
    store(row, (first + i) / 2, key, score, hidden, seen);
  }
}

// f32 in adjacent columns, no mask.
template <class T>
__device__ __forceinline__ void store_plain(float of_hidden, bool keep_hidden,
                                            const LaneTargets<T>& targets, const LaneKeys& keys,
                                            const float (&sums)[2 * T::kTokens], int32_t lane) {
  for_scores<T>(
      targets, keys, sums, lane,
      [&](const RowTarget& row, int32_t, int32_t key, float score, bool hidden, bool seen) {
        const float written = hidden ? of_hidden : score;
        if (seen & !(hidden & keep_hidden)) {
          reinterpret_cast<float*>(row.scores)[key] = written;
        }
      });
}

template <class T, bool kPlain>
__device__ __forceinline__ void store_scores(const ScoreCall& call,
                                             const typename T::Queries& query,
                                             const LaneTargets<T>& targets, const LaneKeys& keys,
                                             const float (&sums)[2 * T::kTokens], int32_t lane) {
  if constexpr (kPlain) {
    store_plain<T>(call.hidden, call.keep_hidden, targets, keys, sums, lane);
  } else {
    for_scores<T>(
        targets, keys, sums, lane,
        [&](const RowTarget& row, int32_t token, int32_t key, float score, bool hidden, bool seen) {
          if (seen) store_general(call, row, query.t + token, key, score, hidden);
        });
  }
}

template <class T>
class Consumer {
 public:
  __device__ Consumer(const ScoreParams& s, typename T::Shared& shared) : s_(s), shared_(shared) {}

  __device__ __forceinline__ void run() {
    const IndexerParams& p = s_.call.p;
    const bool plain_sums =
        !p.q_scale.given() && p.heads == T::kHeads && (p.relu || !T::Element::kFinite);
    const bool plain_scores =
        p.scores.dtype == DSA_F32 && p.scores.stride[0] == 1 && !p.rows.mask.given();
    if (plain_sums && plain_scores) {
      run_tiles<true>();
    } else {
      run_tiles<false>();
    }
    if (s_.call.inputs_ready) wait_for_previous();  // blocks without a tile too
  }

 private:
  // The plain case has a loop of its own: one for both jumps over the other's code several times a
  // tile, out of what the instruction cache has ready.
  template <bool kPlain>
  __device__ __forceinline__ void run_tiles() {
    const int32_t own = kept(threadIdx.x / 128 - 1);  // warpgroup
    const int32_t block = own % 2;
    const OwnKeys own_keys(s_, block);
    const float least = s_.call.p.relu ? 0.0f : kMinusInfinity;
    LaneWeights<T> weights;
    LaneTargets<T> targets;
    int32_t group = -1, next_group = 0;
    bool ready = false;  // the next tile is there, and next_group is its group
    RingPlace<T::kStages> place;
    if (own / 2 == 1) place.next();
    if (T::kTurns && own == 1) turn_pass(kTurn, 256);
    const int64_t tiles = shared_.share.count;
    for (int64_t n = own / 2; n < tiles; n += T::kPairs) {
      const typename T::Stage& stage = shared_.stage[place.i];
      if (!ready) {
        barrier_spin(&shared_.keys_full[place.i], place.parity);
        next_group = stage.group;
      }
      const bool new_queries = next_group != group;
      if (__builtin_expect(new_queries, false)) {
        take_queries(next_group, group);
        if (s_.call.inputs_ready) wait_for_previous();
        weights.take(query(group), lane());
        targets.take(query(group), lane());
      }
      // The copy engine's writes need no fence; those of threads do: queries, and keys of rows.
      if (new_queries || !s_.boxes) fence_async_proxy();

      float products[T::kColumns / 2];
      if (T::kTurns) turn_wait(kTurn + own, 256);
      wgmma_fence();
      multiply<T>(products,
                  shared_address(shared_.keys[place.i]) + block * kBlockKeys * kPanelRowBytes,
                  shared_address(shared_.queries[static_cast<uint32_t>(group) % T::kQueryStages]));
      const LaneKeys keys = own_keys.read(stage);
      if (T::kTurns) {
        wgmma_wait<1>();  // one instruction covers the way over
        turn_pass(kTurn + (own ^ 1), 256);
      }
      wgmma_wait<0>();
      barrier_arrive(&shared_.keys_empty[place.i]);
#pragma unroll
      for (int32_t i = 0; i < T::kPairs; ++i) place.next();
      ready = barrier_ended_now(&shared_.keys_full[place.i], place.parity);

      float sums[2 * T::kTokens];
      sum_heads<T, !kPlain>(products, weights, query(group).scale + 2 * (lane() % 4),
                            s_.call.p.heads, least, sums);
      if (ready) next_group = shared_.stage[place.i].group;
      add_quad<T>(sums, lane());
      store_scores<T, kPlain>(s_.call, query(group), targets, keys, sums, lane());
    }
  }

  static constexpr uint32_t kTurn = 1;  // named barriers kTurn + warpgroup

  __device__ __forceinline__ static int32_t lane() { return threadIdx.x % 32; }
  __device__ __forceinline__ const typename T::Queries& query(int32_t group) const {
    return shared_.query[static_cast<uint32_t>(group) % T::kQueryStages];
  }

  // Gives back the queries of the groups before `wanted`, also of those of which this warpgroup had
  // no tile, and waits for the new ones. Every lane says so for itself, here as for keys: racecheck
  // follows barriers lane by lane.
  __device__ __forceinline__ void take_queries(int32_t wanted, int32_t& group) {
    while (group < wanted) {
      if (group >= 0) {
        barrier_arrive(&shared_.queries_empty[static_cast<uint32_t>(group) % T::kQueryStages]);
      }
      ++group;
      barrier_spin(&shared_.queries_full[static_cast<uint32_t>(group) % T::kQueryStages],
                   static_cast<uint32_t>(group) / T::kQueryStages & 1);
    }
  }

  const ScoreParams& s_;
  typename T::Shared& shared_;
};

}  // namespace dsa::cuda::sm90

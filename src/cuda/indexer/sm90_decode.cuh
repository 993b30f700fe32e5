// The Hopper indexer for few rows of each request: small blocks, several of a multiprocessor, each
// with every n-th tile of one request's keys. No warp waits for what another finds out, and what
// does not depend on a length is asked for before it: a call of one row waits for the block table,
// then for its keys, then for one product. 8192 keys (FP8, pages) take 2.3 us so, and 7 in the form
// for many rows, whose blocks fill a multiprocessor each.
//
// Scores have the same bits in both forms: the sums are those of sm90_consumer.cuh.
#pragma once

#include "cuda/indexer/sm90_consumer.cuh"
#include "cuda/indexer/sm90_decode_share.cuh"

namespace dsa::cuda::sm90 {

template <class Element_, int kHeads_, int kColumns_>
struct DecodeTile {
  using Element = Element_;
  static constexpr int32_t kHeads = kHeads_;
  static constexpr int32_t kColumns = kColumns_;
  static constexpr int32_t kTokens = kColumns / kHeads;
  static constexpr int32_t kKeys = kBlockKeys;
  static constexpr bool kTurns = false;
  static constexpr bool kKeepWeights = kColumns == 64;
  static constexpr float kWeightFactor = Element::kFinite ? 0.5f : 1.0f;
  static constexpr int32_t kPanels = 128 * Element::kBytes / kPanelRowBytes;
  static constexpr int32_t kConsumers = 128;
  static constexpr int32_t kThreads = kConsumers + 32;
  static constexpr int32_t kQueryBytes = kPanels * kColumns * kPanelRowBytes;
  static constexpr int32_t kKeyBytes = kPanels * kKeys * kPanelRowBytes;
  static constexpr int32_t kStages = 4;
  // As many as fit. Else blocks of the stream's next kernel that start early lie on some
  // multiprocessors and not on others, and so do their successors: 138 MB of keys took 44 us call
  // after call instead of 39.
  static constexpr int32_t kBlocks = kPanels > 1 ? 2 : kColumns == 64 ? 5 : 4;
  static_assert(kTokens <= 4);  // a lane's sums are of one row

  struct Queries {};  // weights and rows are read from memory
  struct Shared {
    alignas(1024) uint8_t queries[kQueryBytes];
    alignas(1024) uint8_t keys[kStages][kKeyBytes];
    alignas(16) float scale[kStages][kKeys];
    alignas(8) float weights[kColumns];  // but where threads keep them
    bool hidden[kStages];                // the tile's page lies outside the cache
    uint64_t full[kStages], empty[kStages];
    uint64_t queries_full;
  };
};

// -inf in the columns that no key of theirs is visible in, of all rows: a warp of each block.
__device__ inline void fill_columns(const DecodeParams& p, int32_t lane) {
  constexpr int32_t kPart = 2048;  // columns
  const int32_t parts = (p.fill_columns + kPart - 1) / kPart;
  for (int32_t i = blockIdx.x; i < p.units * p.rows * parts; i += gridDim.x) {
    const int32_t row = i / parts;
    const int32_t unit = row / p.rows;
    const int32_t begin = i % parts * kPart;
    const int32_t end = min(begin + kPart, p.fill_columns);
    float* const scores = reinterpret_cast<float*>(p.scores + row * p.score_stride);
    for (int32_t c = max(begin, end_of(p, unit, row - unit * p.rows)) + lane; c < end; c += 32) {
      scores[c] = kMinusInfinity;
    }
  }
}

// A lane's work: the n-th tile of a share to its stage.
template <class T>
__device__ __forceinline__ void copy_tile(const DecodeParams& p, typename T::Shared& shared,
                                          int32_t n, int32_t tile, int32_t outer) {
  const int32_t i = n % T::kStages;
  uint64_t* const full = &shared.full[i];
  const bool scales = p.keys.scales != BoxScales::kOne;
  if (n >= T::kStages) barrier_spin(&shared.empty[i], (n / T::kStages & 1) ^ 1);
  shared.hidden[i] = outer < 0;
  barrier_arrive_expecting(full,
                           outer < 0 ? 0 : T::kKeyBytes + (scales ? sizeof shared.scale[0] : 0));
  if (outer < 0) return;
  const int32_t y = (p.table ? p.page_tiles == 1 ? 0 : tile % p.page_tiles : tile) * T::kKeys;
  const uint32_t to = shared_address(shared.keys[i]);
#pragma unroll
  for (int32_t panel = 0; panel < T::kPanels; ++panel) {
    copy_box(to + panel * T::kKeys * kPanelRowBytes, &p.keys.keys, panel * kPanelRowBytes, y, outer,
             full);
  }
  const uint32_t to_scale = shared_address(shared.scale[i]);
  if (p.keys.scales == BoxScales::kMap) copy_box(to_scale, &p.keys.scale, y, outer, 0, full);
  if (p.keys.scales == BoxScales::kRun) {
    copy_bulk(to_scale, p.key_scale + outer * p.key_scale_stride + y * int64_t{sizeof(float)},
              sizeof shared.scale[0], full);
  }
}

// One warp: the unit's queries and the tiles of keys, a lane each.
template <class T>
__device__ __forceinline__ void produce(const DecodeParams& p, typename T::Shared& shared,
                                        const DecodeShare& share, int32_t lane) {
  int32_t outer = outer_of(p, share.unit, share.first + lane * share.step);
  const int32_t count = share.count();
  if (count == 0) return;
  if (lane == 0) {
    barrier_arrive_expecting(&shared.queries_full,
                             p.rows * T::kHeads * T::kPanels * kPanelRowBytes);
  }
  __syncwarp();
  if (lane < p.rows) {
    const uint32_t to = shared_address(shared.queries) + lane * T::kHeads * kPanelRowBytes;
#pragma unroll
    for (int32_t panel = 0; panel < T::kPanels; ++panel) {
      copy_box(to + panel * T::kColumns * kPanelRowBytes, &p.queries_map, panel * kPanelRowBytes, 0,
               p.first_row + share.unit * p.rows + lane, &shared.queries_full);
    }
  }
  for (int32_t n = 0; n < count; ++n) {
    if (n > 0 && n % 32 == 0) {
      outer = outer_of(p, share.unit, share.first + (n + lane) * share.step);
    }
    if (lane == n % 32) copy_tile<T>(p, shared, n, share.first + n * share.step, outer);
    // In order: a lane two phases ahead of the consumers would find the parity that it waits for.
    __syncwarp();
  }
}

// Weights of columns [column, column + 1] of a unit.
template <class T>
__device__ __forceinline__ float2 weights_of(const DecodeParams& p, int32_t first_row,
                                             int32_t column) {
  const int32_t row = column / T::kHeads;
  if (row >= p.rows) return {0, 0};
  const float2 pair = *reinterpret_cast<const float2*>(p.w + (first_row + row) * p.w_stride +
                                                       column % T::kHeads * int64_t{sizeof(float)});
  return {pair.x * T::kWeightFactor, pair.y * T::kWeightFactor};
}

template <class T>
__device__ __forceinline__ LaneWeights<T> load_weights(const DecodeParams& p,
                                                       typename T::Shared& shared,
                                                       int32_t first_row, int32_t lane) {
  LaneWeights<T> weights;
  if constexpr (T::kKeepWeights) {
#pragma unroll
    for (int32_t j = 0; j < T::kColumns / 8; ++j) {
      const float2 pair = weights_of<T>(p, first_row, 8 * j + 2 * (lane % 4));
      weights.own[2 * j] = pair.x;
      weights.own[2 * j + 1] = pair.y;
    }
  } else {
    const int32_t column = 2 * static_cast<int32_t>(threadIdx.x);
    if (column < T::kColumns) {
      *reinterpret_cast<float2*>(&shared.weights[column]) = weights_of<T>(p, first_row, column);
    }
    turn_wait(1, T::kConsumers);
    weights.shared = shared.weights + 2 * (lane % 4);
  }
  return weights;
}

// The rest: products, sums over heads, scores.
template <class T>
__device__ __forceinline__ void consume(const DecodeParams& p, typename T::Shared& shared,
                                        const DecodeShare& share, int32_t lane) {
  const int32_t first_row = share.unit * p.rows;
  const LaneWeights<T> weights = load_weights<T>(p, shared, first_row, lane);
  const int32_t row = kept_sum<T>(lane) / 2;
  LaneTargets<T> targets;
  targets.own = {p.scores + (first_row + row) * p.score_stride, 0,
                 row < p.rows ? end_of(p, share.unit, row) : 0};
  const bool one_scale = p.keys.scales == BoxScales::kOne;
  const float only_scale =
      one_scale && p.key_scale ? *reinterpret_cast<const float*>(p.key_scale) : 1.0f;
  const float least = p.relu ? 0.0f : kMinusInfinity;
  const int32_t first_key = static_cast<int32_t>(threadIdx.x / 32) * 16 + lane / 4;
  const int32_t count = share.count();
  for (int32_t n = 0; n < count; ++n) {
    const int32_t i = n % T::kStages;
    if (n == 0) barrier_spin(&shared.queries_full, 0);
    barrier_spin(&shared.full[i], n / T::kStages & 1);
    float products[T::kColumns / 2];
    wgmma_fence();
    multiply<T>(products, shared_address(shared.keys[i]), shared_address(shared.queries));
    const int32_t key = (share.first + n * share.step) * T::kKeys + first_key;
    const bool hidden = shared.hidden[i];
    const LaneKeys keys = {{key, key + 8},
                           {one_scale ? only_scale : shared.scale[i][first_key],
                            one_scale ? only_scale : shared.scale[i][first_key + 8]},
                           {hidden, hidden}};
    wgmma_wait<0>();
    barrier_arrive(&shared.empty[i]);
    float sums[2 * T::kTokens];
    sum_heads<T, false>(products, weights, nullptr, T::kHeads, least, sums);
    add_quad<T>(sums, lane);
    store_plain<T>(p.hidden, p.keep_hidden, targets, keys, sums, lane);
  }
}

template <class T>
__global__ void __launch_bounds__(T::kThreads, T::kBlocks)
    score_decode(const __grid_constant__ DecodeParams p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ __align__(1024) uint8_t memory[];
  typename T::Shared& shared = *reinterpret_cast<typename T::Shared*>(memory);
  if (threadIdx.x == T::kConsumers) {
    prefetch_map(&p.queries_map);
    prefetch_map(&p.keys.keys);
    if (p.keys.scales == BoxScales::kMap) prefetch_map(&p.keys.scale);
    for (int32_t i = 0; i < T::kStages; ++i) {
      barrier_init(&shared.full[i], 1);
      barrier_init(&shared.empty[i], T::kConsumers);
    }
    barrier_init(&shared.queries_full, 1);
    fence_barrier_init();
  }
  __syncthreads();
  wait_for_previous();
  let_next_start();
  const DecodeShare share(p);
  const int32_t lane = threadIdx.x % 32;
  if (threadIdx.x >= T::kConsumers) {
    produce<T>(p, shared, share, lane);
    fill_columns(p, lane);
  } else {
    consume<T>(p, shared, share, lane);
  }
#endif
}

}  // namespace dsa::cuda::sm90

// The Hopper indexer's kernel: one block a multiprocessor, a producer warpgroup and two consumers.
#pragma once

#include "cuda/indexer/sm90_consumer.cuh"
#include "cuda/indexer/sm90_producer.cuh"

namespace dsa::cuda::sm90 {

template <class T>
__device__ void set_up_barriers(typename T::Shared& shared, const ScoreParams& s) {
  if (threadIdx.x == 0) {
    for (int32_t i = 0; i < T::kStages; ++i) {
      barrier_init(&shared.keys_full[i], s.boxes ? 1 : 2 * 32 * kKeyWarps);
      barrier_init(&shared.keys_empty[i], 2 * 128);
    }
    for (int32_t i = 0; i < T::kQueryStages; ++i) {
      barrier_init(&shared.queries_full[i], 2 * 32);
      barrier_init(&shared.queries_empty[i], T::kPairs * 2 * 128);
    }
    fence_barrier_init();
    if (s.query_boxes) prefetch_map(&s.queries_map);
    if (s.boxes) prefetch_map(&s.keys.keys);
    if (s.boxes && s.keys.scales == BoxScales::kMap) prefetch_map(&s.keys.scale);
  }
}

// Heads and dimensions that no copy fills multiply as zeros.
template <class T>
__device__ void clear_operands(typename T::Shared& shared, const IndexerParams& p) {
  if (p.heads == T::kHeads && p.dim == T::kMaxDim) return;
  const auto clear = [](void* memory, int32_t bytes) {
    for (int32_t i = threadIdx.x; i < bytes / 16; i += T::kThreads) {
      static_cast<uint4*>(memory)[i] = {0, 0, 0, 0};
    }
  };
  clear(shared.queries, sizeof shared.queries);
  clear(shared.keys, sizeof shared.keys);
  fence_async_proxy();
}

// One scale for all keys, or none.
template <class T>
__device__ void spread_scale(typename T::Shared& shared, const IndexerParams& p) {
  const float scale =
      p.keys.scale.given() ? *reinterpret_cast<const float*>(p.keys.scale.data) : 1.0f;
  for (int32_t i = threadIdx.x; i < T::kStages * kTileKeys; i += T::kThreads) {
    shared.stage[i / kTileKeys].scale[i % kTileKeys] = scale;
  }
}

template <class T>
__global__ void __launch_bounds__(T::kThreads, 1)
    score_keys(const __grid_constant__ ScoreParams s) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ __align__(1024) uint8_t memory[];
  typename T::Shared& shared = *reinterpret_cast<typename T::Shared*>(
      __cvta_shared_to_generic(kept(shared_address(memory))));
  const RowBlocks<T::kTokens> blocks(s);
  set_up_barriers<T>(shared, s);
  clear_operands<T>(shared, s.call.p);
  if (!s.call.inputs_ready) wait_for_previous();
  if (!s.call.p.keys.scale.given() || (s.boxes && s.keys.scales == BoxScales::kOne)) {
    spread_scale<T>(shared, s.call.p);
  }
  find_share<T::kTokens, T::kThreads>(blocks, shared.sums, &shared.share);

  if (threadIdx.x < 128) {
    give_registers<T::kProducerRegisters>();
    const int32_t warp = threadIdx.x / 32;
    const int32_t lane = threadIdx.x % 32;
    if (warp < kKeyWarps) {
      if (!s.boxes) {
        RowProducer<T>(s, shared, warp, lane).run(blocks);
      } else {
        produce_boxes<T>(s, shared, blocks, warp, lane);
      }
    } else if (warp == kKeyWarps) {
      produce_queries<T>(s, shared, blocks, lane);
    } else if (s.call.fill) {
      fill_invisible(s.call, lane);
    }
  } else {
    take_registers<T::kConsumerRegisters>();
    Consumer<T>(s, shared).run();
  }
#endif
}

template <class Element, int kHeads, int kColumns>
constexpr Variant make_variant() {
  using T = Tile<Element, kHeads, kColumns>;
  return {kHeads, kColumns, T::kThreads, T::kSharedBytes, score_keys<T>};
}

template <class Element>
inline constexpr Variant kList[] = {
    make_variant<Element, 16, 64>(),   make_variant<Element, 16, 256>(),
    make_variant<Element, 32, 64>(),   make_variant<Element, 32, 256>(),
    make_variant<Element, 64, 64>(),   make_variant<Element, 64, 128>(),
    make_variant<Element, 64, 256>(),  make_variant<Element, 128, 128>(),
    make_variant<Element, 128, 256>(),
};
template <class Element>
inline constexpr Variants kVariants = {kList<Element>, sizeof kList<Element> / sizeof(Variant)};

}  // namespace dsa::cuda::sm90

// The kernel for few heads, and its launch.
#pragma once

#include "cuda/attention/arguments.cuh"
#include "cuda/attention/few_wgmma/consumer.cuh"
#include "cuda/attention/few_wgmma/copier.cuh"
#include "cuda/attention/few_wgmma/resolver.cuh"

namespace dsa::cuda {

template <class Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    few_attend(const __grid_constant__ FewArguments given) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  let_next_start();  // the merge, which waits for all of this
  extern __shared__ __align__(1024) uint8_t memory[];
  auto& shared = *reinterpret_cast<FewShared<Shape>*>(memory);
  copy_arguments(given, shared.arguments);
  const auto& arguments = *reinterpret_cast<const FewArguments*>(shared.arguments);
  if (threadIdx.x == 0) {
    if (shared_address(memory) % 1024 != 0) __trap();
    for (int32_t i = 0; i < Shape::kRing; ++i) {
      barrier_init(&shared.full[i], 32 * Shape::kCopyWarps);
      barrier_init(&shared.empty[i], Shape::kGroupThreads);
    }
    for (int32_t i = 0; i < 2 * kLists; ++i) {
      barrier_init(&shared.listed[i / 2][i % 2], 32);
      barrier_init(&shared.taken[i / 2][i % 2], 16 * Shape::kCopyWarps + Shape::kGroupThreads);
    }
    barrier_init(&shared.query_full, 32 * kQueryWarps);
    barrier_init(&shared.query_empty, Shape::kConsumers);
    barrier_init(&shared.together, Shape::kConsumers);
    fence_barrier_init();
  }
  wait_for_previous();
  __syncthreads();
  constexpr int32_t kFirstCopy = Shape::kConsumers / 32;
  constexpr int32_t kFirstResolve = kFirstCopy + Shape::kCopyWarps;
  constexpr int32_t kFirstQuery = kFirstResolve + kResolveWarps;
  const int32_t warp = __shfl_sync(~0u, threadIdx.x / 32, 0);
  if (warp >= kFirstCopy) {
    give_registers<Shape::kProducerRegisters>();
    if (warp >= kFirstQuery) {
      few_fetch_query(arguments, shared, threadIdx.x - 32 * kFirstQuery);
    } else if (warp >= kFirstResolve) {
      const int32_t half = warp - kFirstResolve;
      if (arguments.linear.data) {
        few_resolve<LinearWalk>(arguments, shared, half);
      } else {
        few_resolve<PlacedWalk>(arguments, shared, half);
      }
    } else {
      few_copy(arguments, shared, warp - kFirstCopy);
    }
    return;
  }
  take_registers<Shape::kConsumerRegisters>();
  // From the constants: branches on what lies in shared memory are not uniform, and without uniform
  // branches ptxas forms descriptors lane by lane.
  FewConsumer<Shape> consumer(given, shared);
  consumer.run();
#endif
}

template <class Shape>
cudaError_t few_launch(const SparseAttnParams& p, const Run& run) {
  const KeyRows rows = key_rows(p);
  const LinearKeys linear = linear_keys(p);
  const int32_t resident = run.device->multiprocessors;
  const AttnDivision division = attn_divide(p, Shape::kMostHeads, resident, kFewKeys);
  return attn_run(p, run, division, [&](const SparseAttnParams& with, const AttnDivision& d) {
    const int64_t blocks = std::min<int64_t>(d.blocks(), resident);
    return launch_function(few_attend<Shape>,
                           {.grid = static_cast<uint32_t>(blocks),
                            .block = Shape::kThreads,
                            .shared_bytes = sizeof(FewShared<Shape>),
                            .overlap_previous = true},
                           stream_of(run), FewArguments{with, d, rows, linear});
  });
}

template <class Shape>
cudaError_t few_load() {
  return load_function(few_attend<Shape>, sizeof(FewShared<Shape>));
}

}  // namespace dsa::cuda

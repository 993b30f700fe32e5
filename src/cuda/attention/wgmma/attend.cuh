// The wgmma attention kernel of a format, and its launch.
#pragma once

#include "cuda/attention/run.h"
#include "cuda/attention/wgmma/consumer.cuh"
#include "cuda/attention/wgmma/producer.cuh"

namespace dsa::cuda {

template <bool kFp8, bool kLinear>
__global__ void __launch_bounds__(kWgmmaThreads, 1)
    wgmma_attend(const __grid_constant__ WgmmaArguments arguments) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  let_next_start();  // the merge, which waits for all of this
  extern __shared__ __align__(1024) uint8_t memory[];
  auto& shared = *reinterpret_cast<WgmmaShared<kFp8>*>(memory);
  if (threadIdx.x == 0) {
    if (shared_address(memory) % 1024 != 0) __trap();
    for (int32_t i = 0; i < kTiles; ++i) {
      barrier_init(&shared.full[i], kFullArrivals);
      barrier_init(&shared.empty[i], kWgmmaConsumers);
    }
    fence_barrier_init();
  }
  wait_for_previous();
  __syncthreads();
  const AttnTask task(arguments.d, blockIdx.x);
  if (threadIdx.x >= kWgmmaConsumers) {
    give_registers<kFp8 ? 120 : 104>();
    wgmma_produce<kFp8, kLinear>(arguments, task, shared);
    return;
  }
  take_registers<kFp8 ? 192 : 200>();
  WgmmaConsumer<kFp8> consumer(arguments, task, shared);
  consumer.run();
#endif
}

template <bool kFp8>
cudaError_t wgmma_launch(const SparseAttnParams& p, const Run& run) {
  const KeyRows rows = key_rows(p);
  const LinearKeys linear = linear_keys(p);
  const AttnDivision division =
      attn_divide(p, kWgmmaHeads, run.device->multiprocessors, 2 * kTileKeys);
  return attn_run(p, run, division, [&](const SparseAttnParams& with, const AttnDivision& d) {
    return launch_function(linear.data ? wgmma_attend<kFp8, true> : wgmma_attend<kFp8, false>,
                           {.grid = static_cast<uint32_t>(d.blocks()),
                            .block = kWgmmaThreads,
                            .shared_bytes = sizeof(WgmmaShared<kFp8>),
                            .overlap_previous = true},
                           stream_of(run), WgmmaArguments{with, d, rows, linear});
  });
}

template <bool kFp8>
cudaError_t wgmma_load() {
  return load_functions(sizeof(WgmmaShared<kFp8>), wgmma_attend<kFp8, false>,
                        wgmma_attend<kFp8, true>);
}

}  // namespace dsa::cuda

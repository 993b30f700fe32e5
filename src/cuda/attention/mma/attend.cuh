// The tensor-core attention kernel of a format and a number of heads, and its launch.
#pragma once

#include <algorithm>

#include "cuda/attention/arguments.cuh"
#include "cuda/attention/mma/attend.h"
#include "cuda/attention/mma/consumer.cuh"

namespace dsa::cuda {

struct alignas(16) MmaArguments {
  SparseAttnParams p;
  AttnDivision d;
  MmaCall call;
};

template <class Format, int M>
__global__ void __launch_bounds__(MmaShape<M>::kThreads, MmaShape<M>::kBlocksOfSm)
    mma_attend(const __grid_constant__ MmaArguments arguments) {
  using Shape = MmaShape<M>;
  let_next_start();  // the merge, which waits for all of this
  extern __shared__ __align__(128) char memory[];
  __shared__ Stages stages;
  __shared__ __align__(16) char copied[sizeof(MmaArguments)];
  copy_arguments(arguments, copied);
  const SparseAttnParams& p = reinterpret_cast<const MmaArguments*>(copied)->p;
  const AttnDivision& d = reinterpret_cast<const MmaArguments*>(copied)->d;
  const MmaCall& call = reinterpret_cast<const MmaArguments*>(copied)->call;
  const int32_t all_stages = arguments.call.stages;
  const int32_t tile_bytes = kTileKeys * arguments.call.pitch;
  auto& scratch = *reinterpret_cast<MmaScratch<Format, M>*>(memory + all_stages * tile_bytes);
  const uint32_t tiles = shared_address(memory);
  if (threadIdx.x == 0) {
    for (int32_t i = 0; i < all_stages; ++i) {
      barrier_init(&stages.full[i], kFullArrivals);
      barrier_init(&stages.empty[i], Shape::kConsumers);
    }
    fence_barrier_init();
  }
  wait_for_previous();
  __syncthreads();
  const AttnTask task(d, blockIdx.x);
  if (threadIdx.x >= Shape::kConsumers) {
    give_registers<Shape::kProducerRegisters>();
    produce(p, d, call, task, stages, tiles);
    return;
  }
  take_registers<Shape::kConsumerRegisters>();
  // Opaque to the compiler, which would otherwise compute what follows from them anew in every
  // tile.
  const int32_t warp = __shfl_sync(~0u, threadIdx.x / 32, 0);
  int32_t lane;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
  MmaConsumer<Format, M> consumer(p, call, task, scratch, warp, lane);
  TileReader reader(stages, call, tiles);
  consumer.run(reader);
  consumer.finish(d, reinterpret_cast<float*>(memory));
}

// Shared memory that the kernel declares itself, with what alignment may add.
constexpr int32_t kMmaStatic = sizeof(Stages) + sizeof(MmaArguments) + 128;

// Stages that fit when `blocks` blocks share a multiprocessor.
template <class Format, int M>
int32_t mma_stages(const MmaCall& call, const DeviceInfo& device, int32_t blocks) {
  constexpr int32_t kReserved = 1024;  // of every block, by CUDA
  const int32_t scratch = sizeof(MmaScratch<Format, M>) + kMmaStatic;
  const int32_t room = (device.shared_bytes + kReserved) / blocks - kReserved - scratch;
  return std::min(kMostStages, room / (kTileKeys * call.pitch));
}

template <class Format, int M>
bool mma_launch(const SparseAttnParams& p, const Run& run, cudaError_t& error) {
  using Shape = MmaShape<M>;
  // Of the code that this device was given: the number of producers is compiled in.
  cudaFuncAttributes attributes;
  error = cudaFuncGetAttributes(&attributes, mma_attend<Format, M>);
  if (error != cudaSuccess) return true;
  const uint32_t threads = static_cast<uint32_t>(attributes.maxThreadsPerBlock);
  MmaCall call = {key_rows(p), linear_keys(p)};
  call.pitch = call.bytes / 16 % 2 == 1 ? call.bytes : call.bytes + 16;
  int32_t resident = Shape::kBlocksOfSm;
  call.stages = mma_stages<Format, M>(call, *run.device, resident);
  if (call.stages < 2 && resident > 1) {
    resident = 1;
    call.stages = mma_stages<Format, M>(call, *run.device, resident);
  }
  const int32_t sums = 16 * mma_sum_pitch(p.value_dim) * 4;
  if (call.stages < Shape::kLeastStages || call.stages * kTileKeys * call.pitch < sums)
    return false;
  const int32_t bytes =
      call.stages * kTileKeys * call.pitch + static_cast<int32_t>(sizeof(MmaScratch<Format, M>));
  const AttnDivision division =
      attn_divide(p, Shape::kHeads, int64_t{resident} * run.device->multiprocessors);
  error = attn_run(p, run, division, [&](const SparseAttnParams& with, const AttnDivision& d) {
    return launch_function(mma_attend<Format, M>,
                           {.grid = static_cast<uint32_t>(d.blocks()),
                            .block = threads,
                            .shared_bytes = bytes,
                            .overlap_previous = run.device->compute_capability >= 90},
                           stream_of(run), MmaArguments{with, d, call});
  });
  return true;
}

// Blocks of 32 heads where there are more than 16 and a tile fits beside their logits.
template <class Format>
cudaError_t mma_launch_format(const SparseAttnParams& p, const Run& run) {
  cudaError_t error = cudaErrorInvalidConfiguration;
  if (attn_group_heads(p) > 16 && mma_launch<Format, 2>(p, run, error)) return error;
  mma_launch<Format, 1>(p, run, error);
  return error;
}

template <class Format>
cudaError_t mma_load_format() {
  int device = 0, bytes = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  }
  if (error != cudaSuccess) return error;
  const int32_t dynamic = bytes - kMmaStatic;
  return load_functions(dynamic, mma_attend<Format, 1>, mma_attend<Format, 2>);
}

}  // namespace dsa::cuda

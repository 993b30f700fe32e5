// The cluster attention kernel of a format, for few queries: what counts is how many waits follow
// each other. 16 blocks of a cluster have 128 keys of a row each, all of them under way at once,
// and merge what they find without a second kernel.
#pragma once

#include "cuda/attention/arguments.cuh"
#include "cuda/attention/cluster/fetch.cuh"
#include "cuda/attention/cluster/logits_wgmma.cuh"
#include "cuda/attention/cluster/values_wgmma.cuh"
#include "cuda/attention/cluster/weights.cuh"
#include "cuda/attention/cluster_merge.cuh"

namespace dsa::cuda {

template <class Format, int kM>
__global__ void __launch_bounds__(kClusterThreads, 1)
    cluster_attend(const __grid_constant__ ClusterArguments arguments) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  let_next_start();
  extern __shared__ __align__(1024) char memory[];
  __shared__ __align__(16) char copied[sizeof(ClusterArguments)];
  copy_arguments(arguments, copied);
  const SparseAttnParams& p = reinterpret_cast<const ClusterArguments*>(copied)->p;
  const AttnDivision& d = reinterpret_cast<const ClusterArguments*>(copied)->d;
  const ClusterCall& call = reinterpret_cast<const ClusterArguments*>(copied)->call;
  using Shared = ClusterShared<Format, kM>;
  auto& shared = *reinterpret_cast<Shared*>(memory);
  if (threadIdx.x == 0) {
    if (shared_address(memory) % alignof(Shared) != 0) __trap();
    barrier_init(&shared.query_full, kClusterWarps);
    barrier_init(&shared.keys_full, kClusterKeys);
    fence_barrier_init();
  }
  wait_for_previous();
  __syncthreads();
  const AttnTask task(d, blockIdx.z, blockIdx.y, blockIdx.x);
  if (threadIdx.x >= kClusterComputing) {
    give_registers<72>();
    fetch_key(p, call, d.first_slots, task, threadIdx.x - kClusterComputing,
              Format::kIsFp8 ? kFp8RowBytes : call.rows.key_steps * 32, shared);
    return;
  }
  take_registers<216>();
  fetch_query(p, task, shared);
  barrier_wait(&shared.query_full, 0);
  if constexpr (Format::kIsFp8) convert_query(shared);
  sync_computing();
  const ClusterLogits<Format, kM> logits(shared);
  if constexpr (!kUsesWgmma<Shared>) sync_computing();  // the query's place is the logits' now
  barrier_wait(&shared.keys_full, 0);
  logits.find(shared);
  sync_computing();
  const ClusterPartials partials(p, d, task);
  find_weights<Format, kM>(shared, p.scale, task, partials);
  sync_computing();
  ClusterValues<Format, kM> values;
  values.add(shared, static_cast<int32_t>(d.split_slots));
  values.store(task, partials);
  merge_cluster<kClusterSplits>(p, task, partials);
#endif
}

template <class Format, int kM>
cudaError_t cluster_launch_heads(const SparseAttnParams& p, const Run& run) {
  const ClusterCall call = {key_rows(p), linear_keys(p)};
  AttnDivision division = attn_divide(p, 16 * kM, 1);
  // Whole tiles, as in other kernels: a capacity that is a little larger divides keys alike.
  constexpr int64_t kTiles = int64_t{kClusterSplits} * kTileKeys;
  division.split_slots = (attn_most_slots(p) + kTiles - 1) / kTiles * kTileKeys;
  division.splits = kClusterSplits;
  division.partials = attn_partials(p, division, attn_partial_pitch(p.value_dim), run.workspace);
  return attn_run_rows(p, run, division, [&](const SparseAttnParams& with, const AttnDivision& d) {
    return launch_function(cluster_attend<Format, kM>,
                           {.grid = {kClusterSplits, static_cast<uint32_t>(d.units_of_row()),
                                     static_cast<uint32_t>(d.rows)},
                            .block = kClusterThreads,
                            .shared_bytes = sizeof(ClusterShared<Format, kM>),
                            .cluster = kClusterSplits,
                            .overlap_previous = true},
                           stream_of(run), ClusterArguments{with, d, call});
  });
}

// Whether the device holds a cluster at all: not where its multiprocessors stand in small groups.
inline bool cluster_fits(void (*function)(ClusterArguments), size_t shared_bytes) {
  cudaLaunchAttribute attribute;
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {kClusterSplits, 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim = kClusterSplits;
  config.blockDim = kClusterThreads;
  config.dynamicSmemBytes = shared_bytes;
  config.attrs = &attribute;
  config.numAttrs = 1;
  int clusters = 0;
  return cudaOccupancyMaxActiveClusters(&clusters, function, &config) == cudaSuccess &&
         clusters > 0;
}

template <class Format>
bool cluster_launch_format(const SparseAttnParams& p, const Run& run, cudaError_t& error) {
  if (!cluster_fits(cluster_attend<Format, 2>, sizeof(ClusterShared<Format, 2>))) return false;
  // Partial results of each of the row's heads, in a workspace that goes by multiprocessors.
  const int64_t partials = p.rows * p.heads * kClusterSplits;
  if (partials > int64_t{kSplitHeadsOfSm} * run.device->multiprocessors) return false;
  error = cluster_heads(p) == 16 ? cluster_launch_heads<Format, 1>(p, run)
                                 : cluster_launch_heads<Format, 2>(p, run);
  return true;
}

template <class Format>
cudaError_t cluster_load_format() {
  cudaError_t error = load_function(cluster_attend<Format, 1>, sizeof(ClusterShared<Format, 1>));
  if (error == cudaSuccess) {
    error = load_function(cluster_attend<Format, 2>, sizeof(ClusterShared<Format, 2>));
  }
  // More than 8 blocks.
  for (auto* function : {cluster_attend<Format, 1>, cluster_attend<Format, 2>}) {
    if (error == cudaSuccess) {
      error = cudaFuncSetAttribute(function, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
    }
  }
  return error;
}

}  // namespace dsa::cuda

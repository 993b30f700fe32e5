// Launches of the cluster attention kernels, a file each, and which calls they take.
#pragma once

#include "cuda/attention/run.h"

namespace dsa::cuda {

constexpr int32_t kClusterSplits = 16;  // blocks of a cluster: a row's selection in 16 parts
constexpr int32_t kClusterKeys = 128;   // most of a block, all in its memory at once
// Clusters that an H100 or H200 holds at once, with one of these blocks on a multiprocessor.
constexpr int64_t kMostClusters = 7;

// Heads of a block, 16 or 32; 0: more blocks than the device holds at once.
int32_t cluster_heads(const SparseAttnParams& p);
const char* cluster_refuse(const SparseAttnParams& p);

// False: the device cannot hold a cluster.
bool cluster_launch_bf16(const SparseAttnParams& p, const Run& run, cudaError_t& error);
bool cluster_launch_fp8(const SparseAttnParams& p, const Run& run, cudaError_t& error);
cudaError_t cluster_load_bf16();
cudaError_t cluster_load_fp8();

}  // namespace dsa::cuda

// dsa_sparse_attn of few queries on Hopper: a thread block cluster a row and 16 or 32 of its heads.
#include <algorithm>

#include "cuda/attention/attention.h"
#include "cuda/attention/cluster/attend.h"
#include "cuda/attention/mma/attend.h"
#include "cuda/attention/rows.h"

namespace dsa::cuda {
namespace {

const char* refuse(const SparseAttnParams& p) {
  if (const char* reason = key_rows_refuse(p)) return reason;
  return cluster_refuse(p);
}

cudaError_t launch(const SparseAttnParams& p, const Run& run) {
  const bool fp8 = row_format(p) == RowFormat::kFp8_656;
  cudaError_t error = cudaSuccess;
  if (fp8 ? cluster_launch_fp8(p, run, error) : cluster_launch_bf16(p, run, error)) return error;
  return fp8 ? mma_launch_fp8(p, run) : mma_launch_bf16(p, run);
}

cudaError_t load() {
  cudaError_t error = cluster_load_bf16();
  if (error == cudaSuccess) error = cluster_load_fp8();
  if (error == cudaSuccess) error = mma_load_bf16();
  if (error == cudaSuccess) error = mma_load_fp8();
  return error == cudaSuccess ? attn_load_shared() : error;
}

}  // namespace

int32_t cluster_heads(const SparseAttnParams& p) {
  const int32_t group = attn_group_heads(p);
  const int64_t groups = p.rows * (p.heads / group);
  for (const int32_t heads : {16, 32}) {
    if (groups * ((group + heads - 1) / heads) <= kMostClusters) return heads;
  }
  return 0;
}

const char* cluster_refuse(const SparseAttnParams& p) {
  if (row_format(p) == RowFormat::kF16) return "keys are f16";
  if (p.value_dim == 0) return "out is absent";
  if (!query_in_units(p, 16)) return "q is not adjacent elements in 16-byte units";
  if (attn_most_slots(p) > kClusterSplits * kClusterKeys) {
    return "more keys a row than a cluster holds";
  }
  if (cluster_heads(p) == 0) return "more rows and heads than clusters at once";
  const KeyRows rows = key_rows(p);
  for (int32_t i = 0; i < p.scopes; ++i) {
    if (rows.scope[i].parts > 1) return "keys or values lie apart";
  }
  return nullptr;
}

constinit const Kernel kSparseAttnCluster =
    make_kernel<SparseAttnParams, refuse, attn_workspace, launch, load>(
        "cuda.sparse_attn.cluster_mma.sm90", "sm90", 90, 90);

}  // namespace dsa::cuda

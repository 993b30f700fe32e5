// dsa_sparse_attn on Hopper's tensor cores (wgmma): few heads over bf16 caches.
#include "cuda/attention/attention.h"
#include "cuda/attention/few_wgmma/attend.h"
#include "cuda/attention/mma/attend.h"
#include "cuda/attention/rows.h"
#include "cuda/attention/wgmma/attend.h"

namespace dsa::cuda {
namespace {

constexpr int32_t kMostHeads = 32;

// A call of fewer tasks, each a row's heads, is split, and then blocks with less to begin are
// faster: bf16, 16 heads, 16 queries 25.4 us by mma and here 26.3, 32 queries 33.6 and 32.4; 32
// heads, 16 queries 29.0 us by wgmma and here 30.9. (Of 16 heads and of few tasks mma is ahead of
// wgmma.)
constexpr int64_t kLeastTasks = 32, kLeastWgmmaTasks = 4;

const char* refuse(const SparseAttnParams& p) {
  if (const char* reason = key_rows_refuse(p)) return reason;
  if (row_format(p) != RowFormat::kBf16) return "keys are not bf16";
  if (attn_group_heads(p) > kMostHeads) return "many heads share keys";
  if (p.value_dim == 0) return "out is absent";
  if (!query_in_units(p, 16)) return "q is not adjacent elements in 16-byte units";
  const KeyRows rows = key_rows(p);
  if (rows.key_steps != 32 && rows.key_steps != 36) return "keys are not 512 or 576 elements";
  for (int32_t i = 0; i < p.scopes; ++i) {
    if (rows.scope[i].value_offset > 0) return "values lie apart from their keys";
  }
  return nullptr;
}

cudaError_t launch(const SparseAttnParams& p, const Run& run) {
  const int32_t group = attn_group_heads(p);
  const int64_t tasks = p.rows * (p.heads / group);
  if (tasks >= kLeastTasks) return few_launch_bf16(p, run);
  const bool many = group > 16 && tasks >= kLeastWgmmaTasks;
  return many ? wgmma_launch_bf16(p, run) : mma_launch_bf16(p, run);
}

cudaError_t load() {
  cudaError_t error = few_load_bf16();
  if (error == cudaSuccess) error = wgmma_load_bf16();
  if (error == cudaSuccess) error = mma_load_bf16();
  return error == cudaSuccess ? attn_load_shared() : error;
}

}  // namespace

constinit const Kernel kSparseAttnFew =
    make_kernel<SparseAttnParams, refuse, attn_workspace, launch, load>(
        "cuda.sparse_attn.few_wgmma.sm90", "sm90", 90, 90);

}  // namespace dsa::cuda

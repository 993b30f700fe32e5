// dsa_sparse_attn on Hopper's tensor cores (wgmma): many heads over bf16 and KV_FP8_656 caches.
#include "cuda/attention/attention.h"
#include "cuda/attention/mma/attend.h"
#include "cuda/attention/rows.h"
#include "cuda/attention/wgmma/attend.h"

namespace dsa::cuda {
namespace {

// With fewer heads mma is faster, which has blocks of 16 and of 32 (32 heads, bf16, 4096
// queries: 3.2 ms against 2.7 here; FP8, 128 queries: 120 us against 140).
constexpr int32_t kLeastHeads = 17, kLeastHeadsFp8 = 33;

// A call of fewer tiles, each 64 heads of a row, takes mma's smaller blocks: one query of 64 heads
// of FP8 19 us, here 23.
constexpr int64_t kLeastTiles = 4;

const char* refuse(const SparseAttnParams& p) {
  if (const char* reason = key_rows_refuse(p)) return reason;
  if (row_format(p) == RowFormat::kF16) return "keys are f16";
  const bool fp8 = row_format(p) == RowFormat::kFp8_656;
  const int32_t group = attn_group_heads(p);
  if (group < (fp8 ? kLeastHeadsFp8 : kLeastHeads)) return "few heads share keys";
  if (p.value_dim == 0) return "out is absent";
  if (!query_in_units(p, 16)) return "q is not adjacent elements in 16-byte units";
  const KeyRows rows = key_rows(p);
  if (rows.key_steps % 4 != 0) return "keys are not a multiple of 64 elements";
  for (int32_t i = 0; i < p.scopes; ++i) {
    if (rows.scope[i].value_offset > 0) return "values lie apart from their keys";
  }
  return nullptr;
}

cudaError_t launch(const SparseAttnParams& p, const Run& run) {
  const bool fp8 = row_format(p) == RowFormat::kFp8_656;
  const int32_t group = attn_group_heads(p);
  const int64_t tiles = p.heads / group * ((group + kWgmmaHeads - 1) / kWgmmaHeads);
  if (p.rows * tiles < kLeastTiles) {
    return fp8 ? mma_launch_fp8(p, run) : mma_launch_bf16(p, run);
  }
  return fp8 ? wgmma_launch_fp8(p, run) : wgmma_launch_bf16(p, run);
}

cudaError_t load() {
  cudaError_t error = wgmma_load_bf16();
  if (error == cudaSuccess) error = wgmma_load_fp8();
  if (error == cudaSuccess) error = mma_load_bf16();
  if (error == cudaSuccess) error = mma_load_fp8();
  return error == cudaSuccess ? attn_load_shared() : error;
}

}  // namespace

constinit const Kernel kSparseAttnWgmma =
    make_kernel<SparseAttnParams, refuse, attn_workspace, launch, load>(
        "cuda.sparse_attn.wgmma.sm90", "sm90", 90, 90);

}  // namespace dsa::cuda

// dsa_sparse_attn on tensor cores (mma.sync, sm_80 up): bf16, f16 and KV_FP8_656 caches.
#include "cuda/attention/attention.h"
#include "cuda/attention/mma/attend.h"
#include "cuda/attention/rows.h"

namespace dsa::cuda {
namespace {

cudaError_t launch(const SparseAttnParams& p, const Run& run) {
  switch (row_format(p)) {
    case RowFormat::kBf16:
      return mma_launch_bf16(p, run);
    case RowFormat::kF16:
      return mma_launch_f16(p, run);
    default:
      return mma_launch_fp8(p, run);
  }
}

cudaError_t load() {
  cudaError_t error = mma_load_bf16();
  if (error == cudaSuccess) error = mma_load_f16();
  if (error == cudaSuccess) error = mma_load_fp8();
  return error == cudaSuccess ? attn_load_shared() : error;
}

}  // namespace

constinit const Kernel kSparseAttnMma =
    make_kernel<SparseAttnParams, key_rows_refuse, attn_workspace, launch, load>(
        "cuda.sparse_attn.mma.sm80", "sm80", 80);

}  // namespace dsa::cuda

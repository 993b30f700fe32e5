// Which calls the mma indexer takes, and in what shape.
#include <algorithm>

#include "cuda/indexer/mma.cuh"
#include "cuda/indexer/sm80.h"

namespace dsa::cuda {
namespace {

constexpr int32_t kMostDim = 128;

bool either(const IndexerParams& p, int32_t dtype) {
  return p.q.dtype == dtype || p.keys.values.dtype == dtype;
}

bool keys_by_16_bytes(const IndexerParams& p, int32_t operand) {
  const KeyTensor& keys = p.keys.values;
  return (keys.dtype == operand || keys.dtype == DSA_F8_E4M3FN) && keys.element_stride == 1 &&
         p.dim * element_bytes(keys.dtype) % 16 == 0 &&
         reinterpret_cast<uintptr_t>(keys.data) % 16 == 0 && keys.inner_stride % 16 == 0 &&
         keys.outer_stride % 16 == 0;
}

bool q_by_8(const IndexerParams& p) {
  const RowTensor& q = p.q;
  const int64_t unit = int64_t{8} * q.bytes;
  return q.stride[1] == 1 && p.dim % 8 == 0 && reinterpret_cast<uintptr_t>(q.data) % unit == 0 &&
         q.stride[0] % 8 == 0 && q.row_stride % unit == 0 && q.outer_stride % unit == 0;
}

}  // namespace

bool indexer_takes_mma(const IndexerParams& p) {
  const bool heads = p.heads == 4 || p.heads == 8 || (p.heads % 16 == 0 && p.heads <= 128);
  const bool dtypes = !either(p, DSA_F32) && !(either(p, DSA_F16) && either(p, DSA_BF16));
  return heads && dtypes && p.dim <= kMostDim;
}

cudaError_t enqueue_indexer_mma(const ScoreCall& call, const Run& run) {
  const IndexerParams& p = call.p;
  const bool bf16 = either(p, DSA_BF16);
  indexer_mma::Shape shape;
  shape.heads = p.heads;
  shape.keys_by_16_bytes = keys_by_16_bytes(p, bf16 ? DSA_BF16 : DSA_F16);
  shape.q_by_8 = q_by_8(p);
  // As many tokens as shared memory holds, and as there are of one request: whole groups of them.
  const int32_t group = std::max(1, indexer_mma::kColumnsAtOnce / p.heads);
  int32_t columns = indexer_mma::kMostColumns;
  while (indexer_mma::Shared<8>::bytes(columns) > run.device->shared_bytes) columns -= 64;
  const int32_t fit = columns / (group * p.heads) * group;
  const int64_t together = (rows_together(call) + group - 1) / group * group;
  shape.tokens = static_cast<int32_t>(std::min<int64_t>(fit, together));
  return bf16 ? indexer_mma::enqueue<__nv_bfloat16>(call, shape, run)
              : indexer_mma::enqueue<__half>(call, shape, run);
}

cudaError_t load_indexer_mma() {
  const cudaError_t error = indexer_mma::load<__half>();
  return error == cudaSuccess ? indexer_mma::load<__nv_bfloat16>() : error;
}

}  // namespace dsa::cuda

// Which calls the mma indexer takes, and in what shape.
#include <algorithm>

#include "cuda/indexer/mma.cuh"
#include "cuda/indexer/sm80.h"

namespace dsa::cuda {
namespace {

using indexer_mma::kColumns;
using indexer_mma::KeyLoad;
using indexer_mma::kWarps;

constexpr int32_t kMostTiles = 32;  // of a chunk: reloading the queries is under 2 % then

bool either(const IndexerParams& p, int32_t dtype) {
  return p.q.dtype == dtype || p.keys.values.dtype == dtype;
}

int32_t round_up_to_power(int32_t n) {
  int32_t power = 1;
  while (power < n) power *= 2;
  return power;
}

KeyLoad key_load(const IndexerParams& p, int32_t operand) {
  const KeyTensor& keys = p.keys.values;
  const bool aligned = keys.element_stride == 1 && p.dim * element_bytes(keys.dtype) % 16 == 0 &&
                       reinterpret_cast<uintptr_t>(keys.data) % 16 == 0 &&
                       keys.inner_stride % 16 == 0 && keys.outer_stride % 16 == 0;
  if (!aligned) return KeyLoad::kElements;
  return keys.dtype == operand ? KeyLoad::kCopy : KeyLoad::kConvert;
}

bool q_by_8(const IndexerParams& p) {
  const RowTensor& q = p.q;
  const int64_t unit = int64_t{8} * q.bytes;
  return q.stride[1] == 1 && p.dim % 8 == 0 && reinterpret_cast<uintptr_t>(q.data) % unit == 0 &&
         q.stride[0] % 8 == 0 && q.row_stride % unit == 0 && q.outer_stride % unit == 0;
}

}  // namespace

bool indexer_takes_mma(const IndexerParams& p) {
  const bool heads =
      p.heads == 4 || (p.heads % 8 == 0 && p.heads <= kColumns) || p.heads == 2 * kColumns;
  const bool dtypes = !either(p, DSA_F32) && !(either(p, DSA_F16) && either(p, DSA_BF16));
  return heads && dtypes && p.dim <= 128;
}

cudaError_t enqueue_indexer_mma(const ScoreCall& call, const Run& run) {
  const IndexerParams& p = call.p;
  const bool bf16 = either(p, DSA_BF16);
  indexer_mma::Shape shape;
  shape.halves = p.heads > kColumns ? 2 : 1;
  shape.heads = p.heads / shape.halves;
  shape.tokens = kColumns / shape.heads;
  // Warps side by side along the tokens as far as there are tokens of one request.
  shape.token_warps = shape.halves;
  while (shape.token_warps < kWarps &&
         int64_t{shape.token_warps} / shape.halves * shape.tokens < rows_together(call)) {
    shape.token_warps *= 2;
  }
  const int32_t tiles = std::max(shape.heads / 8, 1);
  shape.ends = 0;
  for (int32_t n = tiles; n <= 8; n += tiles) shape.ends |= 1u << (n - 1);
  const int32_t blocks = indexer_mma::kKeys / 16 * shape.token_warps / kWarps;
  shape.sum_blocks = std::min(blocks, indexer_mma::kSums / 16 / round_up_to_power(shape.tokens));
  shape.key_load = key_load(p, bf16 ? DSA_BF16 : DSA_F16);
  shape.q_by_8 = q_by_8(p);
  const int32_t unit_rows = shape.token_warps / shape.halves * shape.tokens;
  const ScoreWork work =
      divide_work(call, unit_rows, indexer_mma::kKeys, kMostTiles, run.device->multiprocessors);
  return bf16 ? indexer_mma::enqueue<__nv_bfloat16>(call, work, shape, run)
              : indexer_mma::enqueue<__half>(call, work, shape, run);
}

cudaError_t load_indexer_mma() {
  const cudaError_t error = indexer_mma::load<__half>();
  return error == cudaSuccess ? indexer_mma::load<__nv_bfloat16>() : error;
}

}  // namespace dsa::cuda

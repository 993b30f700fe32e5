// The queries of one warp, on their way from global memory to registers.
#pragma once

#include "cuda/indexer/mma_tiles.cuh"

namespace dsa::cuda::indexer_mma {

// Which (token, head) pairs the 64 columns of a warp are.
struct WarpColumns {
  int32_t slot;        // of its first token
  int32_t first_head;  // 64 in the warp that has a token's second half
  int32_t key_part;    // which of the warps that share these columns it is

  __device__ explicit WarpColumns(const Shape& shape) {
    const int32_t warp = threadIdx.x / 32;
    const int32_t part = warp % shape.token_warps;
    slot = part / shape.halves * shape.tokens;
    first_head = part % shape.halves * kColumns;
    key_part = warp / shape.token_warps;
  }
};

template <class T, int kSteps>
class QueryLoader {
 public:
  __device__ QueryLoader(const ScoreCall& call, const Shape& shape, const WarpColumns& columns,
                         const UnitRow* rows)
      : call_(call), shape_(shape), columns_(columns), rows_(rows) {}

  // Columns [first, first + kRows) of the warp to its memory, as rows of 2 * kSteps cells. Not
  // inlined: it is called twice.
  template <int kRows>
  __device__ __noinline__ void to_shared(int32_t first, char* memory) const {
    constexpr int32_t kCells = 2 * kSteps;
    constexpr int32_t kStep = 32 / kCells;  // rows at once
    constexpr int32_t kBatch = 8;           // loads under way
    static_assert(kRows % (kStep * kBatch) == 0);
    const int32_t cell = threadIdx.x % 32 % kCells;
#pragma unroll 1
    for (int32_t row = threadIdx.x % 32 / kCells; row < kRows; row += kStep * kBatch) {
      uint4 x[kBatch];
#pragma unroll
      for (int32_t j = 0; j < kBatch; ++j) x[j] = load(first + row + j * kStep, cell);
#pragma unroll
      for (int32_t j = 0; j < kBatch; ++j) {
        *reinterpret_cast<uint4*>(memory + cell_offset<kSteps>(row + j * kStep, cell)) =
            finish(first + row + j * kStep, x[j]);
      }
    }
  }

  // What head sums multiply each column by.
  __device__ void weights_to_shared(float* memory) const {
#pragma unroll 1
    for (int32_t column = threadIdx.x % 32; column < kColumns; column += 32) {
      int32_t head;
      const UnitRow* row = find(column, head);
      memory[column] =
          row ? weight(call_.p, *row, head) * fabsf(query_scale(call_.p, *row, head)) : 0;
    }
  }

 private:
  // Row and head of a column; nullptr: it has none.
  __device__ const UnitRow* find(int32_t column, int32_t& head) const {
    const int32_t token = column / shape_.heads;
    head = columns_.first_head + column - token * shape_.heads;
    const UnitRow* row = rows_ + columns_.slot + token;
    return token < shape_.tokens && row->q ? row : nullptr;
  }

  __device__ uint4 load(int32_t column, int32_t cell) const {
    const RowTensor& q = call_.p.q;
    int32_t head;
    const UnitRow* row = find(column, head);
    uint4 x = {0, 0, 0, 0};
    if (!row || cell * 8 >= call_.p.dim) return x;
    const char* at = row->q + head * q.stride[0] * q.bytes;
    if (!shape_.q_by_8) return load_elements<T>(at, q.dtype, cell * 8, call_.p.dim, q.stride[1]);
    if (q.dtype != DSA_F8_E4M3FN) return reinterpret_cast<const uint4*>(at)[cell];
    const uint2 bytes = reinterpret_cast<const uint2*>(at)[cell];
    x.x = bytes.x, x.y = bytes.y;
    return x;
  }

  // Converts what load() gave, and takes over the sign of the query's scale.
  __device__ uint4 finish(int32_t column, uint4 x) const {
    if (shape_.q_by_8 && call_.p.q.dtype == DSA_F8_E4M3FN) {
      const uint2 low = e4m3x4_to<T>(x.x), high = e4m3x4_to<T>(x.y);
      x = {low.x, low.y, high.x, high.y};
    }
    if (!call_.p.q_scale.given()) return x;
    int32_t head;
    const UnitRow* row = find(column, head);
    const uint32_t sign = row && signbit(query_scale(call_.p, *row, head)) ? 0x80008000u : 0;
    return {x.x ^ sign, x.y ^ sign, x.z ^ sign, x.w ^ sign};
  }

  const ScoreCall& call_;
  const Shape& shape_;
  const WarpColumns columns_;
  const UnitRow* const rows_;
};

}  // namespace dsa::cuda::indexer_mma

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
                         const Unit& unit)
      : call_(call), shape_(shape), columns_(columns), unit_(unit) {}

  // Operand rows [first, first + kRows) of the warp to its memory: rows of 2 * kSteps cells.
  template <int kRows>
  __device__ void to_shared(int32_t first, char* memory) const {
    constexpr int32_t kCells = 2 * kSteps;
    constexpr int32_t kBatch = 8;  // loads under way at once
    static_assert(kRows * kCells % (32 * kBatch) == 0);
    const int32_t lane = threadIdx.x % 32;
#pragma unroll 1
    for (int32_t i = lane; i < kRows * kCells; i += 32 * kBatch) {
      uint4 x[kBatch];
      bool negative[kBatch];
#pragma unroll
      for (int32_t j = 0; j < kBatch; ++j) {
        const int32_t at = i + 32 * j;
        load(first + at / kCells, at % kCells, x[j], negative[j]);
      }
#pragma unroll
      for (int32_t j = 0; j < kBatch; ++j) {
        const int32_t at = i + 32 * j;
        *reinterpret_cast<uint4*>(memory + cell_offset<kSteps>(at / kCells, at % kCells)) =
            finish(x[j], negative[j]);
      }
    }
  }

  // What head sums multiply a column by.
  __device__ float weight(int32_t column) const {
    int64_t t;
    int32_t head;
    if (!find(column, t, head)) return 0;
    const RowTensor& w = call_.p.w;
    const float scale = fabsf(query_scale(t, head));
    return w.given() ? load_element(w.row(t), w.dtype, head * w.stride[0]) * scale : scale;
  }

 private:
  // Row and head of a column; false: it has none.
  __device__ bool find(int32_t column, int64_t& t, int32_t& head) const {
    const int32_t token = column / shape_.heads;
    t = unit_.first + columns_.slot + token;
    head = columns_.first_head + column - token * shape_.heads;
    return token < shape_.tokens && t >= unit_.low && t < unit_.high;
  }

  __device__ float query_scale(int64_t t, int32_t head) const {
    const RowTensor& scale = call_.p.q_scale;
    return scale.given() ? scale.row_as<const float>(t)[head * scale.stride[0]] : 1.0f;
  }

  __device__ void load(int32_t column, int32_t cell, uint4& x, bool& negative) const {
    x = {0, 0, 0, 0};
    negative = false;
    int64_t t;
    int32_t head;
    if (!find(column, t, head) || cell * 8 >= call_.p.dim) return;
    const RowTensor& q = call_.p.q;
    const char* row = q.row(t) + head * q.stride[0] * q.bytes;
    if (!shape_.q_by_8) {
      x = load_elements<T>(row, q.dtype, cell * 8, call_.p.dim, q.stride[1]);
    } else if (q.dtype == DSA_F8_E4M3FN) {
      const uint2 bytes = reinterpret_cast<const uint2*>(row)[cell];
      x.x = bytes.x, x.y = bytes.y;
    } else {
      x = reinterpret_cast<const uint4*>(row)[cell];
    }
    negative = signbit(query_scale(t, head));
  }

  __device__ uint4 finish(uint4 x, bool negative) const {
    if (shape_.q_by_8 && call_.p.q.dtype == DSA_F8_E4M3FN) {
      const uint2 low = e4m3x4_to<T>(x.x), high = e4m3x4_to<T>(x.y);
      x = {low.x, low.y, high.x, high.y};
    }
    const uint32_t sign = negative ? 0x80008000u : 0;
    return {x.x ^ sign, x.y ^ sign, x.z ^ sign, x.w ^ sign};
  }

  const ScoreCall& call_;
  const Shape& shape_;
  const WarpColumns& columns_;
  const Unit& unit_;
};

}  // namespace dsa::cuda::indexer_mma

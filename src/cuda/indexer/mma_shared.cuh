// Queries of a unit in shared memory, as 16-bit operands for the mma indexer.
#pragma once

#include "cuda/e4m3.cuh"
#include "cuda/indexer/unit.cuh"

namespace dsa::cuda::indexer_mma {

constexpr int32_t kWarps = 16;
constexpr int32_t kThreads = 32 * kWarps;
constexpr int32_t kKeys = 32;           // of a warp's tile
constexpr int32_t kColumnsAtOnce = 16;  // (token, head) pairs
constexpr int32_t kMostColumns = 512;   // of a unit
constexpr int32_t kMostTokens = kMostColumns / 4;

struct Shape {
  int32_t heads;  // 4, 8, or a multiple of 16
  // Of a unit. Whole groups of columns: with 4 or 8 heads tokens are scored by 4 or 2.
  int32_t tokens;
  bool keys_by_16_bytes;  // key rows can be read 16 bytes at a time
  bool q_by_8;            // query rows can be read 8 elements at a time
  int32_t columns() const { return heads * tokens; }
};

template <class T>
struct Operand;
template <>
struct Operand<__half> {
  static constexpr int32_t kDtype = DSA_F16;
  __device__ static uint32_t pair(float a, float b) { return bits_of(__floats2half2_rn(a, b)); }
};
template <>
struct Operand<__nv_bfloat16> {
  static constexpr int32_t kDtype = DSA_BF16;
  __device__ static uint32_t pair(float a, float b) { return bits_of(__floats2bfloat162_rn(a, b)); }
};

// Elements [d, d + 8) of a row as operands; those from `dim` on are 0. Exact: the element types of
// a call are such that T holds them. Any stride and alignment, and slow: not inlined, so that the
// code around it stays small.
template <class T>
__device__ __noinline__ uint4 load_elements(const char* row, int32_t dtype, int32_t d, int32_t dim,
                                            int64_t stride) {
  uint32_t y[4];
#pragma unroll
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t at = d + 2 * i;
    const float a = at < dim ? load_element(row, dtype, at * stride) : 0.0f;
    const float b = at + 1 < dim ? load_element(row, dtype, (at + 1) * stride) : 0.0f;
    y[i] = Operand<T>::pair(a, b);
  }
  return {y[0], y[1], y[2], y[3]};
}

// Shared memory: UnitRow [kMostTokens], then columns' weights and operands. Operands lie as mma's A
// registers: [16 columns][step][lane][4], so that a lane reads its four at once, free of conflicts.
template <int kSteps>
struct Shared {
  static constexpr int32_t kCells = 2 * kSteps;  // of 8 elements, in a column
  static constexpr int32_t kColumnBytes = 16 * kCells;
  UnitRow* rows;
  float* weights;
  uint32_t* operands;

  __device__ Shared(char* memory, int32_t columns) {
    rows = reinterpret_cast<UnitRow*>(memory);
    weights = reinterpret_cast<float*>(memory + sizeof(UnitRow) * kMostTokens);
    operands = reinterpret_cast<uint32_t*>(weights + columns);
  }
  static int32_t bytes(int32_t columns) {
    return int32_t{sizeof(UnitRow)} * kMostTokens + columns * (4 + kColumnBytes);
  }
  // Stores 8 elements of a column: dims 8 cell + [0, 8), which are two steps of one lane
  // (KeyFragments says why).
  __device__ void put(int32_t column, int32_t cell, uint4 x) const {
    const int32_t step = cell / 8 * 4 + cell % 2 * 2, lane = column % 8 * 4 + cell % 8 / 2;
    uint32_t* to = operands + ((column / 16 * kSteps + step) * 32 + lane) * 4 + column / 8 % 2;
    to[0] = x.x, to[2] = x.y;
    to[128] = x.z, to[130] = x.w;
  }
};

// All threads of the block bring the unit's queries and weights to shared memory. The sign of a
// query's scale goes into the operands, its size into the weight.
template <class T, int kSteps>
__device__ inline void load_queries(const IndexerParams& p, const Shape& shape,
                                    const Shared<kSteps>& shared, int32_t columns) {
  constexpr int32_t kCells = Shared<kSteps>::kCells;
  constexpr int32_t kBatch = 4;  // loads of a thread that are under way together
  constexpr int32_t kAtOnce = kThreads / kCells;
  const int32_t cell = threadIdx.x % kCells;
  const bool e4m3 = shape.q_by_8 && p.q.dtype == DSA_F8_E4M3FN;
#pragma unroll 1
  for (int32_t first = threadIdx.x / kCells; first < columns; first += kBatch * kAtOnce) {
    uint4 x[kBatch];
    uint32_t sign[kBatch];
#pragma unroll
    for (int32_t i = 0; i < kBatch; ++i) {
      const int32_t column = first + i * kAtOnce, token = column / shape.heads;
      const int32_t head = column - token * shape.heads;
      x[i] = {0, 0, 0, 0};
      sign[i] = 0;
      if (column >= columns || !shared.rows[token].q || cell * 8 >= p.dim) continue;
      const UnitRow& row = shared.rows[token];
      const char* at = row.q + head * p.q.stride[0] * p.q.bytes;
      if (signbit(query_scale(p, row, head))) sign[i] = 0x80008000u;
      if (!shape.q_by_8) {
        x[i] = load_elements<T>(at, p.q.dtype, cell * 8, p.dim, p.q.stride[1]);
      } else if (e4m3) {
        const uint2 bytes = reinterpret_cast<const uint2*>(at)[cell];
        x[i].x = bytes.x, x[i].y = bytes.y;
      } else {
        x[i] = reinterpret_cast<const uint4*>(at)[cell];
      }
    }
#pragma unroll
    for (int32_t i = 0; i < kBatch; ++i) {
      const int32_t column = first + i * kAtOnce;
      if (column >= columns) continue;
      if (e4m3) {
        const uint2 low = e4m3x4_to<T>(x[i].x), high = e4m3x4_to<T>(x[i].y);
        x[i] = {low.x, low.y, high.x, high.y};
      }
      const uint32_t s = sign[i];
      shared.put(column, cell, {x[i].x ^ s, x[i].y ^ s, x[i].z ^ s, x[i].w ^ s});
    }
  }
#pragma unroll 1
  for (int32_t column = threadIdx.x; column < columns; column += kThreads) {
    const int32_t token = column / shape.heads, head = column - token * shape.heads;
    const UnitRow& row = shared.rows[token];
    shared.weights[column] = row.q ? weight(p, row, head) * fabsf(query_scale(p, row, head)) : 0.0f;
  }
}

}  // namespace dsa::cuda::indexer_mma

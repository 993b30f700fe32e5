// Shared memory of the mma indexer and what fills it: tiles of keys, and queries on their way to
// registers, as rows of 16-bit operands in swizzled 16-byte cells.
#pragma once

#include "cuda/e4m3.cuh"
#include "cuda/element.cuh"
#include "cuda/indexer/unit.cuh"
#include "cuda/ptx.cuh"

namespace dsa::cuda::indexer_mma {

constexpr int32_t kThreads = 256;
constexpr int32_t kWarps = kThreads / 32;
constexpr int32_t kKeys = 128;    // of a tile
constexpr int32_t kColumns = 64;  // (token, head) pairs of a warp
constexpr int32_t kMostTokens = kWarps * kColumns / 4;
constexpr int32_t kScaleStages = 4;
constexpr int32_t kSums = 256;

// How key rows get to shared memory.
enum class KeyLoad : int32_t {
  kCopy,     // asynchronous copies of 16 bytes: the elements are operands as they are
  kConvert,  // asynchronous copies of 16 bytes of e4m3, converted a tile later
  kElements  // any strides, any alignment
};

struct Shape {
  int32_t heads;        // of a token, in one warp: 4, or a multiple of 8 up to 64
  int32_t tokens;       // of a warp; of a pair of warps when `halves` is 2
  int32_t halves;       // 2: heads from 64 on are another warp's
  int32_t token_warps;  // warps side by side along the tokens; the others divide the keys
  uint32_t ends;        // bit n: tile n of 8 columns is the last of a token (of two with 4 heads)
  int32_t sum_blocks;   // blocks of 16 keys whose sums wait in shared memory: 1, 2, 4 or 8
  KeyLoad key_load;
  bool q_by_8;  // 8 elements of a query row can be read at once
};

// An operand row is 16 * kSteps elements; its cell c of 16 bytes lies at c ^ (row % 8), so that the
// 8 rows that ldmatrix reads at once fall into different banks.
template <int kSteps>
__device__ inline uint32_t cell_offset(int32_t row, int32_t cell) {
  return static_cast<uint32_t>(row * kSteps * 32 + (cell ^ (row & 7)) * 16);
}

template <int kSteps>
struct Shared {
  static constexpr int32_t kTileBytes = kKeys * kSteps * 32;
  alignas(128) char tile[2][kTileBytes];
  alignas(
      128) uint4 raw[kSteps / 2][kThreads];  // e4m3 of the tile after the next; each thread's own
  float scale[kScaleStages][kKeys];
  uint8_t placed[kScaleStages][kKeys];
  float sums[kWarps][kSums];  // a warp's: [tokens][16 * sum_blocks]
  UnitRow rows[kMostTokens];
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
// loops around it stay small.
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

// Moves the tiles of one chunk of keys to shared memory. A thread has two rows of a tile and every
// fourth cell of them, so that four threads read 64 bytes side by side.
template <class T, int kSteps>
class KeyTiles {
 public:
  __device__ KeyTiles(const ScoreCall& call, KeyLoad load, Shared<kSteps>& shared)
      : call_(call), load_(load), sh_(shared) {}

  // Keys [first, end) of a request, from tile 0 on.
  __device__ void start(int32_t request, uint32_t first, uint32_t end) {
    request_ = request;
    first_ = first;
    end_ = end;
  }

  // Called for i = kFirst, kFirst + 1, ... before tile i is used: gets tile i + 1 ready and starts
  // later ones. One place in the code for all of a tile's life: inlined anywhere else it would not
  // fit the instruction cache.
  static constexpr int32_t kFirst = -3;
  __device__ void step(int32_t i) {
    int32_t next = i + 1;
    if (load_ != KeyLoad::kCopy) {
      if (next >= 0) finish(next);
      ++next;
    }
    if (next >= 0) begin(next);
    if (next >= -1) look_up(next + 1);
  }
  // After a step, and after tile i has been used. True: the block table knows all keys of the next.
  __device__ bool turn() {
    const bool copy = load_ == KeyLoad::kCopy;
    if (copy) wait_copies<0>();
    return __syncthreads_and(placed_ >> (copy ? 0 : 1) & 1);
  }

 private:
  __device__ int32_t row(int32_t i) const { return threadIdx.x / 4 + i * (kKeys / 2); }
  // Past 2^31 only in the last tile of a request that long, and never past 2^32.
  __device__ uint32_t position(int32_t tile, int32_t i) const {
    return first_ + static_cast<uint32_t>(tile * kKeys + row(i));
  }

  // Block-table entries are read a tile ahead of their use.
  __device__ void look_up(int32_t tile) {
    const KeyAxis& axis = call_.p.axis;
    if (axis.layout != DSA_LAYOUT_PAGES) return;
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      if (position(tile, i) >= end_) continue;
      const uint32_t s = position(tile, i);
      const uint32_t page = s / static_cast<uint32_t>(axis.inner);
      inner_[i] = static_cast<int32_t>(s - page * static_cast<uint32_t>(axis.inner));
      page_[i] = *reinterpret_cast<const int32_t*>(
          axis.table + request_ * axis.table_request_stride + page * axis.table_page_stride);
    }
  }

  // Where row i of a tile lies, of which look_up was the last; false: nowhere.
  __device__ bool find(int32_t tile, int32_t i, KeyPlace& place) const {
    if (position(tile, i) >= end_) return false;
    const KeyAxis& axis = call_.p.axis;
    if (axis.layout == DSA_LAYOUT_PAGES) {
      place = {page_[i], inner_[i]};
      return page_[i] >= 0 && page_[i] < axis.outer;
    }
    return axis.place(request_, position(tile, i), place);
  }

  __device__ bool past_end(int32_t tile) const { return first_ + uint32_t(tile) * kKeys >= end_; }

  // Starts the copies of a tile, and remembers where its rows lie.
  __device__ void begin(int32_t tile) {
    placed_ = placed_ << 1 | 1;
    if (past_end(tile)) return;
    const KeyPiece& keys = call_.p.keys;
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      KeyPlace place{};
      const bool placed = find(tile, i, place);
      const char* const from = placed ? keys.values.at(place) : keys.values.data;
      row_[i] = placed ? from : nullptr;
      if (!placed && position(tile, i) < end_) placed_ &= ~1u;
      copy_row(tile, i, from, placed);
      if (threadIdx.x % 4 == 0) {
        const int32_t stage = tile % kScaleStages;
        sh_.placed[stage][row(i)] = placed;
        if (placed && keys.scale.given()) {
          copy_async_4(shared_address(&sh_.scale[stage][row(i)]), keys.scale.at(place));
        } else {
          sh_.scale[stage][row(i)] = 1.0f;
        }
      }
    }
    commit_copies();
  }

  __device__ void copy_row(int32_t tile, int32_t i, const char* from, bool placed) {
    const int32_t dim = call_.p.dim;
    if (load_ == KeyLoad::kCopy) {
#pragma unroll
      for (int32_t j = 0; j < kSteps / 2; ++j) {
        const int32_t cell = threadIdx.x % 4 + 4 * j;
        const bool has = placed && cell * 8 < dim;
        copy_async_16(shared_address(sh_.tile[tile & 1]) + cell_offset<kSteps>(row(i), cell),
                      has ? from + cell * 16 : from, has ? 16 : 0);
      }
    } else if (load_ == KeyLoad::kConvert) {
#pragma unroll
      for (int32_t j = 0; j < kSteps / 4; ++j) {
        const int32_t cell = threadIdx.x % 4 + 4 * j;  // of 16 elements
        const bool has = placed && cell * 16 < dim;
        copy_async_16(shared_address(&sh_.raw[i * (kSteps / 4) + j][threadIdx.x]),
                      has ? from + cell * 16 : from, has ? 16 : 0);
      }
    }
  }

  // Ends the load of a tile: converts what begin() copied, or loads all of it.
  __device__ void finish(int32_t tile) {
    wait_copies<0>();
    if (past_end(tile)) return;
    char* const to = sh_.tile[tile & 1];
    const KeyTensor& keys = call_.p.keys.values;
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      if (load_ == KeyLoad::kConvert) {
#pragma unroll
        for (int32_t j = 0; j < kSteps / 4; ++j) {
          const uint4 x = sh_.raw[i * (kSteps / 4) + j][threadIdx.x];
          const int32_t cell = 2 * (threadIdx.x % 4 + 4 * j);
          const uint2 a = e4m3x4_to<T>(x.x), b = e4m3x4_to<T>(x.y);
          const uint2 c = e4m3x4_to<T>(x.z), d = e4m3x4_to<T>(x.w);
          *reinterpret_cast<uint4*>(to + cell_offset<kSteps>(row(i), cell)) = {a.x, a.y, b.x, b.y};
          *reinterpret_cast<uint4*>(to + cell_offset<kSteps>(row(i), cell + 1)) = {c.x, c.y, d.x,
                                                                                   d.y};
        }
      } else {
#pragma unroll 1
        for (int32_t cell = threadIdx.x % 4; cell < 2 * kSteps; cell += 4) {
          const int32_t dim = row_[i] ? call_.p.dim : 0;
          *reinterpret_cast<uint4*>(to + cell_offset<kSteps>(row(i), cell)) =
              load_elements<T>(row_[i], keys.dtype, cell * 8, dim, keys.element_stride);
        }
      }
    }
  }

  const ScoreCall& call_;
  const KeyLoad load_;
  Shared<kSteps>& sh_;
  int32_t request_ = 0;
  uint32_t first_ = 0, end_ = 0;
  uint32_t placed_ = ~0u;  // bit n: all of this thread's keys, in the n-th last tile begun
  int32_t page_[2] = {}, inner_[2] = {};
  const char* row_[2] = {};
};

}  // namespace dsa::cuda::indexer_mma

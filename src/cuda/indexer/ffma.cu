// Indexer in f32 multiply-adds: any dtypes, Hi and Di.
//
// A block scores 128 keys against 16 quads of heads (a token has ceil(Hi / 4) of them); a thread
// holds 8 keys by one quad. The bits: a dot product is one fused chain over d = 0 .. Di-1; the
// heads of a quad are one chain in ascending order; quads are added in ascending order.
#include <algorithm>

#include "cuda/element.cuh"
#include "cuda/indexer/sm80.h"
#include "cuda/indexer/unit.cuh"
#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

constexpr int32_t kThreads = 256;
constexpr int32_t kKeys = 128;  // of a tile
constexpr int32_t kQuads = 16;  // of a tile
constexpr int32_t kColumns = 4 * kQuads;
constexpr int32_t kDims = 32;  // of a slab
constexpr int32_t kMostTiles = 16;
constexpr int32_t kBlocksPerSm = 2;

struct Shape {
  int32_t quads;           // of a token
  int32_t tokens;          // of a tile
  int32_t passes;          // over the keys: more than one where a token has more quads than a tile
  bool keys_by_4, q_by_4;  // 4 elements of a row can be read at once
};

struct Tile {
  float keys[kDims][kKeys];
  float q[kDims][kColumns];
};

struct Shared {
  union {
    Tile tile;
    float parts[kQuads][kKeys];  // sums of quads
  };
  UnitRow rows[kQuads];
};

// Dims [d, d + 4) of a row of which `left` are there.
__device__ float4 load_4(const char* row, int32_t dtype, int32_t d, int32_t left, int64_t stride,
                         bool by_4) {
  if (by_4 && left >= 4) {
    if (dtype == DSA_F32) return reinterpret_cast<const float4*>(row)[d / 4];
    if (dtype == DSA_F8_E4M3FN) {
      const uchar4 x = reinterpret_cast<const uchar4*>(row)[d / 4];
      return {e4m3_to_f32(x.x), e4m3_to_f32(x.y), e4m3_to_f32(x.z), e4m3_to_f32(x.w)};
    }
    const uint2 x = reinterpret_cast<const uint2*>(row)[d / 4];
    const char* at = reinterpret_cast<const char*>(&x);
    return {load_element(at, dtype, 0), load_element(at, dtype, 1), load_element(at, dtype, 2),
            load_element(at, dtype, 3)};
  }
  float x[4] = {};
#pragma unroll
  for (int32_t i = 0; i < 4; ++i) {
    if (i < left) x[i] = load_element(row, dtype, (d + i) * stride);
  }
  return {x[0], x[1], x[2], x[3]};
}

class Scorer {
 public:
  __device__ Scorer(const ScoreCall& call, const ScoreWork& work, const Shape& shape,
                    const Unit& unit, Shared& shared)
      : call_(call), work_(work), shape_(shape), unit_(unit), sh_(shared) {}

  // Keys [first, first + count) for the rows of a run.
  __device__ void score(const UnitRun& run, int64_t first, int32_t count) {
    const KeyPiece& keys = call_.p.keys;
    // Loading, a thread is half of a key's slab, and a quarter of a column's.
    const int32_t mine = threadIdx.x % kKeys;
    KeyPlace place{};
    const bool placed = mine < count && call_.p.axis.place(run.request, first + mine, place);
    const char* const row = placed ? keys.values.at(place) : nullptr;
    float total = 0;
    for (int32_t pass = 0; pass < shape_.passes; ++pass) {
      float dot[2][4][4] = {};  // [half of the tile][key][head]
      for (int32_t d = 0; d < call_.p.dim; d += kDims) {
        __syncthreads();
        load_keys(row, d);
        load_queries(pass, d);
        __syncthreads();
        multiply(min(kDims, call_.p.dim - d), dot);
      }
      __syncthreads();
      add_quad(pass, dot);
      __syncthreads();
      if (shape_.passes > 1) {
        const int32_t quads = min(kQuads, shape_.quads - pass * kQuads);
        if (threadIdx.x < kKeys) {
          for (int32_t i = 0; i < quads; ++i) {
            total = pass + i == 0 ? sh_.parts[0][mine] : total + sh_.parts[i][mine];
          }
        }
      }
    }
    for (int32_t slot = run.low + threadIdx.x / kKeys; slot < run.high; slot += kThreads / kKeys) {
      if (shape_.passes == 1) total = sum_quads(slot, mine);
      const UnitRow& out = sh_.rows[slot];
      const int64_t s = first + mine;
      if (mine >= count || s < out.begin || s >= out.end) continue;
      if (placed && keys.scale.given()) {
        total *= *reinterpret_cast<const float*>(keys.scale.at(place));
      }
      write_score(call_, out, unit_.first + slot, static_cast<int32_t>(s), placed, total);
    }
  }

 private:
  __device__ void load_keys(const char* row, int32_t d0) {
    const KeyTensor& keys = call_.p.keys.values;
    const int32_t mine = threadIdx.x % kKeys;
    constexpr int32_t kShare = kDims / (kThreads / kKeys);
    const int32_t from = threadIdx.x / kKeys * kShare;
#pragma unroll
    for (int32_t i = from; i < from + kShare; i += 4) {
      const int32_t left = row ? call_.p.dim - (d0 + i) : 0;
      const float4 x = load_4(row, keys.dtype, d0 + i, left, keys.element_stride, shape_.keys_by_4);
      sh_.tile.keys[i][mine] = x.x;
      sh_.tile.keys[i + 1][mine] = x.y;
      sh_.tile.keys[i + 2][mine] = x.z;
      sh_.tile.keys[i + 3][mine] = x.w;
    }
  }

  // The token slot and head of a column; false: it has none.
  __device__ bool find_column(int32_t pass, int32_t column, int32_t& slot, int32_t& head) const {
    slot = column / 4 / shape_.quads;
    head = column - slot * shape_.quads * 4 + pass * kColumns;
    const int64_t t = unit_.first + slot;
    return slot < shape_.tokens && t >= unit_.low && t < unit_.high && head < call_.p.heads;
  }

  __device__ void load_queries(int32_t pass, int32_t d0) {
    const IndexerParams& p = call_.p;
    const int32_t column = threadIdx.x % kColumns;
    constexpr int32_t kShare = kDims / (kThreads / kColumns);
    const int32_t from = threadIdx.x / kColumns * kShare;
    int32_t slot, head;
    const bool there = find_column(pass, column, slot, head);
    const char* row = nullptr;
    float scale = 1;
    if (there) {
      const int64_t t = unit_.first + slot;
      row = p.q.row(t) + head * p.q.stride[0] * p.q.bytes;
      if (p.q_scale.given()) scale = p.q_scale.row_as<const float>(t)[head * p.q_scale.stride[0]];
    }
#pragma unroll
    for (int32_t i = from; i < from + kShare; i += 4) {
      const int32_t left = there ? p.dim - (d0 + i) : 0;
      const float4 x = load_4(row, p.q.dtype, d0 + i, left, p.q.stride[1], shape_.q_by_4);
      sh_.tile.q[i][column] = x.x * scale;
      sh_.tile.q[i + 1][column] = x.y * scale;
      sh_.tile.q[i + 2][column] = x.z * scale;
      sh_.tile.q[i + 3][column] = x.w * scale;
    }
  }

  __device__ void multiply(int32_t dims, float (&dot)[2][4][4]) {
    const int32_t key = threadIdx.x % 16 * 4, column = threadIdx.x / 16 * 4;
#pragma unroll 4
    for (int32_t d = 0; d < dims; ++d) {
      const float4 q4 = *reinterpret_cast<const float4*>(&sh_.tile.q[d][column]);
      const float q[4] = {q4.x, q4.y, q4.z, q4.w};
#pragma unroll
      for (int32_t half = 0; half < 2; ++half) {
        const float4 k4 = *reinterpret_cast<const float4*>(&sh_.tile.keys[d][half * 64 + key]);
        const float k[4] = {k4.x, k4.y, k4.z, k4.w};
#pragma unroll
        for (int32_t i = 0; i < 4; ++i) {
#pragma unroll
          for (int32_t h = 0; h < 4; ++h) dot[half][i][h] = fmaf(q[h], k[i], dot[half][i][h]);
        }
      }
    }
  }

  // This thread's quad of heads, for its keys, to shared memory.
  __device__ void add_quad(int32_t pass, const float (&dot)[2][4][4]) {
    const IndexerParams& p = call_.p;
    const int32_t key = threadIdx.x % 16 * 4, quad = threadIdx.x / 16;
    int32_t slot, head;
    const bool there = find_column(pass, quad * 4, slot, head);
    const int32_t heads = there ? min(4, p.heads - head) : 0;
    float w[4] = {1, 1, 1, 1};
    if (there && p.w.given()) {
      const char* row = p.w.row(unit_.first + slot);
#pragma unroll
      for (int32_t h = 0; h < 4; ++h) {
        if (h < heads) w[h] = load_element(row, p.w.dtype, (head + h) * p.w.stride[0]);
      }
    }
#pragma unroll
    for (int32_t half = 0; half < 2; ++half) {
#pragma unroll
      for (int32_t i = 0; i < 4; ++i) {
        float sum = 0;
#pragma unroll
        for (int32_t h = 0; h < 4; ++h) {
          float x = dot[half][i][h];
          if (p.relu && x < 0) x = 0;  // NaN stays
          if (h < heads) sum = fmaf(w[h], x, sum);
        }
        sh_.parts[quad][half * 64 + key + i] = sum;
      }
    }
  }

  __device__ float sum_quads(int32_t slot, int32_t key) const {
    const int32_t first = slot * shape_.quads;
    float sum = sh_.parts[first][key];
    for (int32_t i = 1; i < shape_.quads; ++i) sum += sh_.parts[first + i][key];
    return sum;
  }

  const ScoreCall& call_;
  const ScoreWork& work_;
  const Shape& shape_;
  const Unit& unit_;
  Shared& sh_;
};

__global__ void __launch_bounds__(kThreads, kBlocksPerSm)
    indexer_ffma(const __grid_constant__ ScoreCall call, const __grid_constant__ ScoreWork work,
                 const __grid_constant__ Shape shape) {
  __shared__ Shared shared;
  for (int64_t item = blockIdx.x; item < work.items(); item += gridDim.x) {
    // Chunks outermost: a causal call's late chunks are empty for early units, and every block
    // gets its share of both.
    const int64_t chunk = item / work.units;
    const Unit unit(call, work, item % work.units);
    __syncthreads();
    load_unit_rows(call, work, unit, shared.rows);
    __syncthreads();
    Scorer scorer(call, work, shape, unit, shared);
    for (int32_t slot = 0; slot < unit.slots();) {
      const UnitRun run = next_run(shared.rows, slot, unit.slots());
      const int64_t step = work.chunks * work.chunk_keys;
      for (int64_t at = run.begin + chunk * work.chunk_keys; at < run.end; at += step) {
        const int64_t end = min(at + work.chunk_keys, run.end);
        for (int64_t s = at; s < end; s += kKeys) {
          scorer.score(run, s, static_cast<int32_t>(min(end - s, int64_t{kKeys})));
        }
      }
      slot = run.high;
    }
    if (call.fill) fill_unit(call, work, unit, shared.rows, chunk);
  }
}

// Whether 4 elements can be read at once from every 4th element of every row.
bool q_by_4(const RowTensor& q) {
  const int64_t unit = int64_t{4} * q.bytes;
  return q.stride[1] == 1 && reinterpret_cast<uintptr_t>(q.data) % unit == 0 &&
         q.stride[0] % 4 == 0 && q.row_stride % unit == 0 && q.outer_stride % unit == 0;
}
bool keys_by_4(const KeyTensor& keys) {
  const int64_t unit = int64_t{4} * element_bytes(keys.dtype);
  return keys.element_stride == 1 && reinterpret_cast<uintptr_t>(keys.data) % unit == 0 &&
         keys.inner_stride % unit == 0 && keys.outer_stride % unit == 0;
}

}  // namespace

cudaError_t enqueue_indexer_ffma(const ScoreCall& call, const Run& run) {
  Shape shape;
  shape.quads = (call.p.heads + 3) / 4;
  shape.tokens = std::max(1, kQuads / shape.quads);
  shape.passes = (shape.quads + kQuads - 1) / kQuads;
  shape.keys_by_4 = keys_by_4(call.p.keys.values);
  shape.q_by_4 = q_by_4(call.p.q);
  const int32_t blocks = kBlocksPerSm * run.device->multiprocessors;
  const ScoreWork work = divide_work(call, shape.tokens, kKeys, kMostTiles, blocks);
  const int64_t grid = std::min<int64_t>(work.items(), blocks);
  return launch_function(indexer_ffma, {.grid = static_cast<uint32_t>(grid), .block = kThreads},
                         stream_of(run), call, work, shape);
}

cudaError_t load_indexer_ffma() { return load_function(indexer_ffma); }

}  // namespace dsa::cuda

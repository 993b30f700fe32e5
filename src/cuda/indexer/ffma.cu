// Indexer in f32 multiply-adds: any dtypes, Hi and Di.
//
// A block scores 128 keys against 32 quads of heads (a token has ceil(Hi / 4) of them); a thread
// holds 8 keys by two quads. The bits: a dot product is one fused chain over d = 0 .. Di-1; the
// heads of a quad are one chain in ascending order; quads are added in ascending order.
#include <algorithm>

#include "cuda/element.cuh"
#include "cuda/indexer/sm80.h"
#include "cuda/indexer/unit.cuh"
#include "cuda/kernel.h"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kThreads = 256;
constexpr int32_t kKeys = 128;  // of a tile
constexpr int32_t kQuads = 32;  // of a tile
constexpr int32_t kColumns = 4 * kQuads;
constexpr int32_t kDims = 32;                 // of a slab
constexpr int32_t kThreadsOfRow = kDims / 4;  // fetch a row's slab
constexpr int32_t kRowsAtOnce = kThreads / kThreadsOfRow;
constexpr int32_t kKeyRows = kKeys / kRowsAtOnce;  // of a thread
constexpr int32_t kColumnRows = kColumns / kRowsAtOnce;
constexpr int32_t kMostTiles = 16;

struct Shape {
  int32_t quads;           // of a token
  int32_t tokens;          // of a tile
  int32_t passes;          // over the keys: more than one where a token has more quads than a tile
  bool keys_by_4, q_by_4;  // 4 elements of a row can be read at once
};

// Transposed, and swizzled: column j of dim d lies at j ^ 4 (d / 4), so that neither the stores of
// 8 threads with a row's 4 dims each nor the loads of 4 columns fall into the same banks.
struct Tile {
  float keys[kDims][kKeys];
  float q[kDims][kColumns];
};

template <int kRow>
__device__ void store_4(float (*tile)[kRow], int32_t column, int32_t d, float4 x) {
  const int32_t at = column ^ d;  // d is a multiple of 4
  tile[d][at] = x.x;
  tile[d + 1][at] = x.y;
  tile[d + 2][at] = x.z;
  tile[d + 3][at] = x.w;
}

struct Shared {
  union {
    Tile tile[2];
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

// Of a thread: keys 4 (thread % 16) + [0, 4) of both halves of a tile, quad thread / 16 of both.
using Products = float[8][8];  // [key][head]

__device__ inline void load_4_floats(const float* from, float (&to)[4]) {
  const float4 x = *reinterpret_cast<const float4*>(from);
  to[0] = x.x, to[1] = x.y, to[2] = x.z, to[3] = x.w;
}

class Scorer {
 public:
  __device__ Scorer(const ScoreCall& call, const Shape& shape, Shared& shared)
      : call_(call), shape_(shape), sh_(shared) {}

  // Keys [first, first + count) for the rows of a run.
  __device__ void score(const UnitRun& run, int64_t first, int32_t count) {
    const KeyPiece& keys = call_.p.keys;
#pragma unroll
    for (int32_t i = 0; i < kKeyRows; ++i) {
      const int32_t key = threadIdx.x / kThreadsOfRow + i * kRowsAtOnce;
      KeyPlace place{};
      const bool placed = key < count && call_.p.axis.place(run.request, first + key, place);
      key_row_[i] = placed ? keys.values.at(place) : nullptr;
    }
    const int32_t mine = threadIdx.x % kKeys;
    float total = 0;
    for (int32_t pass = 0; pass < shape_.passes; ++pass) {
      take_columns(pass);
      Products dot = {};
      Slab slab = fetch(0);
      __syncthreads();  // the last tile's sums have been read
      store(slab, sh_.tile[0]);
      __syncthreads();
      int32_t turn = 0;
      for (int32_t d = 0; d < call_.p.dim; d += kDims, turn ^= 1) {
        const bool more = d + kDims < call_.p.dim;
        if (more) slab = fetch(d + kDims);
        multiply(sh_.tile[turn], min(kDims, call_.p.dim - d), dot);
        if (more) store(slab, sh_.tile[turn ^ 1]);
        __syncthreads();
      }
      add_quads(pass, dot);
      __syncthreads();
      if (shape_.passes > 1 && threadIdx.x < kKeys) {
        const int32_t quads = min(kQuads, shape_.quads - pass * kQuads);
        for (int32_t i = 0; i < quads; ++i) {
          total = pass + i == 0 ? sh_.parts[0][mine] : total + sh_.parts[i][mine];
        }
      }
    }
    KeyPlace place{};
    const bool placed = mine < count && call_.p.axis.place(run.request, first + mine, place);
    for (int32_t slot = run.low + threadIdx.x / kKeys; slot < run.high; slot += kThreads / kKeys) {
      if (shape_.passes == 1) total = sum_quads(slot, mine);
      const UnitRow& out = sh_.rows[slot];
      const int64_t s = first + mine;
      if (mine >= count || s < out.begin || s >= out.end) continue;
      if (placed && keys.scale.given()) {
        total *= *reinterpret_cast<const float*>(keys.scale.at(place));
      }
      write_score(call_, out, static_cast<int32_t>(s), s * score_step(call_), placed, total);
    }
  }

 private:
  // A thread's share of a slab, on its way to shared memory: 4 dims of some rows.
  struct Slab {
    float4 keys[kKeyRows];
    float4 q[kColumnRows];
  };

  __device__ Slab fetch(int32_t d0) const {
    const IndexerParams& p = call_.p;
    const int32_t d = d0 + threadIdx.x % kThreadsOfRow * 4;
    Slab slab;
#pragma unroll
    for (int32_t i = 0; i < kKeyRows; ++i) {
      slab.keys[i] = load_4(key_row_[i], p.keys.values.dtype, d, key_row_[i] ? p.dim - d : 0,
                            p.keys.values.element_stride, shape_.keys_by_4);
    }
#pragma unroll
    for (int32_t i = 0; i < kColumnRows; ++i) {
      const float4 x =
          load_4(q_row_[i], p.q.dtype, d, q_row_[i] ? p.dim - d : 0, p.q.stride[1], shape_.q_by_4);
      const float scale = q_scale_[i];
      slab.q[i] = {x.x * scale, x.y * scale, x.z * scale, x.w * scale};
    }
    return slab;
  }

  __device__ static void store(const Slab& slab, Tile& tile) {
    const int32_t d = threadIdx.x % kThreadsOfRow * 4, row = threadIdx.x / kThreadsOfRow;
#pragma unroll
    for (int32_t i = 0; i < kKeyRows; ++i) {
      store_4(tile.keys, row + i * kRowsAtOnce, d, slab.keys[i]);
    }
#pragma unroll
    for (int32_t i = 0; i < kColumnRows; ++i) {
      store_4(tile.q, row + i * kRowsAtOnce, d, slab.q[i]);
    }
  }

  // The token slot and head of a column; false: it has none.
  __device__ bool find_column(int32_t pass, int32_t column, int32_t& slot, int32_t& head) const {
    slot = column / 4 / shape_.quads;
    head = column - slot * shape_.quads * 4 + pass * kColumns;
    return slot < shape_.tokens && sh_.rows[slot].q && head < call_.p.heads;
  }

  // The query rows that this thread fetches for a pass.
  __device__ void take_columns(int32_t pass) {
    const IndexerParams& p = call_.p;
#pragma unroll
    for (int32_t i = 0; i < kColumnRows; ++i) {
      int32_t slot, head;
      q_row_[i] = nullptr;
      q_scale_[i] = 1;
      if (!find_column(pass, threadIdx.x / kThreadsOfRow + i * kRowsAtOnce, slot, head)) continue;
      const UnitRow& row = sh_.rows[slot];
      q_row_[i] = row.q + head * p.q.stride[0] * p.q.bytes;
      q_scale_[i] = query_scale(p, row, head);
    }
  }

  __device__ static void multiply(const Tile& tile, int32_t dims, Products& dot) {
    const int32_t key = threadIdx.x % 16 * 4, column = threadIdx.x / 16 * 4;
#pragma unroll 4
    for (int32_t d = 0; d < dims; ++d) {
      const int32_t turn = d & ~3;
      float k[2][4], q[2][4];
#pragma unroll
      for (int32_t half = 0; half < 2; ++half) {
        load_4_floats(&tile.keys[d][(half * kKeys / 2 + key) ^ turn], k[half]);
        load_4_floats(&tile.q[d][(half * kColumns / 2 + column) ^ turn], q[half]);
      }
#pragma unroll
      for (int32_t i = 0; i < 8; ++i) {
#pragma unroll
        for (int32_t h = 0; h < 8; ++h) {
          dot[i][h] = fmaf(q[h / 4][h % 4], k[i / 4][i % 4], dot[i][h]);
        }
      }
    }
  }

  // This thread's quads of heads, for its keys, to shared memory.
  __device__ void add_quads(int32_t pass, const Products& dot) {
    const IndexerParams& p = call_.p;
    const int32_t key = threadIdx.x % 16 * 4;
#pragma unroll
    for (int32_t half = 0; half < 2; ++half) {
      const int32_t quad = half * kQuads / 2 + threadIdx.x / 16;
      int32_t slot, head;
      const bool there = find_column(pass, quad * 4, slot, head);
      const int32_t heads = there ? min(4, p.heads - head) : 0;
      float w[4];
#pragma unroll
      for (int32_t h = 0; h < 4; ++h) w[h] = h < heads ? weight(p, sh_.rows[slot], head + h) : 0;
#pragma unroll
      for (int32_t i = 0; i < 8; ++i) {
        float sum = 0;
#pragma unroll
        for (int32_t h = 0; h < 4; ++h) {
          float x = dot[i][half * 4 + h];
          if (p.relu && x < 0) x = 0;  // NaN stays
          if (h < heads) sum = fmaf(w[h], x, sum);
        }
        sh_.parts[quad][i / 4 * (kKeys / 2) + key + i % 4] = sum;
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
  const Shape& shape_;
  Shared& sh_;
  const char* key_row_[kKeyRows];
  const char* q_row_[kColumnRows];
  float q_scale_[kColumnRows];
};

__global__ void __launch_bounds__(kThreads, 1)
    indexer_ffma(const __grid_constant__ ScoreCall call, const __grid_constant__ ScoreWork work,
                 const __grid_constant__ Shape shape) {
  extern __shared__ __align__(16) char memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  let_next_start();
  wait_for_previous();
  for (int64_t item = blockIdx.x; item < work.items(); item += gridDim.x) {
    // Chunks outermost: a causal call's late chunks are empty for early units, and every block
    // gets its share of both.
    const int64_t chunk = item / work.units;
    const Unit unit(call, work, item % work.units);
    __syncthreads();
    load_unit_rows(call, work, unit, shared.rows);
    __syncthreads();
    Scorer scorer(call, shape, shared);
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
  const int32_t blocks = run.device->multiprocessors;
  const ScoreWork work = divide_work(
      call, {.unit_rows = shape.tokens, .tile = kKeys, .together = 1, .most_tiles = kMostTiles},
      blocks);
  const int64_t grid = std::min<int64_t>(work.items(), blocks);
  const LaunchShape launch{.grid = static_cast<uint32_t>(grid),
                           .block = kThreads,
                           .shared_bytes = int32_t{sizeof(Shared)},
                           .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(indexer_ffma, launch, stream_of(run), call, work, shape);
}

cudaError_t load_indexer_ffma() { return load_function(indexer_ffma, int32_t{sizeof(Shared)}); }

}  // namespace dsa::cuda

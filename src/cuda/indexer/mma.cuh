// Indexer on tensor cores by mma.sync: q and keys as f16 or bf16 (e4m3 is exact in both), f32 sums.
//
// A warp keeps 64 (token, head) columns of queries in registers and takes keys by 16 from shared
// memory: 64 products of 16 x 8 x 16 for 8 loads of fragments. ReLU, weights and the sum over heads
// stay in registers: a lane holds heads 8n + 2c and 8n + 2c + 1 (c = lane % 4).
//
// The bits: a dot product is summed by the mma instruction over d in steps of 16. A lane adds its
// heads in ascending order in one fused chain; then lanes (c = 0 + 1) + (2 + 3); then the sum of
// heads from 64 on. A q_scale enters the weight as |q_scale| and the query as its sign.
#pragma once

#include "cuda/indexer/mma_tiles.cuh"
#include "cuda/mma.cuh"

namespace dsa::cuda::indexer_mma {

// max that keeps NaN.
__device__ inline float max_nan(float a, float b) {
  float y;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}

// One warp's queries, and the scores that it makes of them.
template <class T, int kSteps>
class WarpQueries {
 public:
  __device__ WarpQueries(const ScoreCall& call, const Shape& shape, Shared<kSteps>& shared)
      : call_(call),
        shape_(shape),
        sh_(shared),
        lane_(threadIdx.x % 32),
        warp_(threadIdx.x / 32),
        part_(warp_ % shape.token_warps),
        half_(shape.halves == 2 ? part_ % 2 : 0),
        slot_(part_ / shape.halves * shape.tokens),
        heads_(min(call.p.heads - half_ * kColumns, kColumns)),
        floor_(call.p.relu ? 0.0f : -INFINITY) {
    // Tiles of 8 columns after which a token's heads are complete.
    const int32_t tiles = max(heads_ / 8, 1), ends = heads_ == 4 ? 8 : shape.tokens;
    ends_ = 0;
    for (int32_t i = 1; i <= ends; ++i) ends_ |= 1u << (i * tiles - 1);
  }

  // Takes the queries of a unit, by way of this warp's share of the tiles' memory.
  __device__ void load(const Unit& unit) {
    first_ = unit.first;
    constexpr int32_t kCells = 2 * kSteps;
    constexpr int32_t kRows = sizeof(sh_.tile) / kWarps / (kSteps * 32);
    static_assert(kRows == 32 || kRows == 64);
    char* const memory = &sh_.tile[0][0] + warp_ * (sizeof(sh_.tile) / kWarps);
    const uint32_t base = shared_address(memory);
#pragma unroll
    for (int32_t from = 0; from < kColumns; from += kRows) {
#pragma unroll 1
      for (int32_t i = lane_; i < kRows * kCells; i += 32) {
        const int32_t row = i / kCells, cell = i % kCells;
        *reinterpret_cast<uint4*>(memory + cell_offset<kSteps>(row, cell)) =
            query_cell(unit, from + row, cell);
      }
      __syncwarp();
#pragma unroll
      for (int32_t n = 0; n < kRows / 8; ++n) {
#pragma unroll
        for (int32_t k = 0; k < kSteps; k += 2) {
          uint32_t b[4];
          load_matrices(b, base + cell_offset<kSteps>(n * 8 + lane_ % 8, 2 * k + lane_ / 8));
          b_[from / 8 + n][k][0] = b[0];
          b_[from / 8 + n][k][1] = b[1];
          b_[from / 8 + n][k + 1][0] = b[2];
          b_[from / 8 + n][k + 1][1] = b[3];
        }
      }
      __syncwarp();
    }
#pragma unroll
    for (int32_t n = 0; n < 8; ++n) {
      w_[n][0] = weight(unit, n * 8 + lane_ % 4 * 2);
      w_[n][1] = weight(unit, n * 8 + lane_ % 4 * 2 + 1);
    }
  }

  // The keys that this warp's tokens see of a run.
  __device__ void take_run(const UnitRun& run) {
    low_ = max(run.low, slot_);
    high_ = min(run.high, slot_ + shape_.tokens);
    begin_ = UINT32_MAX;
    end_ = 0;
    for (int32_t i = low_; i < high_; ++i) {
      if (sh_.rows[i].begin >= sh_.rows[i].end) continue;
      begin_ = min(begin_, static_cast<uint32_t>(sh_.rows[i].begin));
      end_ = max(end_, static_cast<uint32_t>(sh_.rows[i].end));
    }
  }

  // Tile `tile` of keys, which starts at key `first`.
  __device__ void score(int32_t tile, uint32_t first) {
    const int32_t groups = kWarps / shape_.token_warps;
    for (int32_t m = warp_ / shape_.token_warps; m < kKeys / 16; m += groups) {
      const uint32_t s = first + static_cast<uint32_t>(m) * 16;
      if (s >= end_ || s + 16 <= begin_) continue;
      float acc[8][4] = {};
      multiply(tile, m, acc);
      add_heads(tile, m, s, acc);
    }
  }

 private:
  // Token slot and head of a column; false: it has none.
  __device__ bool find_column(const Unit& unit, int32_t column, int32_t& slot,
                              int32_t& head) const {
    slot = slot_ + column / heads_;
    head = half_ * kColumns + column % heads_;
    const int64_t t = unit.first + slot;
    return column / heads_ < shape_.tokens && t >= unit.low && t < unit.high;
  }

  __device__ float query_scale(int64_t t, int32_t head) const {
    const RowTensor& scale = call_.p.q_scale;
    return scale.given() ? scale.row_as<const float>(t)[head * scale.stride[0]] : 1.0f;
  }

  __device__ uint4 query_cell(const Unit& unit, int32_t column, int32_t cell) const {
    int32_t slot, head;
    if (!find_column(unit, column, slot, head)) return {0, 0, 0, 0};
    const RowTensor& q = call_.p.q;
    const int64_t t = unit.first + slot;
    uint4 x = load_cell<T>(q.row(t) + head * q.stride[0] * q.bytes, q.dtype, cell * 8, call_.p.dim,
                           q.stride[1], shape_.q_by_8);
    if (signbit(query_scale(t, head))) {
      x.x ^= 0x80008000u, x.y ^= 0x80008000u, x.z ^= 0x80008000u, x.w ^= 0x80008000u;
    }
    return x;
  }

  __device__ float weight(const Unit& unit, int32_t column) const {
    int32_t slot, head;
    if (!find_column(unit, column, slot, head)) return 0;
    const RowTensor& w = call_.p.w;
    const int64_t t = unit.first + slot;
    const float scale = fabsf(query_scale(t, head));
    return w.given() ? load_element(w.row(t), w.dtype, head * w.stride[0]) * scale : scale;
  }

  __device__ void multiply(int32_t tile, int32_t m, float (&acc)[8][4]) {
    const uint32_t base = shared_address(sh_.tile[tile & 1]);
    const int32_t row = m * 16 + lane_ % 16, cell = lane_ / 16;
    uint32_t a[2][4];
    load_matrices(a[0], base + cell_offset<kSteps>(row, cell));
#pragma unroll
    for (int32_t k = 0; k < kSteps; ++k) {
      if (k + 1 < kSteps) {
        load_matrices(a[(k + 1) & 1], base + cell_offset<kSteps>(row, 2 * (k + 1) + cell));
      }
#pragma unroll
      for (int32_t n = 0; n < 8; ++n) mma_16x8x16<T>(acc[n], a[k & 1], b_[n][k][0], b_[n][k][1]);
    }
  }

  __device__ void add_heads(int32_t tile, int32_t m, uint32_t s, const float (&acc)[8][4]) {
    float sum[2] = {0, 0};  // keys g and g + 8
    int32_t slot = slot_;
#pragma unroll
    for (int32_t n = 0; n < 8; ++n) {
#pragma unroll
      for (int32_t j = 0; j < 2; ++j) {
        sum[0] = fmaf(w_[n][j], max_nan(acc[n][j], floor_), sum[0]);
        sum[1] = fmaf(w_[n][j], max_nan(acc[n][2 + j], floor_), sum[1]);
      }
      if (ends_ >> n & 1) {
        finish_tokens(tile, m, s, slot, sum);
        slot += heads_ == 4 ? 2 : 1;
        sum[0] = sum[1] = 0;
      }
    }
  }

  // Adds the lanes of a token and writes its 16 scores; with 4 heads, of two tokens.
  __device__ void finish_tokens(int32_t tile, int32_t m, uint32_t s, int32_t slot,
                                const float (&sum)[2]) {
    float x = sum[0] + __shfl_xor_sync(~0u, sum[0], 1);
    float y = sum[1] + __shfl_xor_sync(~0u, sum[1], 1);
    const int32_t c = lane_ % 4;
    if (heads_ == 4) {
      slot += c / 2;
    } else {
      x += __shfl_xor_sync(~0u, x, 2);
      y += __shfl_xor_sync(~0u, y, 2);
    }
    const int32_t row = lane_ / 4 + c % 2 * 8;
    float score = c % 2 == 0 ? x : y;
    if (shape_.halves == 2) {
      add_second_half(m, row, score);
      if (half_ == 1) return;
    }
    if (c >= 2 && heads_ != 4) return;
    if (slot < low_ || slot >= high_) return;
    const UnitRow& out = sh_.rows[slot];
    const int64_t key = int64_t{s} + row;
    if (key < out.begin || key >= out.end) return;
    const int32_t stage = tile % kScaleStages, in_tile = m * 16 + row;
    write_score(call_, out, first_ + slot, static_cast<int32_t>(key), sh_.placed[stage][in_tile],
                score * sh_.scale[stage][in_tile]);
  }

  // The two warps of a token meet at every 16 keys; two buffers, so once is enough.
  __device__ void add_second_half(int32_t m, int32_t row, float& score) {
    const int32_t pair = warp_ / 2;
    float* const buffer = sh_.second_half[pair][turn_ & 1];
    ++turn_;
    if (half_ == 1 && lane_ % 4 < 2) buffer[row] = score;
    asm volatile("bar.sync %0, 64;" ::"r"(1 + pair) : "memory");
    if (half_ == 0) score += buffer[row];
  }

  const ScoreCall& call_;
  const Shape& shape_;
  Shared<kSteps>& sh_;
  const int32_t lane_, warp_;
  const int32_t part_, half_, slot_;
  const int32_t heads_;  // of a token, in this warp
  const float floor_;    // ReLU's, or none
  uint32_t ends_;
  int64_t first_ = 0;
  int32_t low_ = 0, high_ = 0;    // slots of the run
  uint32_t begin_ = 0, end_ = 0;  // keys that they see
  int32_t turn_ = 0;
  uint32_t b_[8][kSteps][2];
  float w_[8][2];
};

template <class T, int kSteps>
__global__ void __launch_bounds__(kThreads, 1)
    indexer_mma(const __grid_constant__ ScoreCall call, const __grid_constant__ ScoreWork work,
                const __grid_constant__ Shape shape) {
  extern __shared__ __align__(128) char memory[];
  Shared<kSteps>& shared = *reinterpret_cast<Shared<kSteps>*>(memory);
  WarpQueries<T, kSteps> queries(call, shape, shared);
  KeyTiles<T, kSteps> tiles(call, shape.key_load, shared);
  for (int64_t item = blockIdx.x; item < work.items(); item += gridDim.x) {
    // Chunks outermost: a causal call's late chunks are empty for early units, and every block
    // gets its share of both.
    const int64_t chunk = item / work.units;
    const Unit unit(call, work, item % work.units);
    __syncthreads();
    load_unit_rows(call, work, unit, shared.rows);
    __syncthreads();
    bool loaded = false;
    for (int32_t slot = 0; slot < unit.slots();) {
      const UnitRun run = next_run(shared.rows, slot, unit.slots());
      queries.take_run(run);
      const int64_t step = work.chunks * work.chunk_keys;
      for (int64_t at = run.begin + chunk * work.chunk_keys; at < run.end; at += step) {
        if (!loaded) {
          queries.load(unit);
          __syncthreads();
          loaded = true;
        }
        const int64_t end = min(at + work.chunk_keys, run.end);
        const int32_t count = static_cast<int32_t>((end - at + kKeys - 1) / kKeys);
        tiles.start(run.request, static_cast<uint32_t>(at), static_cast<uint32_t>(end));
        for (int32_t i = 0; i < count; ++i) {
          tiles.before(i);
          queries.score(i, static_cast<uint32_t>(at) + static_cast<uint32_t>(i) * kKeys);
          tiles.after();
        }
      }
      slot = run.high;
    }
    if (call.fill) fill_unit(call, work, unit, shared.rows, chunk);
  }
}

// Defined in one file for each T: they are the compiler's largest.
template <class T>
cudaError_t enqueue(const ScoreCall& call, const ScoreWork& work, const Shape& shape,
                    const Run& run);
template <class T>
cudaError_t load();

}  // namespace dsa::cuda::indexer_mma

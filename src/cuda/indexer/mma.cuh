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

#include "cuda/indexer/mma_queries.cuh"
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
class WarpScorer {
 public:
  __device__ WarpScorer(const ScoreCall& call, const Shape& shape, Shared<kSteps>& shared)
      : call_(call),
        shape_(shape),
        sh_(shared),
        lane_(threadIdx.x % 32),
        columns_(shape),
        sums_(shared.sums[threadIdx.x / 32]) {}

  // Takes the queries of a unit, by way of this warp's share of the tiles' memory. `first`: the row
  // of slot 0.
  __device__ void load(int64_t first) {
    constexpr int32_t kBytes = sizeof(sh_.tile) / kWarps;
    constexpr int32_t kRows = kBytes / (kSteps * 32);
    char* const memory = &sh_.tile[0][0] + threadIdx.x / 32 * kBytes;
    const uint32_t base = shared_address(memory);
    const QueryLoader<T, kSteps> loader(call_, shape_, columns_, sh_.rows);
    first_ = first;
#pragma unroll
    for (int32_t from = 0; from < kColumns; from += kRows) {
      loader.template to_shared<kRows>(from, memory);
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
    loader.weights_to_shared(sums_);
    __syncwarp();
#pragma unroll
    for (int32_t n = 0; n < 8; ++n) {
      w_[n][0] = sums_[n * 8 + lane_ % 4 * 2];
      w_[n][1] = sums_[n * 8 + lane_ % 4 * 2 + 1];
    }
    __syncwarp();
  }

  // The keys that this warp's tokens see of a run.
  __device__ void take_run(const UnitRun& run) {
    low_ = max(run.low, columns_.slot);
    high_ = min(run.high, columns_.slot + shape_.tokens);
    begin_ = UINT32_MAX;
    end_ = 0;
    for (int32_t i = low_; i < high_; ++i) {
      if (sh_.rows[i].begin >= sh_.rows[i].end) continue;
      begin_ = min(begin_, static_cast<uint32_t>(sh_.rows[i].begin));
      end_ = max(end_, static_cast<uint32_t>(sh_.rows[i].end));
    }
  }

  // Tile `tile` of keys, which starts at key `first`: this warp's share of its blocks of 16 keys.
  __device__ void score(int32_t tile, uint32_t first, bool all_placed) {
    const int32_t share = kKeys / 16 * shape_.token_warps / kWarps;
    const int32_t from = columns_.key_part * share;
#pragma unroll 1
    for (int32_t m = from; m < from + share; m += shape_.sum_blocks) {
#pragma unroll 1
      for (int32_t i = 0; i < shape_.sum_blocks; ++i) {
        const uint32_t s = first + static_cast<uint32_t>(m + i) * 16;
        if (s >= end_ || s + 16 <= begin_) continue;
        float acc[8][4] = {};
        multiply(tile, m + i, acc);
        add_heads(i, acc);
      }
      if (shape_.halves == 2) {
        asm volatile("bar.sync %0, 64;" ::"r"(1 + threadIdx.x / 64) : "memory");
        if (columns_.first_head > 0) continue;
      }
      __syncwarp();
      write_scores(tile, m, first + static_cast<uint32_t>(m) * 16, all_placed);
      __syncwarp();
    }
  }

 private:
  __device__ void multiply(int32_t tile, int32_t m, float (&acc)[8][4]) const {
    // Rows are 32 * kSteps bytes and aligned to as many: going on by k cells of 32 bytes is one
    // xor.
    const uint32_t at =
        shared_address(sh_.tile[tile & 1]) + cell_offset<kSteps>(m * 16 + lane_ % 16, lane_ / 16);
    uint32_t a[2][4];
    load_matrices(a[0], at);
#pragma unroll
    for (int32_t k = 0; k < kSteps; ++k) {
      if (k + 1 < kSteps) {
        load_matrices(a[(k + 1) & 1], at ^ static_cast<uint32_t>((k + 1) * 32));
      }
#pragma unroll
      for (int32_t n = 0; n < 8; ++n) mma_16x8x16<T>(acc[n], a[k & 1], b_[n][k][0], b_[n][k][1]);
    }
  }

  // Adds a lane's two heads of column tile n to the sums of keys g and g + 8.
  __device__ void add_tile(int32_t n, float floor, const float (&acc)[8][4],
                           float (&sum)[2]) const {
#pragma unroll
    for (int32_t j = 0; j < 2; ++j) {
      sum[0] = fmaf(w_[n][j], max_nan(acc[n][j], floor), sum[0]);
      sum[1] = fmaf(w_[n][j], max_nan(acc[n][2 + j], floor), sum[1]);
    }
  }
  __device__ static void add_lanes(int32_t distance, float (&sum)[2]) {
    sum[0] += __shfl_xor_sync(~0u, sum[0], distance);
    sum[1] += __shfl_xor_sync(~0u, sum[1], distance);
  }

  // Sums of the heads of all tokens, for block i of those that wait.
  __device__ void add_heads(int32_t i, const float (&acc)[8][4]) const {
    const float floor = call_.p.relu ? 0.0f : -INFINITY;
    const int32_t c = lane_ % 4;
    float* to = sums_ + i * 16 + lane_ / 4 + c % 2 * 8;  // of key g or g + 8
    float sum[2] = {0, 0};
    if (shape_.ends == 0x80) {  // one token: without the branches below
#pragma unroll
      for (int32_t n = 0; n < 8; ++n) add_tile(n, floor, acc, sum);
      add_lanes(1, sum);
      add_lanes(2, sum);
      if (c < 2) *to = c == 0 ? sum[0] : sum[1];
      return;
    }
    const int32_t keys = 16 * shape_.sum_blocks;  // a token's row
    const bool four = shape_.heads == 4;          // then two tokens end with a tile
    const bool writes = c < 2 || four;
    if (four) to += c / 2 * keys;
#pragma unroll
    for (int32_t n = 0; n < 8; ++n) {
      add_tile(n, floor, acc, sum);
      if (shape_.ends >> n & 1) {
        add_lanes(1, sum);
        if (!four) add_lanes(2, sum);
        if (writes) *to = c % 2 == 0 ? sum[0] : sum[1];
        to += four ? 2 * keys : keys;
        sum[0] = sum[1] = 0;
      }
    }
  }

  // Writes the scores of the blocks [m, m + sum_blocks), which start at key s, from the sums that
  // wait.
  __device__ void write_scores(int32_t tile, int32_t m, uint32_t s, bool all_placed) const {
    const int32_t keys = 16 * shape_.sum_blocks;
    const float* const scale = sh_.scale[tile % kScaleStages] + m * 16;
    const int64_t step = call_.p.scores.stride[0] * call_.p.scores.bytes;
    const float* sums = sums_;
    for (int32_t slot = columns_.slot; slot < columns_.slot + shape_.tokens; ++slot, sums += keys) {
      if (slot < low_ || slot >= high_) continue;
      const UnitRow& row = sh_.rows[slot];
      const uint32_t begin = static_cast<uint32_t>(row.begin), end = static_cast<uint32_t>(row.end);
      if (s >= end || s + keys <= begin) continue;
      if (all_placed && s >= begin && s + keys <= end && !call_.p.rows.mask.given()) {
        char* const to = row.scores + s * step;
#pragma unroll 4
        for (int32_t j = lane_; j < keys; j += 32)
          put_score(call_, to + j * step, sum(sums, j) * scale[j]);
      } else {
        const uint8_t* const placed = sh_.placed[tile % kScaleStages] + m * 16;
#pragma unroll 1
        for (int32_t j = lane_; j < keys; j += 32) {
          if (s + j < begin || s + j >= end) continue;
          write_score(call_, row, first_ + slot, static_cast<int32_t>(s + j), placed[j],
                      sum(sums, j) * scale[j]);
        }
      }
    }
  }
  __device__ float sum(const float* sums, int32_t j) const {
    return shape_.halves == 2 ? sums[j] + sums[j + kSums] : sums[j];
  }

  const ScoreCall& call_;
  const Shape& shape_;
  Shared<kSteps>& sh_;
  const int32_t lane_;
  const WarpColumns columns_;
  float* const sums_;
  int64_t first_ = 0;             // row of slot 0
  int32_t low_ = 0, high_ = 0;    // slots of the run
  uint32_t begin_ = 0, end_ = 0;  // keys that they see
  uint32_t b_[8][kSteps][2];
  float w_[8][2];
};

template <class T, int kSteps>
__global__ void __launch_bounds__(kThreads, 1)
    indexer_mma(const __grid_constant__ ScoreCall call, const __grid_constant__ ScoreWork work,
                const __grid_constant__ Shape shape) {
  extern __shared__ __align__(128) char memory[];
  Shared<kSteps>& shared = *reinterpret_cast<Shared<kSteps>*>(memory);
  WarpScorer<T, kSteps> scorer(call, shape, shared);
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
      scorer.take_run(run);
      const int64_t step = work.chunks * work.chunk_keys;
      for (int64_t at = run.begin + chunk * work.chunk_keys; at < run.end; at += step) {
        if (!loaded) {
          scorer.load(unit.first);
          __syncthreads();
          loaded = true;
        }
        const uint32_t first = static_cast<uint32_t>(at);
        const uint32_t end = static_cast<uint32_t>(min(at + work.chunk_keys, run.end));
        const int32_t count = static_cast<int32_t>((end - first + kKeys - 1) / kKeys);
        tiles.start(run.request, first, end);
        bool all_placed = false;
#pragma unroll 1
        for (int32_t i = tiles.kFirst; i < count; ++i) {
          tiles.step(i);
          if (i >= 0) scorer.score(i, first + static_cast<uint32_t>(i) * kKeys, all_placed);
          all_placed = tiles.turn();
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

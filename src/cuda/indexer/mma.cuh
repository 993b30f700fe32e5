// Indexer on tensor cores by mma.sync: q and keys as f16 or bf16 (e4m3 is exact in both), f32 sums.
//
// The queries of a unit lie in shared memory; a warp takes 32 keys at a time into registers and
// multiplies all queries by them, 16 (token, head) columns at once: 4 mma for a load of 16 bytes.
// Warps never wait for each other, so the ReLU and head sums of one hide under another's products.
//
// The bits: a dot product is summed by the mma instruction in steps of 16 dims (KeyFragments says
// which). A lane holds heads g, g + 8, g + 16, ... (g = lane / 4) and adds them in this order in
// one fused chain; then lanes g and g ^ 4, then ^ 2, then ^ 1 (with 4 heads ^ 2 and ^ 1 alone).
#pragma once

#include "cuda/indexer/mma_keys.cuh"
#include "cuda/mma.cuh"
#include "cuda/ptx.cuh"

namespace dsa::cuda::indexer_mma {

// max that keeps NaN.
__device__ inline float max_nan(float a, float b) {
  float y;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}

// One warp's 32 keys against the tokens of a run.
template <class T, int kSteps>
class WarpTile {
 public:
  __device__ WarpTile(const ScoreCall& call, const Shape& shape, const Shared<kSteps>& shared)
      : call_(call), shape_(shape), sh_(shared) {
    const uint32_t lane = threadIdx.x % 32;
    operands_ = shared_address(sh_.operands) + 16 * lane;
    weights_ = sh_.weights + lane / 4;
    floor_ = call.p.relu ? 0.0f : -INFINITY;
  }

  __device__ void score(const UnitRun& run, int64_t first, int64_t end) {
    first_ = static_cast<uint32_t>(first);
    own_ = first_ + KeyFragments<T, kSteps>::own_key();
    offset_ = own_ * score_step(call_);
    keys_.load(call_, shape_, run.request, first, end);
    switch (shape_.heads) {
      case 4:
        score_by_fours(run);
        break;
      case 8:
        score_by_eights(run);
        break;
      default:
        score_by_sixteens(run);
    }
  }

 private:
  // Of each eight keys the lane has keys 2c and 2c + 1: products [8 keys][mma's registers], and one
  // token's sums, 2 n + j of key 8 n + 2 c + j.
  using Products = float[4][4];
  using Sums = float[8];

  __device__ bool sees(int32_t slot) const {
    const UnitRow& row = sh_.rows[slot];
    return first_ < static_cast<uint32_t>(row.end) &&
           first_ + kKeys > static_cast<uint32_t>(row.begin);
  }

  __device__ void score_by_sixteens(const UnitRun& run) {
#pragma unroll 1
    for (int32_t slot = run.low; slot < run.high; ++slot) {
      if (!sees(slot)) continue;
      Sums sum = {};
      const int32_t from = slot * shape_.heads;
#pragma unroll 1
      for (int32_t column = from; column < from + shape_.heads; column += kColumnsAtOnce) {
        Products dot = {};
        multiply(column, dot);
        add_heads(column, 0, dot, sum);
        add_heads(column, 1, dot, sum);
      }
      write(slot, sum_of_lanes(sum));
    }
  }

  // Two tokens at once; those outside the run are not written.
  __device__ void score_by_eights(const UnitRun& run) {
#pragma unroll 1
    for (int32_t slot = run.low & ~1; slot < run.high; slot += 2) {
      if (!sees(slot) && !sees(slot + 1)) continue;
      Products dot = {};
      multiply(slot * 8, dot);
#pragma unroll
      for (int32_t half = 0; half < 2; ++half) {
        Sums sum = {};
        add_heads(slot * 8, half, dot, sum);
        write_if_of(run, slot + half, sum_of_lanes(sum));
      }
    }
  }

  // Four tokens at once: of each eight columns lanes g < 4 have one token's heads, the others the
  // next one's.
  __device__ void score_by_fours(const UnitRun& run) {
    const bool upper = threadIdx.x & 16;
#pragma unroll 1
    for (int32_t slot = run.low & ~3; slot < run.high; slot += 4) {
      if (!sees(slot) && !sees(slot + 1) && !sees(slot + 2) && !sees(slot + 3)) continue;
      Products dot = {};
      multiply(slot * 4, dot);
#pragma unroll
      for (int32_t half = 0; half < 2; ++half) {
        Sums sum = {};
        add_heads(slot * 4, half, dot, sum);
        float by_two[4], by_one[2];
        share<2>(sum, sum + 2, 8, by_two);
        share<2>(sum + 4, sum + 6, 8, by_two + 2);
        share<1>(by_two, by_two + 1, 4, by_one);
        share<1>(by_two + 2, by_two + 3, 4, by_one + 1);
        // Of this lane's own key, for its token and for the other lanes'.
        const float mine = upper ? by_one[1] : by_one[0];
        const float other = __shfl_xor_sync(~0u, upper ? by_one[0] : by_one[1], 16);
        write_if_of(run, slot + 2 * half, upper ? other : mine);
        write_if_of(run, slot + 2 * half + 1, upper ? mine : other);
      }
    }
  }

  // Columns [column, column + 16) times the keys.
  __device__ void multiply(int32_t column, Products& dot) const {
    const uint32_t at = operands_ + static_cast<uint32_t>(column) * (kSteps * 32);
    uint32_t a[2][4];
    load_shared_16(a[0], at);
#pragma unroll
    for (int32_t k = 0; k < kSteps; ++k) {
      if (k + 1 < kSteps) load_shared_16(a[(k + 1) & 1], at + (k + 1) * 512);
#pragma unroll
      for (int32_t n = 0; n < 4; ++n) {
        mma_16x8x16<T>(dot[n], a[k & 1], keys_.b[n][k][0], keys_.b[n][k][1]);
      }
    }
  }

  // Adds this lane's head of the first or second half of 16 columns.
  __device__ void add_heads(int32_t column, int32_t half, const Products& dot, Sums& sum) const {
    const float w = weights_[column + half * 8];
#pragma unroll
    for (int32_t n = 0; n < 4; ++n) {
#pragma unroll
      for (int32_t j = 0; j < 2; ++j) {
        float& x = sum[2 * n + j];
        x = fmaf(w, max_nan(dot[n][half * 2 + j], floor_), x);
      }
    }
  }

  // Lanes `distance` apart add what they have and share it out: the lower one keeps `first`.
  template <int kCount>
  __device__ static void share(const float* first, const float* second, int32_t distance,
                               float* out) {
    const bool upper = threadIdx.x & distance;
#pragma unroll
    for (int32_t i = 0; i < kCount; ++i) {
      const float given = upper ? first[i] : second[i], kept = upper ? second[i] : first[i];
      out[i] = kept + __shfl_xor_sync(~0u, given, distance);
    }
  }

  // Of the eight lanes with the same keys each gets one key's sum: KeyFragments::own_key.
  __device__ static float sum_of_lanes(const Sums& sum) {
    float by_four[4], by_two[2], by_one[1];
    share<4>(sum, sum + 4, 16, by_four);
    share<2>(by_four, by_four + 2, 8, by_two);
    share<1>(by_two, by_two + 1, 4, by_one);
    return by_one[0];
  }

  // The score of this lane's own key for token `slot`.
  __device__ void write(int32_t slot, float sum) const {
    const UnitRow& row = sh_.rows[slot];
    const uint32_t begin = static_cast<uint32_t>(row.begin);
    if (own_ - begin >= static_cast<uint32_t>(row.end) - begin) return;
    write_score(call_, row, static_cast<int32_t>(own_), offset_, keys_.placed, sum * keys_.scale);
  }
  __device__ void write_if_of(const UnitRun& run, int32_t slot, float sum) const {
    if (slot >= run.low && slot < run.high) write(slot, sum);
  }

  const ScoreCall& call_;
  const Shape& shape_;
  const Shared<kSteps>& sh_;
  uint32_t operands_;     // shared address of this lane's for column 0
  const float* weights_;  // this lane's for columns 0 to 15
  float floor_;           // ReLU's, or none
  uint32_t first_ = 0;    // key of the tile
  uint32_t own_ = 0;      // the key whose scores this lane writes
  int64_t offset_ = 0;    // of its scores
  KeyFragments<T, kSteps> keys_;
};

template <class T, int kSteps>
__global__ void __launch_bounds__(kThreads, 1)
    indexer_mma(const __grid_constant__ ScoreCall call, const __grid_constant__ ScoreWork work,
                const __grid_constant__ Shape shape, int32_t columns) {
  extern __shared__ __align__(128) char memory[];
  const Shared<kSteps> shared(memory, columns);
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
    WarpTile<T, kSteps> tile(call, shape, shared);
    bool loaded = false;
    for (int32_t slot = 0; slot < unit.slots();) {
      const UnitRun run = next_run(shared.rows, slot, unit.slots());
      const int64_t step = work.chunks * work.chunk_keys;
      for (int64_t at = run.begin + chunk * work.chunk_keys; at < run.end; at += step) {
        if (!loaded) {
          load_queries<T>(call.p, shape, shared, columns);
          __syncthreads();
          loaded = true;
        }
        const int64_t end = min(at + work.chunk_keys, run.end);
#pragma unroll 1
        for (int64_t s = at + threadIdx.x / 32 * kKeys; s < end; s += kWarps * kKeys) {
          tile.score(run, s, end);
        }
      }
      slot = run.high;
    }
    if (call.fill) fill_unit(call, work, unit, shared.rows, chunk);
  }
}

// Instantiated in one file for each T: they are the compiler's largest.
template <class T>
cudaError_t enqueue(const ScoreCall& call, const Shape& shape, const Run& run);
template <class T>
cudaError_t load();

}  // namespace dsa::cuda::indexer_mma

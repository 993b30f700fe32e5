// Weighted sums of a block's values by mma.sync: a warp has 64 columns of all heads.
#pragma once

#include "cuda/attention/cluster/shared.cuh"
#include "cuda/attention/cluster_merge.cuh"
#include "cuda/mma.cuh"

namespace dsa::cuda {

constexpr int32_t kUnitsOfWarp = 32 / kClusterWarps;  // of 16 columns

template <class Format, int kM>
class ClusterValues {
 public:
  // Of keys [0, keys), in steps of 16.
  __device__ void add(const ClusterShared<Format, kM>& shared, int32_t keys) {
    constexpr int32_t kPitch = ClusterShared<Format, kM>::kPitch;
    const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int32_t group = Format::kIsFp8 ? warp / 2 : 0;
    uint32_t weights = shared_address(shared.weights[group][lane % 16]) + lane / 16 * 16;
    uint32_t values = shared_address(shared.keys[lane % 16]) + lane / 16 * 16 +
                      warp * kUnitsOfWarp * (Format::kIsFp8 ? 16 : 32);
#pragma unroll 1  // every instruction is fetched, once a call
    for (int32_t first = 0; first < keys; first += 16) {
      uint32_t a[kM][4];
#pragma unroll
      for (int32_t m = 0; m < kM; ++m) load_matrices(a[m], weights + m * 16 * kWeightsPitch);
        // A load is 16 keys times 32 bytes: 2 units of FP8, 1 of 16 bits.
#pragma unroll
      for (int32_t load = 0; load < (Format::kIsFp8 ? 2 : 4); ++load) {
        uint32_t x[4];
        load_matrices_transposed(x, values + load * 32);
        multiply(load, a, x);
      }
      weights += 32, values += 16 * kPitch;
    }
  }

  // To memory.
  __device__ void store(const AttnTask& task, const ClusterPartials& partials) const {
    const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    constexpr int32_t kRun = Format::kRun;  // neighbouring columns of a lane in a unit
    const int32_t first = warp * kUnitsOfWarp * 16 + lane % 4 * kRun;
    const int32_t columns = partials.pitch - first;  // all that the merge reads
#pragma unroll
    for (int32_t m = 0; m < kM; ++m) {
#pragma unroll
      for (int32_t half = 0; half < 4; half += 2) {
        const int32_t h = m * 16 + lane / 4 + half * 4;
        if (h >= task.heads) continue;
        float* const row = partials.sums(h) + first;
#pragma unroll
        for (int32_t u = 0; u < kUnitsOfWarp * 4 / kRun; ++u) {
          float* const at = row + u * 4 * kRun;
          if (u * 4 * kRun >= columns) break;
          if constexpr (kRun == 4) {
            const auto& even = sums_[m][u * 2];
            const auto& odd = sums_[m][u * 2 + 1];
            *reinterpret_cast<float4*>(at) = {even[half], odd[half], even[half + 1], odd[half + 1]};
          } else {
            *reinterpret_cast<float2*>(at) = {sums_[m][u][half], sums_[m][u][half + 1]};
          }
        }
      }
    }
  }

 private:
  using Element = typename Format::Element;

  __device__ __forceinline__ void multiply(int32_t load, const uint32_t (&a)[kM][4],
                                           const uint32_t (&x)[4]) {
    if constexpr (Format::kIsFp8) {
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        const ColumnPairs low = e4m3_columns(x[i * 2]), high = e4m3_columns(x[i * 2 + 1]);
        const int32_t u = load * 2 + i;
#pragma unroll
        for (int32_t m = 0; m < kM; ++m) {
          mma_16x8x16<Element>(sums_[m][u * 2], a[m], low.even, high.even);
          mma_16x8x16<Element>(sums_[m][u * 2 + 1], a[m], low.odd, high.odd);
        }
      }
    } else {
#pragma unroll
      for (int32_t m = 0; m < kM; ++m) {
        mma_16x8x16<Element>(sums_[m][load * 2], a[m], x[0], x[1]);
        mma_16x8x16<Element>(sums_[m][load * 2 + 1], a[m], x[2], x[3]);
      }
    }
  }

  float sums_[kM][kUnitsOfWarp * 2][4] = {};
};

}  // namespace dsa::cuda

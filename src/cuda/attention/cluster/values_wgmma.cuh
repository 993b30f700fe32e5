// Weighted sums of a block's values by wgmma, of FP8: a warpgroup multiplies 256 of their columns,
// the rows of A, by the weights of all heads. Its warps have 16 columns of each of four products,
// two of a group's 128 each.
#pragma once

#include "cuda/attention/cluster/values.cuh"

namespace dsa::cuda {

template <>
class ClusterValues<Fp8Format, 2> {
  using Shared = ClusterShared<Fp8Format, 2>;
  static constexpr int32_t kRegisters = Shared::kHeads / 2, kProducts = 4;
  static constexpr int32_t kAtOnce = 2;  // steps of 16 keys: one is made while one is multiplied

 public:
  __device__ __forceinline__ ClusterValues()
      : group_(__shfl_sync(~0u, threadIdx.x / 128, 0)),
        warp_(threadIdx.x / 32 % 4),
        lane_(threadIdx.x % 32) {}

  // Of keys [0, keys).
  __device__ __forceinline__ void add(const Shared& shared, int32_t keys) {
    const uint32_t weights = __shfl_sync(~0u, shared_address(shared.weights), 0);
    const uint32_t values = shared_address(shared.keys[lane_ % 16]) + lane_ / 16 * 16;
    sm90::pin_registers(sums_);
    uint32_t a[kAtOnce][kProducts][4];
#pragma unroll 1  // every instruction is fetched, once a call
    for (int32_t first = 0; first < keys; first += 16 * kAtOnce) {
#pragma unroll
      for (int32_t i = 0; i < kAtOnce; ++i) {
        load(a[i], values + (first + i * 16) * Shared::kPitch);
        // Keys of a step within a panel, and the panel.
        const uint32_t step = (first / 16 + i) % 4 * sm90::kMmaBytes;
        const uint32_t panel = first / 64 * Shared::kPanelBytes;
        sm90::wgmma_fence();
#pragma unroll
        for (int32_t j = 0; j < kProducts; ++j) {
          const uint32_t of_group = scales(j) * Shared::kWeightsPanels * Shared::kPanelBytes;
          sm90::Bf16::mma(sums_[j], a[i][j], sm90::operand_at(weights + of_group + panel, step));
        }
        sm90::wgmma_commit();
        sm90::wgmma_wait<1>();  // of the other registers
      }
    }
    sm90::wgmma_wait<0>();
    sm90::pin_registers(sums_);
  }

  // To memory.
  __device__ __forceinline__ void store(const AttnTask& task,
                                        const ClusterPartials& partials) const {
#pragma unroll
    for (int32_t i = 0; i < Shared::kHeads / 4; ++i) {
      const int32_t h = i / 2 * 8 + lane_ % 4 * 2 + i % 2;
      if (h >= task.heads) continue;
      float* const row = partials.sums(h);
#pragma unroll
      for (int32_t j = 0; j < kProducts; ++j) {
        const float* const x = &sums_[j][i / 2 * 4 + i % 2];
        const int32_t column = first_column(j) + lane_ / 4 * 2;
        if (column >= partials.pitch) continue;  // past all that the merge reads
        *reinterpret_cast<float2*>(row + column) = {x[0], x[2]};
      }
    }
  }

 private:
  // Number of the group of columns whose scales the weights of a product hold.
  __device__ __forceinline__ int32_t scales(int32_t product) const {
    return group_ * 2 + product / 2;
  }
  // Of the warp, in a product: a lane has an even one and the next.
  __device__ __forceinline__ int32_t first_column(int32_t product) const {
    return scales(product) * 128 + warp_ * 32 + product % 2 * 16;
  }

  // 16 keys of all products.
  __device__ __forceinline__ void load(uint32_t (&a)[kProducts][4], uint32_t values) const {
#pragma unroll
    for (int32_t j = 0; j < kProducts; j += 2) {
      uint32_t x[4];
      load_matrices_transposed(x, values + first_column(j));
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        const ColumnPairs low = e4m3_columns(x[i * 2]), high = e4m3_columns(x[i * 2 + 1]);
        a[j + i][0] = low.even, a[j + i][1] = low.odd;
        a[j + i][2] = high.even, a[j + i][3] = high.odd;
      }
    }
  }

  const int32_t group_, warp_, lane_;  // warpgroup, its warp
  float sums_[kProducts][kRegisters] = {};
};

}  // namespace dsa::cuda

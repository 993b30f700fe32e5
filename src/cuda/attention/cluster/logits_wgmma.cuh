// Logits of a block by wgmma, of FP8: a warpgroup multiplies 64 of the keys by the query of all
// heads. Its warps have 16 keys each, the rows of A, in registers, which a byte of a key comes to
// from shared memory once.
#pragma once

#include "cuda/attention/cluster/logits.cuh"

namespace dsa::cuda {

template <>
class ClusterLogits<Fp8Format, 2> {
  using Shared = ClusterShared<Fp8Format, 2>;
  static constexpr int32_t kRegisters = Shared::kHeads / 2;
  static constexpr int32_t kSteps = 4;  // of 16 columns, in a panel
  using Sums = float[kRegisters];

 public:
  __device__ __forceinline__ explicit ClusterLogits(const Shared& shared)
      : lane_(threadIdx.x % 32),
        first_key_(threadIdx.x / 32 * 16),
        row_(shared_address(shared.keys[first_key_ + lane_ % 16]) + lane_ / 16 * 16),
        query_(__shfl_sync(~0u, shared_address(shared.query_panels), 0)) {}

  __device__ __forceinline__ void find(Shared& shared) const {
    Sums sums = {};
    add_products(sums, shared);
    float* const to = &shared.logits[lane_ % 4 * 2][first_key_ + lane_ / 4];
#pragma unroll
    for (int32_t i = 0; i < kRegisters; ++i) {
      to[(i / 4 * 8 + i % 2) * kWideLogitsPitch + i / 2 % 2 * 8] = sums[i];
    }
  }

 private:
  __device__ __forceinline__ uint64_t query_at(int32_t panel, int32_t step) const {
    return sm90::operand_at(query_, panel * Shared::kPanelBytes + step * sm90::kMmaBytes);
  }

  // 32 bytes of 16 keys at a time, two steps of 16 columns.
  __device__ __forceinline__ void load_group(uint32_t (&a)[8][4], int32_t group) const {
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
      uint32_t x[4];
      load_matrices(x, row_ + group * 128 + i * 32);
#pragma unroll
      for (int32_t half = 0; half < 2; ++half) {
        const uint2 low = e4m3x4_to_f16x4(x[half * 2]), high = e4m3x4_to_f16x4(x[half * 2 + 1]);
        auto& to = a[i * 2 + half];
        to[0] = low.x, to[1] = high.x, to[2] = low.y, to[3] = high.y;
      }
    }
  }

  __device__ __forceinline__ void add_products(Sums& sums, const Shared& shared) const {
    static_assert(kFp8Columns / kFp8Groups == 128);
    const int32_t key = first_key_ + lane_ / 4;
    float scale[2][kFp8Groups];
#pragma unroll
    for (int32_t i = 0; i < 2; ++i) {
      const uint8_t* const at = shared.keys[key + i * 8] + kFp8ScaleOffset;
      const float4 x = *reinterpret_cast<const float4*>(at);
      scale[i][0] = x.x, scale[i][1] = x.y, scale[i][2] = x.z, scale[i][3] = x.w;
    }
    uint32_t a[2][8][4], of_rope[kSteps][4];
    load_group(a[0], 0);
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) load_matrices(of_rope[i], row_ + kFp8RopeOffset + i * 32);
    Sums rope = {};
#pragma unroll
    for (int32_t group = 0; group < kFp8Groups; ++group) {
      Sums of_group = {};
      sm90::pin_registers(of_group);
      if (group == 0) sm90::pin_registers(rope);
      sm90::wgmma_fence();
#pragma unroll
      for (int32_t i = 0; i < 8; ++i) {
        sm90::F16::mma(of_group, a[group % 2][i], query_at(group * 2 + i / 4, i % 4));
      }
      if (group == 0) {
#pragma unroll
        for (int32_t i = 0; i < kSteps; ++i) {
          sm90::Bf16::mma(rope, of_rope[i], query_at(Shared::kQueryPanels - 1, i));
        }
      }
      sm90::wgmma_commit();
      if (group + 1 < kFp8Groups) load_group(a[(group + 1) % 2], group + 1);
      sm90::wgmma_wait<0>();
      sm90::pin_registers(of_group);
      if (group == 0) sm90::pin_registers(rope);
#pragma unroll
      for (int32_t i = 0; i < kRegisters; ++i) {
        sums[i] = fmaf(of_group[i], scale[i / 2 % 2][group], sums[i]);
      }
    }
#pragma unroll
    for (int32_t i = 0; i < kRegisters; ++i) {
      sums[i] = fmaf(sums[i], shared.undo_query[i / 4 * 8 + lane_ % 4 * 2 + i % 2], rope[i]);
    }
  }

  const int32_t lane_;
  const int32_t first_key_;  // of the warp
  const uint32_t row_;       // what this lane loads first
  const uint32_t query_;
};

}  // namespace dsa::cuda

// Logits of a block by mma.sync: a warp multiplies 16 kM heads by 16 kM of the keys, over a kM-th
// of the columns. It holds the query of those columns in registers, loaded while the keys are on
// their way, and a byte of a key leaves shared memory once.
#pragma once

#include "cuda/attention/cluster/shared.cuh"
#include "cuda/mma.cuh"

namespace dsa::cuda {

template <class Format, int kM>
class ClusterLogits {
  static constexpr int32_t kSteps = 36 / kM;  // most, of 16 columns
  static constexpr int32_t kTiles = 2 * kM;   // of 8 keys

  static constexpr int32_t kPitch = ClusterShared<Format, kM>::kPitch;

 public:
  // Loads the query.
  __device__ explicit ClusterLogits(const ClusterShared<Format, kM>& shared)
      : lane_(threadIdx.x % 32),
        part_(threadIdx.x / 32 / (kClusterWarps / kM)),
        first_key_(threadIdx.x / 32 % (kClusterWarps / kM) * 16 * kM) {
    const uint32_t row = shared_address(shared.query) + lane_ % 16 * kQueryPitch + lane_ / 16 * 16;
#pragma unroll
    for (int32_t i = 0; i < kSteps; ++i) {
      const bool rope = Format::kIsFp8 && i >= kFp8Steps;
      const uint32_t at = rope ? row + kFp8Columns * 2 + part_ * kRopeSteps * 32
                               : row + part_ * (Format::kIsFp8 ? kFp8Steps : kSteps) * 32;
      const int32_t step = rope ? i - kFp8Steps : i;
#pragma unroll
      for (int32_t m = 0; m < kM; ++m) {
        load_matrices(query_[m][i], at + m * 16 * kQueryPitch + step * 32);
      }
    }
  }

  __device__ void find(ClusterShared<Format, kM>& shared) const {
    const uint32_t keys = shared_address(shared.keys);
    float sums[kM][kTiles][4] = {};
    if constexpr (Format::kIsFp8) {
      add_fp8(sums, keys, shared.undo_query);
      add_plain<kRopeSteps, kFp8Steps, 1>(sums, keys + kFp8RopeOffset + part_ * kRopeSteps * 32);
    } else {
      add_plain<kSteps, 0, 2 / kM>(sums, keys + part_ * kSteps * 32);
    }
    float* const to = &shared.logits[part_][lane_ / 4][first_key_ + lane_ % 4 * 2];
#pragma unroll
    for (int32_t m = 0; m < kM; ++m) {
#pragma unroll
      for (int32_t j = 0; j < kTiles; ++j) {
        const auto& x = sums[m][j];
        *reinterpret_cast<float2*>(to + m * 16 * kLogitsPitch + j * 8) = {x[0], x[1]};
        *reinterpret_cast<float2*>(to + (m * 16 + 8) * kLogitsPitch + j * 8) = {x[2], x[3]};
      }
    }
  }

 private:
  static constexpr int32_t kFp8Steps = 32 / kM, kRopeSteps = 4 / kM;

  // Steps of 16-bit elements; those of the query from kFirst on. In kChains sums: a product waits
  // for the one before it in the same.
  template <int kCount, int kFirst, int kChains>
  __device__ __forceinline__ void add_plain(float (&sums)[kM][kTiles][4], uint32_t columns) const {
    const uint32_t row =
        columns + (first_key_ + lane_ / 16 * 8 + lane_ % 8) * kPitch + lane_ / 8 % 2 * 16;
    float all[kChains][kM][kTiles][4] = {};
#pragma unroll
    for (int32_t i = 0; i < kCount; ++i) {
#pragma unroll
      for (int32_t k = 0; k < kM; ++k) {
        uint32_t b[4];
        load_matrices(b, row + k * 16 * kPitch + i * 32);
#pragma unroll
        for (int32_t m = 0; m < kM; ++m) {
          auto& to = all[i % kChains][m];
          mma_16x8x16<__nv_bfloat16>(to[2 * k], query_[m][kFirst + i], b[0], b[1]);
          mma_16x8x16<__nv_bfloat16>(to[2 * k + 1], query_[m][kFirst + i], b[2], b[3]);
        }
      }
    }
#pragma unroll
    for (int32_t m = 0; m < kM; ++m) {
#pragma unroll
      for (int32_t j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int32_t i = 0; i < 4; ++i) {
#pragma unroll
          for (int32_t c = 0; c < kChains; ++c) sums[m][j][i] += all[c][m][j][i];
        }
      }
    }
  }

  __device__ __forceinline__ void add_fp8(float (&sums)[kM][kTiles][4], uint32_t keys,
                                          const float* undo) const {
    const uint32_t row = keys + (first_key_ + lane_ % 16) * kFp8RowBytes +
                         part_ * (kFp8Columns / kM) + lane_ / 16 * 16;
#pragma unroll
    for (int32_t g = 0; g < kFp8Groups / kM; ++g) {
      float of_group[kM][kTiles][4] = {};
#pragma unroll
      for (int32_t i = 0; i < 4; ++i) {
#pragma unroll
        for (int32_t k = 0; k < kM; ++k) {
          uint32_t x[4];
          load_matrices(x, row + k * 16 * kFp8RowBytes + g * 128 + i * 32);
#pragma unroll
          for (int32_t j = 0; j < 4; ++j) {
            const uint2 b = e4m3x4_to_f16x4(x[j]);
#pragma unroll
            for (int32_t m = 0; m < kM; ++m) {
              mma_16x8x16<__half>(of_group[m][2 * k + j % 2], query_[m][g * 8 + i * 2 + j / 2], b.x,
                                  b.y);
            }
          }
        }
      }
      const uint32_t scales = keys + (first_key_ + lane_ % 4 * 2) * kFp8RowBytes + kFp8ScaleOffset +
                              (part_ * (kFp8Groups / kM) + g) * 4;
#pragma unroll
      for (int32_t j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int32_t i = 0; i < 2; ++i) {
          float scale;
          asm volatile("ld.shared.f32 %0, [%1];"
                       : "=f"(scale)
                       : "r"(scales + (j * 8 + i) * kFp8RowBytes)
                       : "memory");
#pragma unroll
          for (int32_t m = 0; m < kM; ++m) {
            sums[m][j][i] = fmaf(of_group[m][j][i], scale, sums[m][j][i]);
            sums[m][j][i + 2] = fmaf(of_group[m][j][i + 2], scale, sums[m][j][i + 2]);
          }
        }
      }
    }
#pragma unroll
    for (int32_t m = 0; m < kM; ++m) {
      const float low = undo[m * 16 + lane_ / 4], high = undo[m * 16 + lane_ / 4 + 8];
#pragma unroll
      for (int32_t j = 0; j < kTiles; ++j) {
#pragma unroll
        for (int32_t i = 0; i < 4; ++i) sums[m][j][i] *= i < 2 ? low : high;
      }
    }
  }

  const int32_t lane_;
  const int32_t part_;  // of the columns
  const int32_t first_key_;
  uint32_t query_[kM][kSteps][4];
};

}  // namespace dsa::cuda

// Logits of a block to weights, and their largest and sum to memory: a warp has whole rows, a lane
// pairs of keys.
#pragma once

#include "cuda/attention/cluster/shared.cuh"
#include "cuda/attention/cluster_merge.cuh"
#include "cuda/attention/softmax.cuh"

namespace dsa::cuda {

template <class Format, int kM>
__device__ inline void find_weights(ClusterShared<Format, kM>& shared, float scale,
                                    const AttnTask& task, const ClusterPartials& partials) {
  using Shared = ClusterShared<Format, kM>;
  constexpr int32_t kOfLane = kClusterKeys / 32, kHeads = 16 * kM;
  constexpr int32_t kRows = kHeads / kClusterWarps;  // of a warp, step by step together
  constexpr float kLog2E = 1.44269504088896340736f;
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const auto key = [lane](int32_t i) { return i / 2 * 64 + lane * 2 + i % 2; };  // of the lane
  float z[kRows][kOfLane];
  int32_t top[kRows];
  bool there[kOfLane];
#pragma unroll
  for (int32_t i = 0; i < kOfLane; ++i) there[i] = shared.there[key(i)] != 0;
#pragma unroll
  for (int32_t r = 0; r < kRows; ++r) {
    top[r] = float_order(-CUDART_INF_F);
#pragma unroll
    for (int32_t i = 0; i < kOfLane; ++i) {
      const float x = shared.logit(warp + r * kClusterWarps, key(i));
      z[r][i] = there[i] ? x * scale : -CUDART_INF_F;
      top[r] = max(top[r], float_order(z[r][i]));
    }
  }
#pragma unroll
  for (int32_t r = 0; r < kRows; ++r) top[r] = __reduce_max_sync(~0u, top[r]);
  float sum[kRows];
#pragma unroll
  for (int32_t r = 0; r < kRows; ++r) {
    const float base = finite_top(from_order(top[r])) * kLog2E;
    sum[r] = 0;
#pragma unroll
    for (int32_t i = 0; i < kOfLane; ++i) {
      z[r][i] = exp2_approximate(fmaf(z[r][i], kLog2E, -base));
      sum[r] += z[r][i];
    }
  }
  using Element = typename Format::Element;
  struct Pair {
    Element first, second;
  };
#pragma unroll
  for (int32_t i = 0; i < kOfLane; i += 2) {
    float scales[2][4] = {};  // of FP8
    if constexpr (Format::kIsFp8) {
#pragma unroll
      for (int32_t j = 0; j < 2; ++j) {
        const uint8_t* const at = shared.keys[key(i + j)] + kFp8ScaleOffset;
        const float4 x = *reinterpret_cast<const float4*>(at);
        scales[j][0] = x.x, scales[j][1] = x.y, scales[j][2] = x.z, scales[j][3] = x.w;
      }
    }
#pragma unroll
    for (int32_t g = 0; g < Shared::kGroups; ++g) {
#pragma unroll
      for (int32_t r = 0; r < kRows; ++r) {
        float x = z[r][i], y = z[r][i + 1];
        if constexpr (Format::kIsFp8) x *= scales[0][g], y *= scales[1][g];
        const Pair pair = {round_to<Element>(x), round_to<Element>(y)};
        memcpy(&shared.weights_pair(g, warp + r * kClusterWarps, key(i) / 2), &pair, 4);
      }
    }
  }
  if constexpr (kUsesWgmma<Shared>) fence_async_proxy();
#pragma unroll
  for (int32_t r = 0; r < kRows; ++r) {
    const float all = warp_sum(sum[r]);
    const int32_t h = warp + r * kClusterWarps;
    if (lane == 0 && h < task.heads) *partials.state(h) = {from_order(top[r]), all};
  }
}

}  // namespace dsa::cuda

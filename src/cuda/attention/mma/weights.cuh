// The softmax of a tile: partial logits of all warps to weights, for the 4 heads of a warp; lane l
// has key l.
#pragma once

#include "cuda/attention/mma/format.cuh"
#include "cuda/attention/mma/pipeline.cuh"
#include "cuda/attention/selection.cuh"
#include "cuda/attention/softmax.cuh"

namespace dsa::cuda {

constexpr int32_t kHeadsOfWarp = 4;
constexpr int32_t kLogitPitch = kTileKeys + 8;        // floats: stores of 8 rows meet no bank twice
constexpr int32_t kWeightPitch = kTileKeys * 2 + 16;  // bytes: an odd multiple of 16

// What the warps of a block tell each other of a tile.
template <class Format, int kWarps>
struct MmaExchange {
  static constexpr int32_t kHeads = kWarps * kHeadsOfWarp;
  static constexpr int32_t kGroups = Format::kIsFp8 ? kFp8Groups : 1;
  float logits[kWarps][kHeads][kLogitPitch];
  alignas(16) char weights[kGroups][kHeads][kWeightPitch];
  float decay[kHeads];
};

__device__ inline float4 load_shared4(uint32_t address) {
  float4 x;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
               : "r"(address)
               : "memory");
  return x;
}

template <class Format, int kWarps>
class MmaWeights {
  using Element = typename Format::Element;
  using Exchange = MmaExchange<Format, kWarps>;
  static constexpr int32_t kGroups = Exchange::kGroups;

 public:
  __device__ MmaWeights(Exchange& exchange, int32_t warp, int32_t lane, float scale)
      : lane_(lane), scale_(scale) {
    from_ = &exchange.logits[0][warp * kHeadsOfWarp][lane];
    to_ = reinterpret_cast<Element*>(exchange.weights[0][warp * kHeadsOfWarp]) + lane;
    decay_ = &exchange.decay[warp * kHeadsOfWarp];
#pragma unroll
    for (int32_t i = 0; i < kHeadsOfWarp; ++i) top_[i] = float_order(-CUDART_INF_F), sum_[i] = 0;
  }

  // `scales`: shared address of the 4 scales of this lane's key; `turn`: which exchange.
  __device__ void add(int32_t keys, uint32_t scales, int32_t turn) {
    const float* const from = from_ + turn * static_cast<int32_t>(sizeof(Exchange) / sizeof(float));
    Element* const to = to_ + turn * static_cast<int32_t>(sizeof(Exchange) / sizeof(Element));
    float* const decays = decay_ + turn * static_cast<int32_t>(sizeof(Exchange) / sizeof(float));
    float factors[kGroups];
    if constexpr (Format::kIsFp8) {
      const float4 x = load_shared4(scales);
      factors[0] = x.x, factors[1] = x.y, factors[2] = x.z, factors[3] = x.w;
    } else {
      factors[0] = Format::kWeightScale;
    }
    // The heads step by step together: one after the other they would wait for shared memory and
    // the reduction 4 times.
    constexpr float kLog2E = 1.44269504088896340736f;
    float z[kHeadsOfWarp];
#pragma unroll
    for (int32_t i = 0; i < kHeadsOfWarp; ++i) {
      z[i] = from[i * kLogitPitch];
#pragma unroll
      for (int32_t w = 1; w < kWarps; ++w) z[i] += from[(w * Exchange::kHeads + i) * kLogitPitch];
      z[i] = lane_ < keys ? z[i] * scale_ : -CUDART_INF_F;
    }
    int32_t now[kHeadsOfWarp];
#pragma unroll
    for (int32_t i = 0; i < kHeadsOfWarp; ++i) now[i] = __reduce_max_sync(~0u, float_order(z[i]));
#pragma unroll
    for (int32_t i = 0; i < kHeadsOfWarp; ++i) {
      now[i] = max(top_[i], now[i]);
      const float base = finite_top(from_order(now[i])) * kLog2E;
      const float decay = exp2_approximate(fmaf(from_order(top_[i]), kLog2E, -base));
      const float weight = exp2_approximate(fmaf(z[i], kLog2E, -base));
      sum_[i] = sum_[i] * decay + weight;
      top_[i] = now[i];
      if (lane_ == 0) decays[i] = decay;
#pragma unroll
      for (int32_t g = 0; g < kGroups; ++g) {
        to[(g * Exchange::kHeads + i) * (kWeightPitch / 2)] =
            round_to<Element>(weight * factors[g]);
      }
    }
  }

  // Largest logit and sum of head `lane`, for the lanes that have one.
  __device__ void end(float& top, float& sum) const {
#pragma unroll
    for (int32_t i = 0; i < kHeadsOfWarp; ++i) {
      const float all = warp_sum(sum_[i]);
      if (i == 0 || lane_ == i) top = from_order(top_[i]), sum = all;
    }
  }

 private:
  const int32_t lane_;
  const float scale_;
  const float* from_;
  Element* to_;
  float* decay_;
  int32_t top_[kHeadsOfWarp];  // as float_order
  float sum_[kHeadsOfWarp];    // of the lane's keys
};

}  // namespace dsa::cuda

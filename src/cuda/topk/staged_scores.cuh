// A warp's row in shared memory, each lane's neighbours in one run: read from global memory as it
// lies, which runs of a lane would take twice the time for, and kept there where registers are few.
#pragma once

#include "cuda/ptx.cuh"
#include "cuda/topk/own_scores.cuh"
#include "cuda/topk/short_row.cuh"

namespace dsa::cuda::topk {

// A run's place in 16-byte slabs; an odd number of them, so that lanes meet in no bank.
template <int kSlabs>
constexpr int32_t kRunSlabs = kSlabs | 1;

template <class Element, int kSlabs>
static __device__ __noinline__ void stage_any(DenseRow row, uint4* staged) {
  const ShortSlabs<Element> from(row, 32 * kSlabs * Element::kCount);
#pragma unroll 1
  for (int32_t i = lane_id(); i < 32 * kSlabs; i += 32) {
    staged[i / kSlabs * kRunSlabs<kSlabs> + i % kSlabs] = from.load(i);
  }
}

// Ends with a barrier of the warp.
template <class Element, int kSlabs>
__device__ void stage_row(const DenseRow& row, uint4* staged) {
  const ShortSlabs<Element> from(row, 32 * kSlabs * Element::kCount);
  if (from.whole(32 * kSlabs)) {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      const int32_t slab = i * 32 + lane_id();
      const int32_t to = slab / kSlabs * kRunSlabs<kSlabs> + slab % kSlabs;
      copy_async_16(shared_address(staged + to), from.at(slab));
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
  } else {
    stage_any<Element, kSlabs>(row, staged);
  }
  __syncwarp();
}

// M scores of a run.
template <class Element, int M>
struct StagedScores {
  static constexpr int32_t kCount = M;
  Element element;
  uint32_t run;  // address in shared memory

  template <class F>
  __device__ void each(F f) const {
    constexpr int32_t kOfSlab = Element::kCount;
#pragma unroll
    for (int32_t i = 0; i < M / kOfSlab; ++i) {
      uint32_t slab[4];
      load_shared_16(slab, run + i * 16);
      float x[kOfSlab];
      element.unpack(uint4{slab[0], slab[1], slab[2], slab[3]}, x);
#pragma unroll
      for (int32_t e = 0; e < kOfSlab; ++e) f(i * kOfSlab + e, x[e]);
    }
  }
};

}  // namespace dsa::cuda::topk

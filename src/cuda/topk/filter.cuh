// One pass over a slice: what passes the gate goes to a list in shared memory.
#pragma once

#include "cuda/topk/sample.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kListCapacity = 6144;

struct Entry {
  float score;
  int32_t place;
};

struct ListHead {
  int32_t size;   // what passed: all of it is in the list, or that is too small
  int32_t equal;  // equal to the gate, where they are counted
  uint32_t top;   // largest key
};

// Scores of a thread that are looked at together. As many are in flight meanwhile.
inline constexpr int32_t kAtOnce = 16;

template <class Element>
struct Batch {
  static constexpr int32_t kSlabs = kAtOnce / Element::kCount;
  uint4 slabs[kSlabs];
};

template <int kThreads, class Element>
__device__ Batch<Element> load_batch(const Slice<Element>& slice, int32_t tile) {
  Batch<Element> batch;
#pragma unroll
  for (int32_t i = 0; i < Batch<Element>::kSlabs; ++i) {
    batch.slabs[i] = slice.load(tile + i * kThreads + static_cast<int32_t>(threadIdx.x));
  }
  return batch;
}

// `batch` is the first: it is loaded while the gate is made. A warp finds its places in the list
// once in 512 scores, so that a score costs 5 instructions.
template <int kThreads, class Element>
__device__ void filter(const Slice<Element>& slice, Element element, Batch<Element> batch,
                       Gate gate, Entry* list, ListHead& head) {
  constexpr int32_t kCount = Element::kCount;
  constexpr int32_t kSlabs = Batch<Element>::kSlabs;
  uint32_t equal = 0;
  float top = -__builtin_inff();
#pragma unroll 1
  for (int32_t tile = slice.begin; tile < slice.end; tile += kSlabs * kThreads) {
    const Batch<Element> next = load_batch<kThreads>(slice, tile + kSlabs * kThreads);
    float x[kSlabs][kCount];
    uint32_t own = 0;
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) {
      element.unpack(batch.slabs[i], x[i]);
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) own += x[i][e] > gate.score ? 1u : 0u;
    }
    if (gate.counts_equal) {
#pragma unroll
      for (int32_t i = 0; i < kAtOnce; ++i) {
        equal += x[i / kCount][i % kCount] == gate.score ? 1u : 0u;
      }
    }
    if (__any_sync(kAllLanes, own > 0)) {
      const uint32_t inclusive = warp_inclusive_sum(own);
      int32_t at = 0;
      if (lane_id() == 31) at = atomicAdd(&head.size, static_cast<int32_t>(inclusive));
      at = __shfl_sync(kAllLanes, at, 31) + static_cast<int32_t>(inclusive - own);
      const bool fits = at + static_cast<int32_t>(own) <= kListCapacity;
#pragma unroll
      for (int32_t i = 0; i < kAtOnce; ++i) {
        const float score = x[i / kCount][i % kCount];
        const int32_t slab = tile + i / kCount * kThreads + static_cast<int32_t>(threadIdx.x);
        if (score > gate.score && fits) {
          list[at++] = {score, slab * kCount + i % kCount};
          top = fmaxf(top, score);
        }
      }
    }
    batch = next;
  }
  equal = __reduce_add_sync(kAllLanes, equal);
  const uint32_t top_key = __reduce_max_sync(kAllLanes, ordered_key(top));
  if (lane_id() == 0) {
    if (equal > 0) atomicAdd(&head.equal, static_cast<int32_t>(equal));
    atomicMax(&head.top, top_key);
  }
}

// A row that fits into the list goes there as it is.
template <int kThreads, class Element>
__device__ void list_all(const Slice<Element>& slice, Element element, Entry* list) {
#pragma unroll 1
  for (int32_t slab = slice.begin + static_cast<int32_t>(threadIdx.x); slab < slice.end;
       slab += kThreads) {
    float x[Element::kCount];
    element.unpack(slice.load(slab), x);
#pragma unroll
    for (int32_t e = 0; e < Element::kCount; ++e) {
      const int32_t place = slab * Element::kCount + e;
      if (place >= slice.shift && place < slice.row_end) {
        list[place - slice.shift] = {x[e], place};
      }
    }
  }
}

}  // namespace dsa::cuda::topk

// One pass over a slice: what is above the gate goes to a list in shared memory.
#pragma once

#include "cuda/topk/crossing.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kListCapacity = 8192;

// Keys and places of a slice, in no order.
struct List {
  uint32_t keys[kListCapacity];
  int32_t places[kListCapacity];
};

struct ListHead {
  int32_t greater;  // above the gate: all of them are in the list, or it is too small
  int32_t equal;    // to the gate
  uint32_t top;     // largest key
};

__device__ inline void append(List& list, ListHead& head, uint32_t key, int32_t place) {
  const int32_t at = atomicAdd(&head.greater, 1);
  if (at >= kListCapacity) return;
  list.keys[at] = key;
  list.places[at] = place;
}

// Slabs in flight before the first is looked at. They may be loaded before the gate is known.
template <class Element, int kThreads, int kAtOnce>
struct Batch {
  uint4 slabs[kAtOnce];

  __device__ void load(const Slice<Element>& slice, int32_t first) {
#pragma unroll
    for (int32_t i = 0; i < kAtOnce; ++i) {
      const int32_t slab = first + i * kThreads;
      if (slab < slice.full_end) slabs[i] = __ldg(slice.slabs + slab);
    }
  }
};

template <class Element, int kThreads, int kAtOnce>
__device__ void filter(const RowScores& row, const Slice<Element>& slice, Element element,
                       Batch<Element, kThreads, kAtOnce>& batch, float gate, List& list,
                       ListHead& head) {
  constexpr int32_t kCount = Element::kCount;
  int32_t equal = 0;
  uint32_t top = 0;
  const auto look_at = [&](float x, int32_t place) {
    if (x > gate) {
      const uint32_t key = ordered_key(x);
      append(list, head, key, place);
      top = max(top, key);
    } else if (x == gate) {
      ++equal;
    }
  };
  int32_t first = slice.full_begin + static_cast<int32_t>(threadIdx.x);
  while (first < slice.full_end) {
    Batch<Element, kThreads, kAtOnce> next;
    next.load(slice, first + kAtOnce * kThreads);
#pragma unroll
    for (int32_t i = 0; i < kAtOnce; ++i) {
      const int32_t slab = first + i * kThreads;
      if (slab >= slice.full_end) break;
      float x[kCount];
      element.unpack(batch.slabs[i], x);
      bool any = false;
#pragma unroll
      for (int32_t e = 0; e < kCount; ++e) any |= x[e] >= gate;
      if (any) {
#pragma unroll
        for (int32_t e = 0; e < kCount; ++e) look_at(x[e], slab * kCount + e);
      }
    }
    batch = next;
    first += kAtOnce * kThreads;
  }
  slice.for_edges([&](int32_t place) { look_at(row.score(place - slice.shift), place); });
  equal = __reduce_add_sync(kAllLanes, equal);
  top = __reduce_max_sync(kAllLanes, top);
  if (lane_id() == 0) {
    if (equal > 0) atomicAdd(&head.equal, equal);
    if (top > 0) atomicMax(&head.top, top);
  }
}

// A row that fits into the list goes there as it is: the key of key j is list.keys[j].
template <class Element, int kThreads>
__device__ void list_all(const RowScores& row, const Slice<Element>& slice, Element element,
                         List& list) {
  constexpr int32_t kCount = Element::kCount;
  for (int32_t slab = slice.full_begin + static_cast<int32_t>(threadIdx.x); slab < slice.full_end;
       slab += kThreads) {
    float x[kCount];
    element.unpack(__ldg(slice.slabs + slab), x);
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) {
      const int32_t place = slab * kCount + e;
      list.keys[place - slice.shift] = selectable_key(x[e], row.lowest);
      list.places[place - slice.shift] = place;
    }
  }
  slice.for_edges([&](int32_t place) {
    const int32_t j = place - slice.shift;
    list.keys[j] = selectable_key(row.score(j), row.lowest);
    list.places[j] = place;
  });
}

}  // namespace dsa::cuda::topk

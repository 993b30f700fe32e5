// One pass over a slice: what passes the gate goes to a list in shared memory.
#pragma once

#include "cuda/topk/sample.cuh"
#include "cuda/topk/slab.cuh"

namespace dsa::cuda::topk {

inline constexpr int32_t kListCapacity = 6144;

// First with the score's bits as f32 for a key.
struct Entry {
  uint32_t key;
  int32_t place;
};

struct ListHead {
  int32_t size;   // what passed: all of it is in the list, or that is too small
  int32_t equal;  // equal to the gate, where they are counted
  uint32_t top;   // largest key
};

// Scores of a thread that are looked at together. As many are in flight meanwhile.
inline constexpr int32_t kAtOnce = 16;
// Where more pass, of a thread, the row may be in order.
inline constexpr int32_t kCrowd = 5;

template <class Element>
struct Batch {
  static constexpr int32_t kSlabs = kAtOnce / Element::kCount;
  uint4 slabs[kSlabs];
};

template <int kThreads, class Element>
__device__ Batch<Element> load_batch(const Slice<Element>& slice, int32_t tile) {
  constexpr int32_t kSlabs = Batch<Element>::kSlabs;
  Batch<Element> batch;
  const int32_t slab = tile + static_cast<int32_t>(threadIdx.x);
  if (slice.whole(tile, tile + kSlabs * kThreads)) {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) batch.slabs[i] = __ldg(slice.slabs + slab + i * kThreads);
  } else {
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) batch.slabs[i] = slice.load(slab + i * kThreads);
  }
  return batch;
}

// Lists a warp's scores of which many pass. Step by step next to each other: runs of lanes would
// all begin in one bank.
template <int kThreads, int kCount, int kSlabs>
__device__ void list_crowd(const float (&x)[kSlabs][kCount], float gate, Entry* to, int32_t tile) {
  const int32_t place = (tile + static_cast<int32_t>(threadIdx.x)) * kCount;
#pragma unroll
  for (int32_t i = 0; i < kAtOnce; ++i) {
    const float score = x[i / kCount][i % kCount];
    const uint32_t mask = __ballot_sync(kAllLanes, score > gate);
    if (score > gate) {
      to[__popc(mask & ((1u << lane_id()) - 1))] = {
          __float_as_uint(score), place + i / kCount * kThreads * kCount + i % kCount};
    }
    to += __popc(mask);
  }
}

// `batch` is the first: it is loaded while the gate is made. A warp finds its places in the list
// once in 512 scores. `unrolls`: where registers are plenty.
template <int kThreads, bool unrolls, class Element>
__device__ void filter(const Slice<Element>& slice, Element element, Batch<Element> batch,
                       Gate gate, Entry* list, int32_t capacity, ListHead& head) {
  constexpr int32_t kCount = Element::kCount;
  constexpr int32_t kSlabs = Batch<Element>::kSlabs;
  uint32_t equal = 0;
#pragma unroll 1
  for (int32_t tile = slice.begin; tile < slice.end; tile += kSlabs * kThreads) {
    float x[kSlabs][kCount];
#pragma unroll
    for (int32_t i = 0; i < kSlabs; ++i) element.unpack(batch.slabs[i], x[i]);
    batch = load_batch<kThreads>(slice, tile + kSlabs * kThreads);
    uint32_t passes = 0;  // a bit for each
#pragma unroll
    for (int32_t i = 0; i < kAtOnce; ++i) {
      passes |= x[i / kCount][i % kCount] > gate.score ? 1u << i : 0u;
    }
    if (gate.counts_equal) {
#pragma unroll
      for (int32_t i = 0; i < kAtOnce; ++i) {
        equal += x[i / kCount][i % kCount] == gate.score ? 1u : 0u;
      }
    }
    if (!__any_sync(kAllLanes, passes != 0)) continue;
    const int32_t own = __popc(passes);
    const int32_t inclusive = warp_inclusive_sum(own);
    int32_t at = 0;
    if (lane_id() == 31) at = atomicAdd(&head.size, inclusive);
    at = __shfl_sync(kAllLanes, at, 31) + inclusive - own;
    const bool many = unrolls && __any_sync(kAllLanes, own > 2);
    if (many && __any_sync(kAllLanes, own > kCrowd)) {
      const int32_t end = __shfl_sync(kAllLanes, at + own, 31);
      if (end <= capacity) {
        list_crowd<kThreads, kCount>(x, gate.score,
                                     list + (end - __shfl_sync(kAllLanes, inclusive, 31)), tile);
      }
      continue;
    }
    if (at + own > capacity) continue;
    const int32_t place = (tile + static_cast<int32_t>(threadIdx.x)) * kCount;
    if (many) {  // quicker to look at each again
#pragma unroll
      for (int32_t i = 0; i < kAtOnce; ++i) {
        const float score = x[i / kCount][i % kCount];
        if (score > gate.score) {
          list[at++] = {__float_as_uint(score),
                        place + i / kCount * kThreads * kCount + i % kCount};
        }
      }
      continue;
    }
#pragma unroll 1
    for (; passes != 0; passes &= passes - 1) {
      const int32_t i = __ffs(passes) - 1;
      list[at++] = {__float_as_uint(pick(x, i)),
                    place + i / kCount * kThreads * kCount + i % kCount};
    }
  }
  if (gate.counts_equal) {
    equal = __reduce_add_sync(kAllLanes, equal);
    if (lane_id() == 0 && equal > 0) atomicAdd(&head.equal, static_cast<int32_t>(equal));
  }
}

// Turns the list's scores into keys, and makes head.top known, after the next barrier.
template <int kThreads>
__device__ void key_entries(Entry* list, ListHead& head) {
  const int32_t size = min(head.size, kListCapacity);
  uint32_t top = 0;
#pragma unroll 2
  for (int32_t i = threadIdx.x; i < size; i += kThreads) {
    const uint32_t key = key_of_number(__uint_as_float(list[i].key));
    list[i].key = key;
    top = max(top, key);
  }
  top = __reduce_max_sync(kAllLanes, top);
  if (lane_id() == 0) atomicMax(&head.top, top);
}

}  // namespace dsa::cuda::topk

// A set of places in shared memory, and the rank of each: what puts a list in order.
#pragma once

#include "cuda/topk/crossing.cuh"

namespace dsa::cuda::topk {

// Words of 32 places in fours; room for those of a partial first slab.
__host__ __device__ constexpr int32_t bitmap_quads(int64_t places) {
  return static_cast<int32_t>((places + 8 + 127) / 128);
}
constexpr int64_t bitmap_bytes(int64_t places) { return int64_t{bitmap_quads(places)} * 20; }

// A bit for each place, and for each 128 of them how many bits are set before.
struct Bitmap {
  uint32_t* bits;  // aligned to 16 bytes
  uint32_t* before;
  int32_t quads;

  // Of at most so many places, in bitmap_bytes.
  __device__ Bitmap(uint32_t* memory, int64_t places)
      : bits(memory), before(memory + 4 * bitmap_quads(places)), quads(bitmap_quads(places)) {}

  template <int kThreads>
  __device__ void clear() const {
#pragma unroll 1
    for (int32_t i = threadIdx.x; i < quads; i += kThreads) reinterpret_cast<uint4*>(bits)[i] = {};
  }
  __device__ void set(int32_t place) const { atomicOr(&bits[place >> 5], 1u << (place & 31)); }

  // Makes `before`, when all bits are set, for after a barrier.
  template <int kThreads>
  __device__ void sum(BlockShared& shared) const {
    const int32_t each = (quads + kThreads - 1) / kThreads;
    const int32_t begin = min(static_cast<int32_t>(threadIdx.x) * each, quads);
    const int32_t end = min(begin + each, quads);
    uint32_t sum = 0;
#pragma unroll 1
    for (int32_t i = begin; i < end; ++i) {
      const uint4 quad = reinterpret_cast<const uint4*>(bits)[i];
      before[i] = sum;
      sum += __popc(quad.x) + __popc(quad.y) + __popc(quad.z) + __popc(quad.w);
    }
    uint32_t total;
    const uint32_t offset = exclusive_sum<kThreads>(sum, total, shared);
#pragma unroll 1
    for (int32_t i = begin; i < end; ++i) before[i] += offset;
  }

  // Places in the set that are smaller.
  __device__ int32_t rank(int32_t place) const {
    const uint4 quad = reinterpret_cast<const uint4*>(bits)[place >> 7];
    const int32_t word = place >> 5 & 3;
    const uint32_t own = word == 0 ? quad.x : word == 1 ? quad.y : word == 2 ? quad.z : quad.w;
    return static_cast<int32_t>(before[place >> 7]) + (word > 0 ? __popc(quad.x) : 0) +
           (word > 1 ? __popc(quad.y) : 0) + (word > 2 ? __popc(quad.z) : 0) +
           __popc(own & ((1u << (place & 31)) - 1));
  }
};

}  // namespace dsa::cuda::topk

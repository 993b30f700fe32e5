// Contiguous scores in 16-byte slabs, whatever the row's alignment. A place is an element's number
// counted from the aligned address before the row: key j lies at place j + shift.
#pragma once

#include "cuda/topk/row.cuh"

namespace dsa::cuda::topk {

struct Float32 {
  static constexpr int32_t kCount = 4;  // of a slab
  __device__ explicit Float32(int32_t) {}
  __device__ void unpack(const uint4& slab, float (&x)[kCount]) const {
    x[0] = __uint_as_float(slab.x);
    x[1] = __uint_as_float(slab.y);
    x[2] = __uint_as_float(slab.z);
    x[3] = __uint_as_float(slab.w);
  }
  __device__ float at(const char* first, int32_t j) const {
    return __ldg(reinterpret_cast<const float*>(first) + j);
  }
};

// bf16 or f16.
class Float16 {
 public:
  static constexpr int32_t kCount = 8;
  __device__ explicit Float16(int32_t dtype) : bf16_(dtype == DSA_BF16) {}
  __device__ void unpack(const uint4& slab, float (&x)[kCount]) const {
    const uint32_t words[4] = {slab.x, slab.y, slab.z, slab.w};
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
      x[2 * i] = widen(words[i] & 0xffffu);
      x[2 * i + 1] = widen(words[i] >> 16);
    }
  }
  __device__ float at(const char* first, int32_t j) const {
    return widen(__ldg(reinterpret_cast<const unsigned short*>(first) + j));
  }

 private:
  __device__ float widen(uint32_t bits) const {
    if (bf16_) return __uint_as_float(bits << 16);
    return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
  }
  bool bf16_;
};

// A slab that the row fills in part, the rest NaN: nothing outside the row is read.
static __device__ __noinline__ uint4 load_partial(const uint4* slab, int32_t bytes_before,
                                                  int32_t bytes_end) {
  uint4 x = {~0u, ~0u, ~0u, ~0u};
  unsigned short* const to = reinterpret_cast<unsigned short*>(&x);
  const unsigned short* const from = reinterpret_cast<const unsigned short*>(slab);
#pragma unroll
  for (int32_t i = 0; i < 8; ++i) {
    if (2 * i >= bytes_before && 2 * i < bytes_end) to[i] = __ldg(from + i);
  }
  return x;
}

// x[i] by selections: registers have no index.
template <int kN>
__device__ float pick(const float (&x)[kN], int32_t i) {
  if constexpr (kN == 1) {
    return x[0];
  } else {
    float half[kN / 2];
#pragma unroll
    for (int32_t j = 0; j < kN / 2; ++j) half[j] = i & 1 ? x[2 * j + 1] : x[2 * j];
    return pick(half, i >> 1);
  }
}
template <int kRows, int kColumns>
__device__ float pick(const float (&x)[kRows][kColumns], int32_t i) {
  float of_row[kRows];
#pragma unroll
  for (int32_t r = 0; r < kRows; ++r) of_row[r] = pick(x[r], i % kColumns);
  return pick(of_row, i / kColumns);
}

// A block's part of a row: slabs [begin, end).
template <class Element>
struct Slice {
  static constexpr int32_t kCount = Element::kCount;
  const uint4* slabs;
  int32_t shift;
  int32_t row_end;  // place after the row
  int32_t begin, end;

  // All of a row of n.
  __device__ Slice(const char* first, int32_t n) {
    const uint64_t address = reinterpret_cast<uint64_t>(first);
    slabs = reinterpret_cast<const uint4*>(address & ~uint64_t{15});
    shift = static_cast<int32_t>(address & 15) * kCount / 16;
    row_end = shift + n;
    begin = 0;
    end = (row_end + kCount - 1) / kCount;
  }
  // Of a row's slabs those of part `part`, of `each` slabs.
  __device__ Slice(const Slice& row, int32_t part, int32_t each) : Slice(row) {
    begin = min(part * each, row.end);
    end = min(begin + each, row.end);
  }

  __device__ int32_t first_place() const { return begin * kCount; }
  __device__ int32_t length() const { return (end - begin) * kCount; }

  // Whether slabs [from, to) belong to the slice and are filled by the row.
  __device__ bool whole(int32_t from, int32_t to) const {
    return from * kCount >= shift && to <= end && to * kCount <= row_end;
  }

  // What of a slab lies outside the slice is NaN.
  __device__ uint4 load(int32_t slab) const {
    if (slab >= end) return {~0u, ~0u, ~0u, ~0u};
    const int32_t place = slab * kCount;
    if (place >= shift && place + kCount <= row_end) return __ldg(slabs + slab);
    return load_partial(slabs + slab, (shift - place) * (16 / kCount),
                        (row_end - place) * (16 / kCount));
  }
};

}  // namespace dsa::cuda::topk

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

 private:
  __device__ float widen(uint32_t bits) const {
    if (bf16_) return __uint_as_float(bits << 16);
    return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
  }
  bool bf16_;
};

// A block's part of a row: slabs [begin, end), of which [full_begin, full_end) lie wholly in the
// row. The elements of the others are read one by one: nothing outside the row is touched.
template <class Element>
struct Slice {
  static constexpr int32_t kCount = Element::kCount;
  const uint4* slabs;
  int32_t shift;
  int32_t row_end;  // place after the row
  int32_t begin, end;
  int32_t full_begin, full_end;

  // Part `rank` of `ranks`.
  __device__ Slice(const RowScores& row, int32_t rank, int32_t ranks) {
    const uint64_t address = reinterpret_cast<uint64_t>(row.first);
    slabs = reinterpret_cast<const uint4*>(address & ~uint64_t{15});
    shift = static_cast<int32_t>(address & 15) * kCount / 16;
    row_end = shift + row.n;
    const int32_t all = (row_end + kCount - 1) / kCount;
    const int32_t each = (all + ranks - 1) / ranks;
    begin = min(rank * each, all);
    end = min(begin + each, all);
    full_begin = max(begin, shift > 0 ? 1 : 0);
    full_end = max(full_begin, min(end, row_end / kCount));
  }

  __device__ int32_t first_place() const { return begin * kCount; }
  __device__ int32_t length() const { return (end - begin) * kCount; }

  // Calls take(place) for the elements outside whole slabs, one a thread: those of the row's first
  // slab, and of its last where that is another.
  template <class Take>
  __device__ void for_edges(Take take) const {
    const int32_t thread = static_cast<int32_t>(threadIdx.x);
    if (thread >= 2 * kCount) return;
    const bool is_first = thread < kCount;
    const int32_t slab = is_first ? 0 : row_end / kCount;
    const bool partial = is_first ? shift > 0 : row_end % kCount > 0 && (slab > 0 || shift == 0);
    const int32_t place = slab * kCount + thread % kCount;
    const bool own = partial && slab >= begin && slab < end;
    if (own && place >= shift && place < row_end) take(place);
  }
};

}  // namespace dsa::cuda::topk

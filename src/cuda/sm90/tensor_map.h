// Tensor maps of byte tensors for the copy engine.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace dsa::cuda::sm90 {

// Bytes [outer, inner, row], taken in boxes of `rows` rows of 128 bytes that lie in shared memory
// as wgmma.cuh has it.
struct ByteBoxes {
  const void* data;   // 16-byte aligned
  int64_t extent[3];  // row bytes, inner, outer
  int64_t stride[2];  // bytes of inner and outer, multiples of 16
  int32_t rows;
};

// False where the copy engine cannot take these extents and strides.
bool make_tensor_map(const ByteBoxes& boxes, CUtensorMap* map);

}  // namespace dsa::cuda::sm90

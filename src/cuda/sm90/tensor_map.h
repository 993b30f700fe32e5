// Tensor maps for the copy engine.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace dsa::cuda::sm90 {

// A tensor of three axes, the first one dense, and the boxes that are taken from it.
struct Boxes {
  const void* data;
  CUtensorMapDataType type;
  int64_t extent[3];  // elements
  int64_t stride[2];  // bytes, of the second and third axis
  int32_t box[2];     // elements of the first and second axis; 1 of the third
  bool swizzle;       // in shared memory as wgmma.cuh has it, for 128 bytes along the first axis
};

// False where the copy engine cannot take it: base or strides that are no multiples of 16 bytes.
bool make_tensor_map(const Boxes& boxes, CUtensorMap* map);

}  // namespace dsa::cuda::sm90

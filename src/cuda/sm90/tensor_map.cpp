#include "cuda/sm90/tensor_map.h"

#include <cuda_runtime.h>

namespace dsa::cuda::sm90 {
namespace {

// The driver's function, without linking the driver.
decltype(&cuTensorMapEncodeTiled) find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function,
                                                             12000, cudaEnableDefault, &found);
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess) return nullptr;
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
}

}  // namespace

bool make_tensor_map(const Boxes& boxes, CUtensorMap* map) {
  static const auto encode = find_encode();
  if (!encode) return false;
  cuuint64_t extent[3], stride[2];
  for (int i = 0; i < 3; ++i) extent[i] = static_cast<cuuint64_t>(boxes.extent[i]);
  for (int i = 0; i < 2; ++i) {
    // The stride of an axis of one element says nothing.
    const bool used = boxes.extent[i + 1] > 1;
    if (used && boxes.stride[i] <= 0) return false;
    stride[i] = used ? static_cast<cuuint64_t>(boxes.stride[i]) : 16;
  }
  const cuuint32_t box[3] = {static_cast<cuuint32_t>(boxes.box[0]),
                             static_cast<cuuint32_t>(boxes.box[1]), 1};
  const cuuint32_t step[3] = {1, 1, 1};
  const CUtensorMapSwizzle swizzle =
      boxes.swizzle ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE;
  return encode(map, boxes.type, 3, const_cast<void*>(boxes.data), extent, stride, box, step,
                CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace dsa::cuda::sm90

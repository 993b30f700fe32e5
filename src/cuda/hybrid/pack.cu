#include "cuda/hybrid/shipping.h"
#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

constexpr int32_t kThreads = 128;  // a row of 512 scores in one step

// A block a row. The raw scores past a row's end are there, and may be copied.
__global__ void __launch_bounds__(kThreads) pack(const __grid_constant__ Shipment s) {
  const ShippedRow row = s.shipped[blockIdx.x];
  const float4* const from = reinterpret_cast<const float4*>(s.raw + blockIdx.x * s.raw_stride);
  float4* const to = reinterpret_cast<float4*>(s.scores + row.begin);
  const int32_t units = (row.end - row.begin + kShippedUnit - 1) / kShippedUnit;
#pragma unroll 4
  for (int32_t i = threadIdx.x; i < units; i += kThreads) to[i] = from[i];
}

}  // namespace

cudaError_t enqueue_pack(const Shipment& shipment, cudaStream_t stream) {
  return launch_function(pack, {.grid = static_cast<uint32_t>(shipment.rows), .block = kThreads},
                         stream, shipment);
}

cudaError_t load_pack() { return load_function(pack); }

}  // namespace dsa::cuda

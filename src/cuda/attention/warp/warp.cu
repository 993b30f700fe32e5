// dsa_sparse_attn on the GPU for f32 heads of up to 128 dims, in f32 (P too). A warp takes one head
// of a row: keys in tiles of 32, 4 elements a lane, so that 8 lanes hold a key of 32 dims and a
// warp reads 4 keys at once. A block stays with one head over neighbouring rows, whose keys it then
// finds in the L1 cache: 512 keys and values of 32 dims are 128 KB.
#include "cuda/attention/attention.h"
#include "cuda/attention/finish.cuh"
#include "cuda/attention/run.h"
#include "cuda/attention/selection.cuh"
#include "cuda/attention/softmax.cuh"
#include "cuda/element.cuh"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kWarps = 24;
constexpr int32_t kThreads = 32 * kWarps;
constexpr int32_t kResident = 1;       // blocks of a multiprocessor: two would share its L1 cache
constexpr int32_t kRowsOfBlock = 256;  // at most: fewer where blocks would be idle
constexpr int32_t kMostDim = 128;
constexpr int64_t kMostKeys = 1024;  // of a row: nothing here divides rows
constexpr int32_t kMostShared = 4;   // heads that read one KV head, each for itself

struct WarpShape {
  int32_t dim, value_dim;
  int32_t heads_of_kv;
  int32_t rows;  // of a block
};

__device__ inline float4 load_4(const char* row, int64_t stride_bytes, bool there) {
  return there ? *reinterpret_cast<const float4*>(row + stride_bytes) : float4{};
}

__device__ inline float dot_4(float4 a, float4 b) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, a.x * b.x)));
}

// One head of a row. kLanes lanes hold a key or value together.
template <int kLanes>
__device__ void attend_head(const SparseAttnParams& p, const WarpShape& shape, int64_t t,
                            int32_t head, int64_t slots) {
  constexpr int32_t kKeys = 32 / kLanes;  // at once
  const AttnScope& scope = p.scope[0];
  const int32_t lane = threadIdx.x % 32, of_key = lane % kLanes, key = lane / kLanes;
  const int64_t column = of_key * int32_t{sizeof(float4)};
  const bool in_key = of_key * 4 < shape.dim, in_value = of_key * 4 < shape.value_dim;
  const int32_t kv_head = head / shape.heads_of_kv;
  const float4 q =
      load_4(p.q[0].row(t) + head * p.q[0].stride[0] * int64_t{sizeof(float)}, column, in_key);
  TileWalk walk(p, t, 0, slots, slots, 0, 1);
  float top = -CUDART_INF_F, sum = 0;
  float4 out = {};
  KeyPlace place;
  int32_t which;
  for (int32_t keys; (keys = walk.next(place, which)) >= 0;) {
    if (keys == 0) continue;
    const char* const own_key = scope.piece[0].values.at(place, kv_head);
    float z = -CUDART_INF_F;
#pragma unroll 8
    for (int32_t first = 0; first < keys; first += kKeys) {
      const int32_t j = first + key;
      const char* const at = reinterpret_cast<const char*>(
          __shfl_sync(~0u, reinterpret_cast<unsigned long long>(own_key), j));
      float dot = dot_4(q, load_4(at, column, in_key && j < keys));
#pragma unroll
      for (int32_t step = kLanes / 2; step > 0; step /= 2) {
        dot += __shfl_xor_sync(~0u, dot, step);
      }
      // Lane j is left with the logit of key j.
      const float mine = __shfl_sync(~0u, dot, lane % kKeys * kLanes);
      if (lane / kKeys == first / kKeys && lane < keys) z = mine * p.scale;
    }
    const float now = max_or_nan(top, warp_max_or_nan(z));
    const float base = finite_top(now);
    const float decay = expf(top - base);
    const float weight = expf(z - base);
    sum = sum * decay + weight;
    top = now;
    out.x *= decay, out.y *= decay, out.z *= decay, out.w *= decay;
    if (shape.value_dim == 0) continue;
    const char* const own_value = scope.value.values.at(place, kv_head);
#pragma unroll 8
    for (int32_t first = 0; first < keys; first += kKeys) {
      const int32_t j = first + key;
      const char* const at = reinterpret_cast<const char*>(
          __shfl_sync(~0u, reinterpret_cast<unsigned long long>(own_value), j));
      const float w = __shfl_sync(~0u, weight, j);
      if (j >= keys || !in_value) continue;
      const float4 x = *reinterpret_cast<const float4*>(at + column);
      out.x = fmaf(w, x.x, out.x), out.y = fmaf(w, x.y, out.y);
      out.z = fmaf(w, x.z, out.z), out.w = fmaf(w, x.w, out.w);
    }
  }
  sum = warp_sum(sum);
#pragma unroll
  for (int32_t step = kLanes; step < 32; step *= 2) {
    out.x += __shfl_xor_sync(~0u, out.x, step);
    out.y += __shfl_xor_sync(~0u, out.y, step);
    out.z += __shfl_xor_sync(~0u, out.z, step);
    out.w += __shfl_xor_sync(~0u, out.w, step);
  }
  const SoftmaxEnd end = end_head(p, head, top, sum);
  if (lane == 0) write_numbers(p, t, head, top, end.lse);
  if (key > 0 || !in_value) return;
  char* const row = p.out.row(t);
  const int64_t at = head * p.out.stride[0] + of_key * 4 * p.out.stride[1];
  const float factor = end.factor;
  store_element(row, p.out.dtype, at, out.x * factor);
  store_element(row, p.out.dtype, at + p.out.stride[1], out.y * factor);
  store_element(row, p.out.dtype, at + 2 * p.out.stride[1], out.z * factor);
  store_element(row, p.out.dtype, at + 3 * p.out.stride[1], out.w * factor);
}

template <int kLanes>
__global__ void __launch_bounds__(kThreads, kResident)
    attend_warp(const __grid_constant__ SparseAttnParams p, const __grid_constant__ AttnDivision d,
                const __grid_constant__ WarpShape shape) {
  const int32_t head = static_cast<int32_t>(blockIdx.x % static_cast<uint32_t>(p.heads));
  const int64_t first = int64_t{blockIdx.x / static_cast<uint32_t>(p.heads)} * shape.rows;
  for (int32_t i = threadIdx.x / 32; i < shape.rows && first + i < d.rows; i += kWarps) {
    attend_head<kLanes>(p, shape, d.first_row + first + i, head, d.first_slots);
  }
}

bool in_units(const KeyTensor& t) {
  return t.element_stride == 1 && t.width % 4 == 0 &&
         reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && t.outer_stride % 16 == 0 &&
         t.inner_stride % 16 == 0 && t.head_stride % 16 == 0;
}

const char* refuse(const SparseAttnParams& p) {
  const AttnScope& s = p.scope[0];
  const RowTensor& q = p.q[0];
  if (p.scopes > 1 || s.pieces > 1) return "two scopes or two pieces";
  if (q.dtype != DSA_F32 || s.piece[0].values.dtype != DSA_F32) return "q or kv is not f32";
  if (p.q_scale.given() || s.piece[0].scale.given()) return "there are scales";
  if (s.piece[0].values.width > kMostDim || p.value_dim > kMostDim) return "more than 128 dims";
  if (!in_units(s.piece[0].values)) return "keys are not adjacent elements in 16-byte units";
  if (q.stride[1] != 1 || reinterpret_cast<uintptr_t>(q.data) % 16 != 0 || q.stride[0] % 4 != 0 ||
      q.row_stride % 16 != 0 || q.outer_stride % 16 != 0) {
    return "queries are not adjacent elements in 16-byte units";
  }
  if (p.value_dim > 0) {
    const KeyTensor& v = s.value.values;
    if (v.dtype != DSA_F32 || s.value.scale.given()) return "v is not f32, or has scales";
    if (p.value_dim % 4 != 0 || v.element_stride != 1 ||
        reinterpret_cast<uintptr_t>(v.data) % 16 != 0 || v.outer_stride % 16 != 0 ||
        v.inner_stride % 16 != 0 || v.head_stride % 16 != 0) {
      return "values are not adjacent elements in 16-byte units";
    }
  }
  if (p.heads / s.kv_heads > kMostShared) return "more than 4 heads read one KV head";
  const int64_t keys = s.selection == DSA_SELECTION_CUT ? attn_list_width(s) : s.max_selected();
  return keys > kMostKeys ? "more than 1024 keys a row" : nullptr;
}

template <int kLanes>
cudaError_t launch_lanes(const SparseAttnParams& p, const Run& run) {
  WarpShape shape;
  shape.dim = p.scope[0].piece[0].values.width;
  shape.value_dim = p.value_dim;
  shape.heads_of_kv = p.heads / p.scope[0].kv_heads;
  // Divides no row, whatever the device holds.
  return attn_run(
      p, run, attn_divide(p, 1, 1), [&](const SparseAttnParams& with, const AttnDivision& d) {
        const int64_t blocks = int64_t{kResident} * run.device->multiprocessors;
        const int64_t even = (d.rows * p.heads + blocks - 1) / blocks;
        shape.rows = static_cast<int32_t>(std::clamp<int64_t>(even, kWarps, kRowsOfBlock));
        const int64_t grid = (d.rows + shape.rows - 1) / shape.rows * p.heads;
        return launch_function(attend_warp<kLanes>,
                               {.grid = static_cast<uint32_t>(grid), .block = kThreads},
                               stream_of(run), with, d, shape);
      });
}

cudaError_t launch(const SparseAttnParams& p, const Run& run) {
  const int32_t most = std::max(p.scope[0].piece[0].values.width, p.value_dim);
  return most <= 32   ? launch_lanes<8>(p, run)
         : most <= 64 ? launch_lanes<16>(p, run)
                      : launch_lanes<32>(p, run);
}

cudaError_t load() {
  const cudaError_t error = load_functions(0, attend_warp<8>, attend_warp<16>, attend_warp<32>);
  return error == cudaSuccess ? attn_load_shared() : error;
}

}  // namespace

constinit const Kernel kSparseAttnWarp =
    make_kernel<SparseAttnParams, refuse, attn_workspace, launch, load>(
        "cuda.sparse_attn.warp.sm80", "sm80", 80);

}  // namespace dsa::cuda

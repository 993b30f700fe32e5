// dsa_sparse_attn on the GPU for f32 heads of up to 64 dims, in f32 (P too). A warp takes one head
// of a row: keys in tiles of 32, 4 elements a lane, so that 8 lanes hold a key of 32 dims and a
// warp reads 4 keys at once. A block stays with one head over neighbouring rows, whose keys it then
// finds in the L1 cache: 512 keys and values of 32 dims are 128 KB.
#include <cmath>
#include <cstdlib>

#include "cuda/attention/attention.h"
#include "cuda/attention/finish.cuh"
#include "cuda/attention/run.h"
#include "cuda/attention/softmax.cuh"
#include "cuda/attention/warp/keys.cuh"
#include "cuda/element.cuh"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

// Of a block, by the lanes that hold a key: as many as registers allow.
constexpr int32_t warps_of(int32_t lanes) { return lanes <= 8 ? 24 : 16; }
constexpr int32_t kResident = 1;       // blocks of a multiprocessor: two would share its L1 cache
constexpr int32_t kRowsOfBlock = 256;  // at most: fewer where blocks would be idle
constexpr int32_t kMostDim = 64;
constexpr int64_t kMostKeys = 1024;  // of a row: nothing here divides rows
constexpr int32_t kMostShared = 4;   // heads that read one KV head, each for itself

__device__ inline float dot_4(float4 a, float4 b) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, a.x * b.x)));
}

// Halves the sums that a lane has, by giving the others to a lane `kStep` away.
template <int kStep, int kLanes>
__device__ void exchange(float (&x)[kLanes]) {
  const bool upper = threadIdx.x & kStep;
#pragma unroll
  for (int32_t i = 0; i < kStep; ++i) {
    const float keep = upper ? x[i + kStep] : x[i];
    const float give = upper ? x[i] : x[i + kStep];
    x[i] = keep + __shfl_xor_sync(~0u, give, kStep);
  }
  if constexpr (kStep > 1) exchange<kStep / 2>(x);
}

// kLanes sums over kLanes neighbouring lanes, in kLanes - 1 exchanges: lane i is left with that of
// x[i].
template <int kLanes>
__device__ float sum_transposed(float (&x)[kLanes]) {
  exchange<kLanes / 2>(x);
  return x[0];
}

// One head of a row. kLanes lanes hold a key or value together; a tile of 32 keys takes kLanes
// steps. Key j of a tile is met in step j / kKeys, and its logit is left in the lane of that number
// among the lanes that held it.
template <int kLanes, bool kPlain>
__device__ void attend_head(const SparseAttnParams& p, const WarpShape& shape, int64_t t,
                            int32_t head, int64_t slots) {
  constexpr int32_t kKeys = 32 / kLanes;  // at once
  const AttnScope& scope = p.scope[0];
  const int32_t lane = threadIdx.x % 32, of_key = lane % kLanes, key = lane / kLanes;
  const int32_t own = of_key * kKeys + key;  // the key whose logit this lane has
  const bool in_key = of_key * 4 < shape.dim, in_value = of_key * 4 < shape.value_dim;
  const int32_t kv_head = head / shape.heads_of_kv;
  const int64_t column = of_key * int64_t{kUnit};
  const KeyTensor& keys_of = scope.piece[0].values;
  const KeyTensor& values_of = scope.value.values;
  const char* key_base = keys_of.data + kv_head * keys_of.head_stride + column;
  const char* value_base = values_of.data + kv_head * values_of.head_stride + column;
  // Opaque to the compiler, which would otherwise compute them anew for every load: a tile would
  // take 591 instructions instead of 391.
  asm("" : "+l"(key_base), "+l"(value_base));
  float4 q = {};
  if (in_key) {
    q = *reinterpret_cast<const float4*>(p.q[0].row(t) + column +
                                         head * p.q[0].stride[0] * int64_t{sizeof(float)});
  }
  WarpKeys<kPlain> walk(p, shape, t, slots);
  float top = -CUDART_INF_F, sum = 0;
  float4 out = {};
  int32_t key_at, value_at;
  for (int32_t keys; (keys = walk.next(key_at, value_at)) >= 0;) {
    if (keys == 0) continue;
    float dots[kLanes];
#pragma unroll
    for (int32_t i = 0; i < kLanes; ++i) {
      const int32_t j = i * kKeys + key;
      const int64_t at = int64_t{__shfl_sync(~0u, key_at, j)} * kUnit;
      float4 x = {};
      if (in_key && j < keys) x = *reinterpret_cast<const float4*>(key_base + at);
      dots[i] = dot_4(q, x);
    }
    const float dot = sum_transposed<kLanes>(dots);
    const float z = own < keys ? dot * p.scale : -CUDART_INF_F;
    const float now = max_or_nan(top, warp_max_or_nan(z));
    const float base = finite_top(now);
    const float decay = expf(top - base);
    const float weight = expf(z - base);
    sum = sum * decay + weight;
    top = now;
    out.x *= decay, out.y *= decay, out.z *= decay, out.w *= decay;
    if (shape.value_dim == 0) continue;
#pragma unroll
    for (int32_t i = 0; i < kLanes; ++i) {
      const int32_t j = i * kKeys + key;
      const int64_t at = int64_t{__shfl_sync(~0u, value_at, j)} * kUnit;
      const float w = __shfl_sync(~0u, weight, key * kLanes + i);
      if (j >= keys || !in_value) continue;
      const float4 x = *reinterpret_cast<const float4*>(value_base + at);
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
  out = {out.x * end.factor, out.y * end.factor, out.z * end.factor, out.w * end.factor};
  char* const row = p.out.row(t);
  const int64_t at = head * p.out.stride[0] + of_key * 4 * p.out.stride[1];
  if (shape.out_by_4) {
    *reinterpret_cast<float4*>(row + at * int64_t{sizeof(float)}) = out;
    return;
  }
  store_element(row, p.out.dtype, at, out.x);
  store_element(row, p.out.dtype, at + p.out.stride[1], out.y);
  store_element(row, p.out.dtype, at + 2 * p.out.stride[1], out.z);
  store_element(row, p.out.dtype, at + 3 * p.out.stride[1], out.w);
}

template <int kLanes, bool kPlain>
__global__ void __launch_bounds__(32 * warps_of(kLanes), kResident)
    attend_warp(const __grid_constant__ SparseAttnParams p, const __grid_constant__ AttnDivision d,
                const __grid_constant__ WarpShape shape) {
  const int32_t head = static_cast<int32_t>(blockIdx.x % static_cast<uint32_t>(p.heads));
  const int64_t first = int64_t{blockIdx.x / static_cast<uint32_t>(p.heads)} * shape.rows;
  for (int32_t i = threadIdx.x / 32; i < shape.rows && first + i < d.rows; i += warps_of(kLanes)) {
    attend_head<kLanes, kPlain>(p, shape, d.first_row + first + i, head, d.first_slots);
  }
}

// Whether every row's elements are adjacent, in units, and as near as 32 bits of units reach.
bool in_units(const KeyTensor& t, const KeyAxis& axis, int32_t width) {
  constexpr double kReach = double(int64_t{kUnit} << 31);
  const double span = double(axis.outer) * std::abs(double(t.outer_stride)) +
                      double(axis.inner) * std::abs(double(t.inner_stride));
  return t.element_stride == 1 && width % 4 == 0 &&
         reinterpret_cast<uintptr_t>(t.data) % kUnit == 0 && t.head_stride % kUnit == 0 &&
         t.outer_stride % kUnit == 0 && t.inner_stride % kUnit == 0 && span < kReach;
}

bool by_4(const RowTensor& t) {
  return t.dtype == DSA_F32 && (t.stride[1] == 1 || t.extent[1] == 1) &&
         reinterpret_cast<uintptr_t>(t.data) % kUnit == 0 && t.stride[0] % 4 == 0 &&
         t.row_stride % kUnit == 0 && t.outer_stride % kUnit == 0;
}

const char* refuse(const SparseAttnParams& p) {
  const AttnScope& s = p.scope[0];
  const KeyTensor& k = s.piece[0].values;
  const KeyTensor& v = s.value.values;
  if (p.scopes > 1 || s.pieces > 1) return "two scopes or two pieces";
  if (k.dtype != DSA_F32 || (p.value_dim > 0 && v.dtype != DSA_F32))
    return "keys or values not f32";
  if (p.q_scale.given() || s.piece[0].scale.given() || (p.value_dim > 0 && s.value.scale.given())) {
    return "there are scales";
  }
  if (k.width > kMostDim || p.value_dim > kMostDim) return "more than 64 dims";
  if (!by_4(p.q[0])) return "queries are not adjacent f32 in 16-byte units";
  if (!in_units(k, s.axis, k.width)) return "keys are not adjacent elements in 16-byte units";
  if (p.value_dim > 0 && !in_units(v, s.axis, p.value_dim)) {
    return "values are not adjacent elements in 16-byte units";
  }
  if (p.heads / s.kv_heads > kMostShared) return "more than 4 heads read one KV head";
  const int64_t keys = s.selection == DSA_SELECTION_CUT ? attn_list_width(s) : s.max_selected();
  return keys > kMostKeys ? "more than 1024 keys a row" : nullptr;
}

UnitSteps steps_of(const KeyTensor& t, const KeyAxis& axis) {
  const bool apart = axis.layout == DSA_LAYOUT_BATCH;
  return {apart ? static_cast<int32_t>(t.outer_stride / kUnit) : 0,
          static_cast<int32_t>(t.inner_stride / kUnit)};
}

// Whether the selection is a list of positions that needs no more than a look at its range.
bool is_plain(const SparseAttnParams& p) {
  const AttnScope& s = p.scope[0];
  return s.selection == DSA_SELECTION_INDICES && s.index_block == 1 && !s.block_tail &&
         !s.rows.mask.given() && s.axis.layout != DSA_LAYOUT_PAGES;
}

WarpShape shape_of(const SparseAttnParams& p) {
  constexpr int64_t kMost = int64_t{1} << 29;
  const AttnScope& s = p.scope[0];
  const Rows& rows = s.rows;
  WarpShape shape = {};
  shape.dim = s.piece[0].values.width;
  shape.value_dim = p.value_dim;
  shape.heads_of_kv = p.heads / s.kv_heads;
  shape.out_by_4 = p.out.given() && by_4(p.out);
  shape.keys = steps_of(s.piece[0].values, s.axis);
  if (p.value_dim > 0) shape.values = steps_of(s.value.values, s.axis);
  if (rows.by == VisibleBy::kCausal && rows.count <= kMost && std::abs(rows.offset) <= kMost &&
      rows.max_keys == 0 && rows.columns < 0) {
    const int64_t per = rows.batch == 1 ? rows.count : rows.per_request;
    shape.causal_rows = static_cast<int32_t>(std::max<int64_t>(per, 1));
    shape.causal_end = static_cast<int32_t>(rows.offset + 1);
    shape.causal_ratio = rows.ratio;
  }
  return shape;
}

template <int kLanes>
cudaError_t launch_lanes(const SparseAttnParams& p, const Run& run) {
  WarpShape shape = shape_of(p);
  // Divides no row, whatever the device holds.
  return attn_run(
      p, run, attn_divide(p, 1, 1), [&](const SparseAttnParams& with, const AttnDivision& d) {
        const int64_t blocks = int64_t{kResident} * run.device->multiprocessors;
        const int64_t even = (d.rows * p.heads + blocks - 1) / blocks;
        shape.rows =
            static_cast<int32_t>(std::clamp<int64_t>(even, warps_of(kLanes), kRowsOfBlock));
        const int64_t grid = (d.rows + shape.rows - 1) / shape.rows * p.heads;
        return launch_function(
            is_plain(with) ? attend_warp<kLanes, true> : attend_warp<kLanes, false>,
            {.grid = static_cast<uint32_t>(grid), .block = 32 * warps_of(kLanes)}, stream_of(run),
            with, d, shape);
      });
}

cudaError_t launch(const SparseAttnParams& p, const Run& run) {
  const int32_t most = std::max(p.scope[0].piece[0].values.width, p.value_dim);
  return most <= 32 ? launch_lanes<8>(p, run) : launch_lanes<16>(p, run);
}

cudaError_t load() {
  const cudaError_t error = load_functions(0, attend_warp<8, true>, attend_warp<8, false>,
                                           attend_warp<16, true>, attend_warp<16, false>);
  return error == cudaSuccess ? attn_load_shared() : error;
}

}  // namespace

constinit const Kernel kSparseAttnWarp =
    make_kernel<SparseAttnParams, refuse, attn_workspace, launch, load>(
        "cuda.sparse_attn.warp.sm80", "sm80", 80);

}  // namespace dsa::cuda

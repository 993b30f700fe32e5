// dsa_sparse_attn on the GPU for every dtype, stride and format, in f32 (P too). A block takes up
// to 8 heads of a row that share keys, one warp a head in the softmax; keys come in tiles of 32. It
// reads each element where it lies and is bound by that: the tensor-core kernels go before it.
#include <type_traits>

#include "cuda/attention/attention.h"
#include "cuda/attention/finish.cuh"
#include "cuda/attention/run.h"
#include "cuda/attention/selection.cuh"
#include "cuda/attention/softmax.cuh"
#include "cuda/element.cuh"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kHeads = 8;
constexpr int32_t kWarps = 8;
constexpr int32_t kThreads = 32 * kWarps;
constexpr int32_t kKeysOfWarp = kTileKeys / kWarps;
constexpr int32_t kColumnsOfThread = 4;  // of the output: 1024 in all
constexpr int32_t kMostDim = 1024;
constexpr int32_t kResident = 2;  // blocks of a multiprocessor

static_assert(kHeads == kWarps && kThreads * kColumnsOfThread >= kMostDim);

struct Tile {
  KeyPlace place[kTileKeys];
  int32_t keys;
  int32_t scope;
  float logit[kHeads][kTileKeys + 1];
  float weight[kTileKeys][kHeads];
  float decay[kHeads];
};

// The scale of element d of a key row; rows without groups have one.
__device__ float scale_of(const KeyPiece& piece, KeyPlace place, int32_t head, int32_t d) {
  if (!piece.scale.given()) return 1;
  const int32_t group = piece.scale.width == 1 ? 0 : d / (piece.values.width / piece.scale.width);
  return reinterpret_cast<const float*>(
      piece.scale.at(place, head))[group * piece.scale.element_stride];
}

// Adds the products of one piece of 4 keys to dots [head][key].
template <int32_t dtype>
__device__ void add_dots(const KeyPiece& piece, const KeyPlace* places, int32_t keys,
                         int32_t kv_head, const float* query, int32_t query_width, int32_t heads,
                         float (&dots)[kHeads * kKeysOfWarp]) {
  for (int32_t d = threadIdx.x % 32; d < piece.values.width; d += 32) {
    float x[kKeysOfWarp];
#pragma unroll
    for (int32_t j = 0; j < kKeysOfWarp; ++j) {
      x[j] = 0;
      if (j < keys) {
        x[j] = load_element(piece.values.at(places[j], kv_head), dtype,
                            d * piece.values.element_stride) *
               scale_of(piece, places[j], kv_head, d);
      }
    }
#pragma unroll
    for (int32_t h = 0; h < kHeads; ++h) {
      if (h >= heads) break;
      const float q = query[h * query_width + d];
#pragma unroll
      for (int32_t j = 0; j < kKeysOfWarp; ++j) dots[h * kKeysOfWarp + j] += q * x[j];
    }
  }
}

// Adds the tile's weighted values to sums [column of the thread][head].
template <int32_t dtype>
__device__ void add_values(const KeyPiece& value, const Tile& tile, int32_t kv_head,
                           int32_t value_dim, float (&sums)[kColumnsOfThread][kHeads]) {
  for (int32_t j = 0; j < tile.keys; ++j) {
    const KeyPlace place = tile.place[j];
    const char* const row = value.values.at(place, kv_head);
    float weight[kHeads];
#pragma unroll
    for (int32_t h = 0; h < kHeads; ++h) weight[h] = tile.weight[j][h];
#pragma unroll
    for (int32_t i = 0; i < kColumnsOfThread; ++i) {
      const int32_t d = threadIdx.x + i * kThreads;
      if (d >= value_dim) break;
      const float x = load_element(row, dtype, d * value.values.element_stride) *
                      scale_of(value, place, kv_head, d);
#pragma unroll
      for (int32_t h = 0; h < kHeads; ++h) sums[i][h] += weight[h] * x;
    }
  }
}

// f(constant): the dtype as a compile-time constant, so that loops have no switch in them.
template <class F>
__device__ void by_dtype(int32_t dtype, F&& f) {
  switch (dtype) {
    case DSA_F32:
      return f(std::integral_constant<int32_t, DSA_F32>());
    case DSA_F16:
      return f(std::integral_constant<int32_t, DSA_F16>());
    case DSA_BF16:
      return f(std::integral_constant<int32_t, DSA_BF16>());
    default:
      return f(std::integral_constant<int32_t, DSA_F8_E4M3FN>());
  }
}

// 32 sums over the warp's lanes, in 31 exchanges: lane i is left with that of x[i].
__device__ float sum_transposed(float (&x)[32]) {
  const int32_t lane = threadIdx.x % 32;
#pragma unroll
  for (int32_t step = 16; step > 0; step /= 2) {
    const bool upper = lane & step;
#pragma unroll
    for (int32_t i = 0; i < step; ++i) {
      const float keep = upper ? x[i + step] : x[i];
      const float give = upper ? x[i] : x[i + step];
      x[i] = keep + __shfl_xor_sync(~0u, give, step);
    }
  }
  return x[0];
}

__device__ void load_query(const SparseAttnParams& p, const AttnTask& task, int32_t width,
                           float* query) {
  const int32_t first = static_cast<int32_t>(p.q[0].extent[1]);
  for (int32_t i = threadIdx.x; i < task.heads * width; i += kThreads) {
    const int32_t h = i / width, d = i % width;
    const bool second = d >= first;
    const RowTensor& q = p.q[second];
    float x = load_element(q.row(task.t), q.dtype,
                           (task.head + h) * q.stride[0] + (second ? d - first : d) * q.stride[1]);
    if (p.q_scale.given() && (!second || p.q_scale_second)) {
      x *= p.q_scale.row_as<const float>(task.t)[(task.head + h) * p.q_scale.stride[0]];
    }
    query[i] = x;
  }
}

__device__ void find_logits(const AttnScope& scope, const SparseAttnParams& p, const AttnTask& task,
                            const float* query, int32_t width, Tile& tile) {
  const int32_t lane = threadIdx.x % 32, first = threadIdx.x / 32 * kKeysOfWarp;
  const int32_t keys = min(kKeysOfWarp, tile.keys - first);
  if (keys <= 0) return;
  const int32_t kv_head = task.head / (p.heads / scope.kv_heads);
  float dots[kHeads * kKeysOfWarp] = {};
  int32_t at = 0;
  for (int32_t i = 0; i < scope.pieces; ++i) {
    const KeyPiece& piece = scope.piece[i];
    by_dtype(piece.values.dtype, [&](auto dtype) {
      add_dots<dtype.value>(piece, tile.place + first, keys, kv_head, query + at, width, task.heads,
                            dots);
    });
    at += piece.values.width;
  }
  tile.logit[lane / kKeysOfWarp][first + lane % kKeysOfWarp] = sum_transposed(dots) * p.scale;
}

// Running maximum and sum of one head: the warp of that number has them.
struct Running {
  float top;
  float sum;  // of the lane's keys

  __device__ Running() {
    top = -CUDART_INF_F;
    sum = 0;
  }

  __device__ void add(Tile& tile) {
    const int32_t lane = threadIdx.x % 32, h = threadIdx.x / 32;
    const float z = lane < tile.keys ? tile.logit[h][lane] : -CUDART_INF_F;
    const float now = max_or_nan(top, warp_max_or_nan(z));
    const float base = finite_top(now);
    const float decay = expf(top - base);
    const float weight = expf(z - base);
    tile.weight[lane][h] = weight;
    sum = sum * decay + weight;
    top = now;
    if (lane == 0) tile.decay[h] = decay;
  }
};

__global__ void __launch_bounds__(kThreads, kResident)
    attend(const __grid_constant__ SparseAttnParams p, const __grid_constant__ AttnDivision d) {
  let_next_start();                               // the merge, which waits for all of this
  extern __shared__ __align__(16) float query[];  // [heads, width]
  __shared__ Tile tile;
  __shared__ float ends[kHeads];
  const AttnTask task(d, blockIdx.x);
  const int32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int32_t width =
      static_cast<int32_t>(p.q[0].extent[1] + (p.q[1].given() ? p.q[1].extent[1] : 0));
  load_query(p, task, width, query);
  TileWalk walk(p, task.t, task.first, task.last, d.first_slots, 0, 1);
  Running running;
  float sums[kColumnsOfThread][kHeads] = {};
  for (;;) {
    __syncthreads();
    if (warp == 0) {
      KeyPlace place;
      int32_t scope;
      const int32_t keys = walk.next(place, scope);
      tile.place[lane] = place;
      if (lane == 0) tile.keys = keys, tile.scope = scope;
    }
    __syncthreads();
    if (tile.keys < 0) break;
    if (tile.keys == 0) continue;
    const AttnScope& scope = p.scope[tile.scope];
    find_logits(scope, p, task, query, width, tile);
    __syncthreads();
    running.add(tile);
    __syncthreads();
#pragma unroll
    for (int32_t i = 0; i < kColumnsOfThread; ++i) {
#pragma unroll
      for (int32_t h = 0; h < kHeads; ++h) sums[i][h] *= tile.decay[h];
    }
    if (p.value_dim > 0) {
      const int32_t kv_head = task.head / (p.heads / scope.kv_heads);
      by_dtype(scope.value.values.dtype, [&](auto dtype) {
        add_values<dtype.value>(scope.value, tile, kv_head, p.value_dim, sums);
      });
    }
  }

  const float sum = warp_sum(running.sum);
  if (warp < task.heads && lane == 0) {
    const int32_t h = task.head + warp;
    if (d.splits > 1) {
      d.partials.state[(task.t * p.heads + h) * d.splits + task.split] = {running.top, sum};
      ends[warp] = running.top == -CUDART_INF_F ? 0 : 1;
    } else {
      const SoftmaxEnd end = end_head(p, h, running.top, sum);
      write_numbers(p, task.t, h, running.top, end.lse);
      ends[warp] = end.factor;
    }
  }
  __syncthreads();
  for (int32_t h = 0; h < task.heads; ++h) {
    const int64_t head = task.head + h;
#pragma unroll
    for (int32_t i = 0; i < kColumnsOfThread; ++i) {
      const int32_t column = threadIdx.x + i * kThreads;
      if (column >= p.value_dim) break;
      float x = 0;
#pragma unroll
      for (int32_t k = 0; k < kHeads; ++k) x = k == h ? sums[i][k] : x;  // registers, not memory
      if (d.splits > 1) {
        d.partials.out[((task.t * p.heads + head) * d.splits + task.split) * p.value_dim + column] =
            x;
      } else {
        store_element(p.out.row(task.t), p.out.dtype,
                      head * p.out.stride[0] + column * p.out.stride[1], x * ends[h]);
      }
    }
  }
}

int32_t query_bytes(const SparseAttnParams& p) {
  const int64_t width = p.q[0].extent[1] + (p.q[1].given() ? p.q[1].extent[1] : 0);
  return static_cast<int32_t>(kHeads * width * 4);
}

const char* refuse(const SparseAttnParams&) { return nullptr; }

cudaError_t launch(const SparseAttnParams& p, const Run& run) {
  const AttnDivision division =
      attn_divide(p, kHeads, int64_t{kResident} * run.device->multiprocessors);
  return attn_run(p, run, division, [&](const SparseAttnParams& with, const AttnDivision& d) {
    return launch_function(attend,
                           {.grid = static_cast<uint32_t>(d.blocks()),
                            .block = kThreads,
                            .shared_bytes = query_bytes(p)},
                           stream_of(run), with, d);
  });
}

cudaError_t load() {
  const cudaError_t error = load_function(attend, kHeads * 2 * kMostDim * 4);
  return error == cudaSuccess ? attn_load_shared() : error;
}

}  // namespace

constinit const Kernel kSparseAttnAny =
    make_kernel<SparseAttnParams, refuse, attn_workspace, launch, load>("cuda.sparse_attn.any.sm80",
                                                                        "sm80", 80);

}  // namespace dsa::cuda

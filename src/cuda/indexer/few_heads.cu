// Indexer in f32 multiply-adds for up to 4 heads of 16, 32 or 64 dims: with so little to a score
// the tiles of ffma.cu are mostly loads and barriers. A thread holds keys in registers, 64 elements
// in all, and meets the queries of 16 tokens in shared memory, where a warp reads one address: 4
// multiply-adds a loaded element and key. The bits are those of ffma.cu: a dot product is one fused
// chain over d, the heads are one chain in ascending order.
#include <algorithm>

#include "cuda/element.cuh"
#include "cuda/indexer/sm80.h"
#include "cuda/indexer/unit.cuh"
#include "cuda/kernel.h"
#include "cuda/ptx.cuh"

namespace dsa::cuda {
namespace {

constexpr int32_t kThreads = 128;
constexpr int32_t kResident = 3;  // blocks of a multiprocessor
constexpr int32_t kHeads = 4;
constexpr int32_t kTokens = 16;       // of a unit
constexpr int32_t kKeyElements = 64;  // of a thread
constexpr int32_t kMostTiles = 16;

// next_run by the lanes of a warp together: not one trip to shared memory after the other.
__device__ UnitRun find_run(const UnitRow* rows, int32_t low, int32_t slots) {
  static_assert(kTokens <= 32);
  const int32_t lane = static_cast<int32_t>(threadIdx.x % 32);
  const bool asked = lane >= low && lane < slots;
  const int32_t begin = asked ? rows[lane].begin : 0, end = asked ? rows[lane].end : 0;
  const int32_t request = asked ? rows[lane].request : -1;
  const bool sees = begin < end;
  const uint32_t seeing = __ballot_sync(~0u, sees);
  if (seeing == 0) return {low, slots, -1, 0, 0};
  const int32_t common = __shfl_sync(~0u, request, __ffs(seeing) - 1);
  const uint32_t others = __ballot_sync(~0u, sees && request != common);
  const int32_t high = others ? __ffs(others) - 1 : slots;
  const bool mine = sees && lane < high;
  return {low, high, common, __reduce_min_sync(~0u, mine ? begin : INT32_MAX),
          __reduce_max_sync(~0u, mine ? end : 0)};
}

template <int kDim>
struct FewShared {
  float4 q[kTokens][kDim / 4][kHeads];
  float w[kTokens][kHeads];
  UnitRow rows[kTokens];
};

template <int kDim>
class FewScorer {
 public:
  static constexpr int32_t kOwn = kKeyElements / kDim;  // keys of a thread
  static constexpr int32_t kKeys = kThreads * kOwn;     // of a tile

  __device__ FewScorer(const ScoreCall& call, FewShared<kDim>& shared)
      : call_(call),
        sh_(shared),
        plain_(!call.p.keys.scale.given() && !call.p.rows.mask.given() &&
               call.p.axis.layout != DSA_LAYOUT_PAGES && call.p.scores.dtype == DSA_F32 &&
               call.p.scores.stride[0] == 1) {}

  // The unit's queries and weights; what a unit does not have is 0.
  __device__ void load_queries() {
    const IndexerParams& p = call_.p;
    for (int32_t i = threadIdx.x; i < kTokens * kHeads * kDim / 4; i += kThreads) {
      const int32_t d = i % (kDim / 4), h = i / (kDim / 4) % kHeads,
                    token = i / (kHeads * kDim / 4);
      const UnitRow& row = sh_.rows[token];
      float4 x = {};
      if (row.request >= 0 && h < p.heads) {
        x = reinterpret_cast<const float4*>(row.q + h * p.q.stride[0] * int64_t{sizeof(float)})[d];
        const float scale = query_scale(p, row, h);
        x = {x.x * scale, x.y * scale, x.z * scale, x.w * scale};
      }
      sh_.q[token][d][h] = x;
    }
    for (int32_t i = threadIdx.x; i < kTokens * kHeads; i += kThreads) {
      const UnitRow& row = sh_.rows[i / kHeads];
      const int32_t h = i % kHeads;
      sh_.w[i / kHeads][h] = row.request >= 0 && h < p.heads ? weight(p, row, h) : 0;
    }
  }

  // Keys [first, first + count) for the rows of a run.
  __device__ void score(const UnitRun& run, int64_t first, int32_t count) const {
    const IndexerParams& p = call_.p;
    const int32_t of_warp =
        static_cast<int32_t>(first) + static_cast<int32_t>(threadIdx.x / 32) * 32 * kOwn;
    const int32_t mine = of_warp + static_cast<int32_t>(threadIdx.x % 32);
    const int32_t limit = static_cast<int32_t>(first) + count;
    float key[kOwn][kDim];
    uint32_t placed = 0;
#pragma unroll
    for (int32_t j = 0; j < kOwn; ++j) {
      KeyPlace place{};
      const bool there = mine + j * 32 < limit && p.axis.place(run.request, mine + j * 32, place);
      const float4* const row = reinterpret_cast<const float4*>(p.keys.values.at(place));
#pragma unroll
      for (int32_t d = 0; d < kDim / 4; ++d) {
        const float4 x = there ? row[d] : float4{};
        key[j][4 * d] = x.x, key[j][4 * d + 1] = x.y;
        key[j][4 * d + 2] = x.z, key[j][4 * d + 3] = x.w;
      }
      placed |= there ? 1u << j : 0u;
    }
#pragma unroll 1
    for (int32_t slot = run.low; slot < run.high; ++slot) {
      const UnitRow& row = sh_.rows[slot];
      const int32_t begin = row.begin, end = min(row.end, limit);
      if (of_warp >= end || of_warp + 32 * kOwn <= begin) continue;
      float dot[kOwn][kHeads] = {};
#pragma unroll
      for (int32_t d = 0; d < kDim / 4; ++d) {
#pragma unroll
        for (int32_t h = 0; h < kHeads; ++h) {
          const float4 q = sh_.q[slot][d][h];
#pragma unroll
          for (int32_t j = 0; j < kOwn; ++j) {
            dot[j][h] = fmaf(q.x, key[j][4 * d], dot[j][h]);
            dot[j][h] = fmaf(q.y, key[j][4 * d + 1], dot[j][h]);
            dot[j][h] = fmaf(q.z, key[j][4 * d + 2], dot[j][h]);
            dot[j][h] = fmaf(q.w, key[j][4 * d + 3], dot[j][h]);
          }
        }
      }
      const float4 w = *reinterpret_cast<const float4*>(sh_.w[slot]);
      const float weights[kHeads] = {w.x, w.y, w.z, w.w};
#pragma unroll
      for (int32_t j = 0; j < kOwn; ++j) {
        const int32_t s = mine + j * 32;
        if (s < begin || s >= end) continue;
        float sum = 0;
#pragma unroll
        for (int32_t h = 0; h < kHeads; ++h) {
          float x = dot[j][h];
          if (p.relu && x < 0) x = 0;  // NaN stays
          if (h < p.heads) sum = fmaf(weights[h], x, sum);
        }
        if (plain_) {
          reinterpret_cast<float*>(row.scores)[s] = sum;
        } else {
          write_any(run, row, s, placed >> j & 1, sum);
        }
      }
    }
  }

 private:
  // Out of line: few calls have scales, a mask, a table, or scores that are not f32 side by side.
  __device__ __noinline__ void write_any(const UnitRun& run, const UnitRow& row, int32_t s,
                                         bool placed, float sum) const {
    const KeyTensor& scale = call_.p.keys.scale;
    KeyPlace place{};
    if (scale.given() && placed && call_.p.axis.place(run.request, s, place)) {
      sum *= *reinterpret_cast<const float*>(scale.at(place));
    }
    write_score(call_, row, s, s * score_step(call_), placed, sum);
  }

  const ScoreCall& call_;
  FewShared<kDim>& sh_;
  // A score needs no more than to be stored.
  const bool plain_;
};

template <int kDim>
__global__ void __launch_bounds__(kThreads, kResident)
    indexer_few(const __grid_constant__ ScoreCall call, const __grid_constant__ ScoreWork work) {
  using Scorer = FewScorer<kDim>;
  __shared__ __align__(16) FewShared<kDim> shared;
  let_next_start();
  wait_for_previous();
  Scorer scorer(call, shared);
  for (int64_t item = blockIdx.x; item < work.items(); item += gridDim.x) {
    const int64_t chunk = item / work.units;
    const Unit unit(call, work, item % work.units);
    __syncthreads();
    load_unit_rows(call, work, unit, shared.rows);
    __syncthreads();
    scorer.load_queries();
    __syncthreads();
    for (int32_t slot = 0; slot < unit.slots();) {
      const UnitRun run = find_run(shared.rows, slot, unit.slots());
      const int64_t step = work.chunks * work.chunk_keys;
      for (int64_t at = run.begin + chunk * work.chunk_keys; at < run.end; at += step) {
        const int64_t end = min(at + work.chunk_keys, run.end);
        for (int64_t s = at; s < end; s += Scorer::kKeys) {
          scorer.score(run, s, static_cast<int32_t>(min(end - s, int64_t{Scorer::kKeys})));
        }
      }
      slot = run.high;
    }
    if (call.fill) fill_unit(call, work, unit, shared.rows, chunk);
  }
}

template <int kDim>
cudaError_t enqueue_dim(const ScoreCall& call, const Run& run) {
  const int32_t blocks = run.device->multiprocessors * kResident;
  const ScoreWork work = divide_work(call,
                                     {.unit_rows = kTokens,
                                      .tile = FewScorer<kDim>::kKeys,
                                      .together = 1,
                                      .most_tiles = kMostTiles},
                                     blocks);
  const LaunchShape launch{.grid = static_cast<uint32_t>(std::min<int64_t>(work.items(), blocks)),
                           .block = kThreads,
                           .overlap_previous = run.device->compute_capability >= 90};
  return launch_function(indexer_few<kDim>, launch, stream_of(run), call, work);
}

bool in_fours(const void* data, int64_t a, int64_t b, int64_t c) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && a % 16 == 0 && b % 16 == 0 && c % 16 == 0;
}

}  // namespace

bool indexer_takes_few_heads(const IndexerParams& p) {
  const KeyTensor& k = p.keys.values;
  return p.heads <= kHeads && (p.dim == 16 || p.dim == 32 || p.dim == 64) && p.q.dtype == DSA_F32 &&
         k.dtype == DSA_F32 && p.q.stride[1] == 1 && k.element_stride == 1 &&
         in_fours(p.q.data, p.q.stride[0] * 4, p.q.row_stride, p.q.outer_stride) &&
         in_fours(k.data, k.inner_stride, k.outer_stride, 0);
}

cudaError_t enqueue_indexer_few_heads(const ScoreCall& call, const Run& run) {
  switch (call.p.dim) {
    case 16:
      return enqueue_dim<16>(call, run);
    case 32:
      return enqueue_dim<32>(call, run);
    default:
      return enqueue_dim<64>(call, run);
  }
}

cudaError_t load_indexer_few_heads() {
  return load_functions(0, indexer_few<16>, indexer_few<32>, indexer_few<64>);
}

}  // namespace dsa::cuda

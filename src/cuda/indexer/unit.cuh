// A unit of query rows on the device: what its rows see, and how their scores are written. Shared
// by the kernels of the portable family.
#pragma once

#include <cuda_bf16.h>

#include "cuda/element.cuh"
#include "cuda/indexer/work.h"

namespace dsa::cuda {

// One row of a unit, in shared memory: resolved once, since a row's address takes a division where
// the caller's tensors are [B, T/B, ...].
struct UnitRow {
  char* scores;  // where key 0 of the row would be
  int32_t begin, end;
  const char *q, *w, *q_scale;
  int64_t t;
  int32_t request;
};

// Rows [low, high) of the call; row t is slot t - first.
struct Unit {
  int64_t first, low, high;

  __device__ Unit(const ScoreCall& call, const ScoreWork& work, int64_t unit) {
    const int64_t group = unit / work.group_units;
    const int64_t begin = work.group_base + group * work.group_rows;
    first = begin + unit % work.group_units * work.unit_rows;
    low = max(first, call.first_row);
    high =
        min(min(first + work.unit_rows, begin + work.group_rows), call.first_row + call.row_count);
  }
  __device__ int32_t slots() const { return static_cast<int32_t>(high - first); }
};

// RowTensor::row out of line: its division is long, and a unit needs it four times.
__device__ __noinline__ inline char* row_of(const RowTensor& tensor, int64_t t) {
  return tensor.row(t);
}

// Fills rows[0, unit_rows): each thread its share. A slot without a row sees nothing.
__device__ inline void load_unit_rows(const ScoreCall& call, const ScoreWork& work,
                                      const Unit& unit, UnitRow* rows) {
  const RowTensor& scores = call.p.scores;
  for (int32_t i = threadIdx.x; i < work.unit_rows; i += blockDim.x) {
    const int64_t t = unit.first + i;
    if (t < unit.low || t >= unit.high) {
      rows[i] = {};
      rows[i].request = -1;
      continue;
    }
    const IndexerParams& p = call.p;
    const RowSpan span = p.rows.span(t);
    const int64_t start = call.column(span, 0) * scores.stride[0] * scores.bytes;
    rows[i] = {row_of(scores, t) + start, span.begin, span.end,    row_of(p.q, t), row_of(p.w, t),
               row_of(p.q_scale, t),      t,          span.request};
  }
}

// Slots [low, high) of one request, and the keys that any of them sees. Rows that see nothing
// belong to any run.
struct UnitRun {
  int32_t low, high, request;
  int64_t begin, end;
};

// The run that starts at slot `low`; request -1: no row from there on sees a key.
__device__ inline UnitRun next_run(const UnitRow* rows, int32_t low, int32_t slots) {
  UnitRun run{low, slots, -1, 0, 0};
  for (int32_t i = low; i < slots; ++i) {
    const UnitRow& row = rows[i];
    if (row.begin >= row.end) continue;
    if (run.request < 0) {
      run.request = row.request;
      run.begin = row.begin;
      run.end = row.end;
    } else if (row.request != run.request) {
      run.high = i;
      break;
    } else {
      run.begin = min(run.begin, int64_t{row.begin});
      run.end = max(run.end, int64_t{row.end});
    }
  }
  return run;
}

__device__ inline void put_score(const ScoreCall& call, char* at, float score) {
  if (call.p.scores.dtype == DSA_F32) {
    *reinterpret_cast<float*>(at) = score;
  } else {
    *reinterpret_cast<__nv_bfloat16*>(at) = __float2bfloat16_rn(score);
  }
}

// What multiplies the query's head; 1 where no scale is given.
__device__ inline float query_scale(const IndexerParams& p, const UnitRow& row, int32_t head) {
  if (!p.q_scale.given()) return 1;
  return reinterpret_cast<const float*>(row.q_scale)[head * p.q_scale.stride[0]];
}

// The head's weight; 1 where none is given.
__device__ inline float weight(const IndexerParams& p, const UnitRow& row, int32_t head) {
  return p.w.given() ? load_element(row.w, p.w.dtype, head * p.w.stride[0]) : 1.0f;
}

// Rows::hidden out of line, to keep the loops that write scores small: few calls have a mask.
__device__ __noinline__ inline bool masked(const Rows& rows, const UnitRow& row, int32_t s) {
  return rows.hidden(row.t, {row.request, row.begin, row.end}, s);
}

// From one key's score to the next one's, in bytes.
__device__ inline int64_t score_step(const ScoreCall& call) {
  return call.p.scores.stride[0] * call.p.scores.bytes;
}

// Writes the score of key s, which the row's span holds, to `offset` = s steps from row.scores.
// `placed`: the block table knows the key.
__device__ inline void write_score(const ScoreCall& call, const UnitRow& row, int32_t s,
                                   int64_t offset, bool placed, float score) {
  if (!placed || (call.p.rows.mask.given() && masked(call.p.rows, row, s))) {
    if (call.keep_hidden) return;
    score = call.hidden;
  }
  put_score(call, row.scores + offset, score);
}

// Chunk `chunk` of the columns that are not visible, for all rows of the unit.
__device__ inline void fill_unit(const ScoreCall& call, const ScoreWork& work, const Unit& unit,
                                 const UnitRow* rows, int64_t chunk) {
  const RowTensor& scores = call.p.scores;
  const int64_t low = chunk * work.fill_columns;
  const int64_t high = min(low + work.fill_columns, scores.extent[0]);
  const int64_t step = scores.stride[0] * scores.bytes;
  const int32_t warps = blockDim.x / 32;
  for (int64_t t = unit.low + threadIdx.x / 32; t < unit.high; t += warps) {
    const UnitRow& row = rows[t - unit.first];
    const RowSpan span{row.request, row.begin, row.end};
    const int64_t begin = call.column(span, row.begin), end = call.column(span, row.end);
    char* const out = row_of(scores, t);
    for (int64_t j = low + threadIdx.x % 32; j < high; j += 32) {
      if (j < begin || j >= end) put_score(call, out + j * step, -INFINITY);
    }
  }
}

}  // namespace dsa::cuda

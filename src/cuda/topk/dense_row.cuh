// Rows and outputs of a dense call: the common case inline, all else out of line.
#pragma once

#include "cuda/topk/crossing.cuh"
#include "cuda/topk/dense.h"
#include "cuda/topk/row.cuh"

namespace dsa::cuda::topk {

struct DenseRow {
  const char* first;  // score of key 0
  int32_t n;
};

static __device__ __noinline__ void find_row(const TopkCall& call, int64_t i, DenseRow& found) {
  const RowScores row(call.p, call.first_row + i);
  found = {row.first, row.n};
}

// Whether nothing of a row's place and length stands in memory. Then all that follows from them can
// be done before the previous kernel has ended.
__device__ inline bool has_known_rows(const DenseCall& c) { return c.plain && !c.ends; }

// Visible keys of row i, of a call that has them in memory.
__device__ inline int32_t end_in_memory(const DenseCall& c, int64_t i) {
  const auto end = [&c](int64_t request) {
    return max(*reinterpret_cast<const int32_t*>(c.ends + request * c.end_stride), 0);
  };
  if (c.request_rows == 1) return end(i);
  const uint32_t rows = static_cast<uint32_t>(c.request_rows);
  const uint32_t row = static_cast<uint32_t>(c.request_row) + static_cast<uint32_t>(i);
  return end(row / rows) - static_cast<int32_t>(rows - 1 - row % rows);
}

// Of a plain call.
__device__ inline int32_t length_of_row(const DenseCall& c, int64_t i) {
  if (c.ends) return max(0, min(c.length, end_in_memory(c, i)));
  if (c.causal_rows == 0) return c.length;
  const uint32_t row = static_cast<uint32_t>(c.causal_row) + static_cast<uint32_t>(i);
  const int32_t end =
      c.causal_end + static_cast<int32_t>(row % static_cast<uint32_t>(c.causal_rows));
  return min(c.length, max(end, 0) / c.causal_ratio);
}

// Row i of the call.
__device__ inline DenseRow dense_row(const DenseCall& c, int64_t i) {
  if (!c.plain) {
    DenseRow found;
    find_row(c.full, i, found);
    return found;
  }
  return {c.scores + i * c.score_stride, length_of_row(c, i)};
}
// The same, but as long as it may be if reads_length.
__device__ inline DenseRow longest_row(const DenseCall& c, int64_t i) {
  if (!reads_length(c)) return dense_row(c, i);
  return {c.scores + i * c.score_stride, c.length};
}

// Outputs of row i of a plain call.
class PlainOutput {
 public:
  __device__ PlainOutput(const DenseCall& c, int64_t i) : c_(c), i_(i) {
    if (c.slots) {
      table_ = c.table;
      table_.pages += i * c.table_stride;
    }
  }
  __device__ static bool has_indices_alone(const DenseCall& c) { return !c.slots && !c.values; }

  // Key j is the selection's element `at`.
  __device__ void write(int32_t at, int32_t j) const {
    if (c_.indices) c_.indices[i_ * c_.index_stride + at] = j;
    if (c_.slots) c_.slots[i_ * c_.slot_stride + at] = slot_of(table_, j);
    if (c_.values) copy_value(at, j);
  }
  __device__ void fill(int32_t count, int32_t thread, int32_t threads) const {
#pragma unroll 1
    for (int64_t at = count + thread; at < c_.width; at += threads) {
      c_.indices[i_ * c_.index_stride + at] = -1;
    }
#pragma unroll 1
    for (int64_t at = count + thread; at < c_.slot_width; at += threads) {
      c_.slots[i_ * c_.slot_stride + at] = -1;
    }
#pragma unroll 1
    for (int64_t at = count + thread; at < c_.value_width; at += threads) {
      store_element(c_.values + i_ * c_.value_stride, c_.dtype, at, -__builtin_inff());
    }
  }

 private:
  // The score's own bits.
  __device__ void copy_value(int32_t at, int32_t j) const {
    const char* const from = c_.scores + i_ * c_.score_stride;
    char* const to = c_.values + i_ * c_.value_stride;
    if (c_.dtype == DSA_F32) {
      reinterpret_cast<uint32_t*>(to)[at] = __ldg(reinterpret_cast<const uint32_t*>(from) + j);
    } else {
      reinterpret_cast<uint16_t*>(to)[at] = __ldg(reinterpret_cast<const uint16_t*>(from) + j);
    }
  }

  const DenseCall& c_;
  const int64_t i_;
  SlotTable table_ = {};
};

// Writes key first_key + staged[i] as element at + i of the selection, for i < n.
static __device__ __noinline__ void write_any(const TopkCall& call, int64_t row_number, int32_t at,
                                              const uint16_t* staged, int32_t first_key, int32_t n,
                                              int32_t thread, int32_t threads) {
  const RowScores row(call.p, call.first_row + row_number);
  const RowOutput out(call.p, row);
#pragma unroll 1
  for (int32_t i = thread; i < n; i += threads) out.write(at + i, first_key + staged[i]);
}

__device__ inline void write_staged(const DenseCall& c, int64_t row_number, int32_t at,
                                    const uint16_t* staged, int32_t first_key, int32_t n,
                                    int32_t thread, int32_t threads) {
  if (!c.plain) {
    if (c.emits) write_any(c.full, row_number, at, staged, first_key, n, thread, threads);
    return;
  }
  if (PlainOutput::has_indices_alone(c)) {
    int32_t* const out = c.indices + row_number * c.index_stride + at;
#pragma unroll 1
    for (int32_t i = thread; i < n; i += threads) out[i] = first_key + staged[i];
    return;
  }
  const PlainOutput out(c, row_number);
#pragma unroll 4  // reads of the table, and of scores
  for (int32_t i = thread; i < n; i += threads) out.write(at + i, first_key + staged[i]);
}

static __device__ __noinline__ void end_any(const TopkCall& call, int64_t i, int32_t count,
                                            int32_t thread, int32_t threads) {
  const RowScores row(call.p, call.first_row + i);
  const RowOutput out(call.p, row);
  out.fill(count, thread, threads);
  if (thread > 0) return;
  out.write_count(count);
  if (count == 0) out.write_no_cut();
}

// Everything but the selection itself and the cut of a row that has one. Once a row.
__device__ inline void end_row(const DenseCall& c, int64_t i, int32_t count, int32_t thread,
                               int32_t threads) {
  if (!c.plain) return end_any(c.full, i, count, thread, threads);
  PlainOutput(c, i).fill(count, thread, threads);
  if (c.counts && thread == 0) c.counts[i * c.count_stride] = count;
}

static __device__ __noinline__ void write_cut(const TopkCall& call, int64_t i, int32_t j) {
  const RowScores row(call.p, call.first_row + i);
  RowOutput(call.p, row).write_cut(j);
}

}  // namespace dsa::cuda::topk

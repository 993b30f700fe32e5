// Dense calls: contiguous unmasked scores, a selection in index order. What all forms but kBlock
// take, and what stages.h makes of other calls.
#pragma once

#include "cuda/topk/form.h"

namespace dsa::cuda::topk {

// The pages of a request's slots, of 2^page_shift keys each: SelectParams::to_slot without its
// divisions.
struct SlotTable {
  const char* pages;    // i32
  int64_t page_stride;  // bytes
  int64_t count;
  int32_t page_shift;
  int32_t slot_stride;  // slots from page to page
};

// The common call in a few cache lines: reading all of TopkCall and running the code behind it
// would be much of the 4 us that a row of 4K takes. Where `plain` is false the code for `full` is
// called, out of line.
struct DenseCall {
  bool plain;  // all that is asked is said by the fields up to `full`
  bool emits;  // indices, slots or values
  bool wants_cut;
  const char* scores;    // of the first row
  int64_t score_stride;  // bytes, from row to row
  const char* ends;      // i32: visible keys of each request's last row; nullptr: `length`, or
  int64_t end_stride;    // bytes
  int32_t request_rows;  // of which each sees a key less than the next
  int32_t request_row;   // the first row's number in its request
  // causally: row i sees (causal_end + (causal_row + i) % causal_rows) / causal_ratio keys.
  int32_t causal_rows;  // of a request; 0: not so
  int32_t causal_row, causal_end, causal_ratio;
  int32_t length;  // most visible keys
  int32_t k;
  uint32_t lowest;       // least key that can be selected
  int32_t dtype;         // of the scores
  int32_t* indices;      // of the first row, or nullptr
  int64_t index_stride;  // elements, from row to row
  int64_t width;         // of indices
  int32_t* counts;       // or nullptr
  int64_t count_stride;  // elements
  int64_t row_count;
  int32_t* slots;  // as indices
  int64_t slot_stride;
  int64_t slot_width;
  SlotTable table;       // of the first row
  int64_t table_stride;  // bytes, from row to row
  char* values;          // as indices, of the scores' dtype
  int64_t value_stride;  // bytes, from row to row
  int64_t value_width;
  TopkCall full;
};

DenseCall make_dense(const TopkCall& call);

// Whether a row's length stands in memory that is read in one step.
constexpr bool reads_length(const DenseCall& c) { return c.plain && c.ends; }
// Whether all rows are `length` long, which the host knows.
constexpr bool has_one_length(const DenseCall& c) {
  return c.plain && !c.ends && c.causal_rows == 0;
}

// Scores of a row and of what may precede it in its first 16-byte slab.
int64_t most_places(const TopkCall& call);

// Why a call that says nothing else is above a form, or has a k above `largest_k`; nullptr else.
const char* refuse_but_dense(const TopkCall& call, int32_t largest_k);

// Most dynamic shared memory of a block on the current device.
cudaError_t most_shared_bytes(int32_t& bytes);

}  // namespace dsa::cuda::topk

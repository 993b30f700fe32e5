// From a row's selection in index order to the caller's outputs: order, slots, dtypes, strides,
// padding. Shared by the top-k and the fused indexer.
#pragma once

#include "core/params.h"
#include "cpu/topk/tier.h"

namespace dsa::cpu::topk {

// What one lane needs for rows of at most `max_length` keys; grows with both arguments' extents.
uint64_t emit_bytes(const SelectParams& select, int64_t max_length);

class RowWriter {
 public:
  // `scratch`: emit_bytes(), 64-byte aligned.
  RowWriter(const SelectParams& select, int64_t max_length, char* scratch);

  // Where the tier shall put row t's selection: the caller's own rows where they are laid out so.
  Output begin(int64_t t) const;
  // Finishes the row's outputs. `first_index` is the index of the span's first key
  // (Row::index_base).
  void end(int64_t t, const RowSpan& span, int32_t first_index, const Cut& cut,
           const Output& selection) const;

 private:
  void write_cut(int64_t t, const Cut& cut) const;

  const SelectParams& select_;
  bool needs_indices_;
  bool needs_values_;
  bool sorts_;
  int32_t* indices_;  // [width]
  float* values_;     // [width]
  uint64_t* keys_;    // [2, width]: sorting
};

}  // namespace dsa::cpu::topk

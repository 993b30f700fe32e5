// What every attention kernel's launch has around its own grid: lists of a cut, rows in as many
// launches as lists and grid allow, and the merge of splits.
#pragma once

#include <algorithm>

#include "cuda/attention/cut.h"
#include "cuda/attention/division.h"
#include "cuda/attention/merge_splits.h"
#include "cuda/kernel.h"

namespace dsa::cuda {

// attend(params, division): launches the kernel on division.blocks() blocks.
template <class F>
cudaError_t attn_run(const SparseAttnParams& p, const Run& run, AttnDivision d, F&& attend) {
  const cudaStream_t stream = stream_of(run);
  const AttnWorkspace w = attn_carve(p, d, run.workspace);
  d.partials = w.partials;
  // Partial results go by the row's number in the whole call.
  const int64_t before = p.first_row * p.heads * d.splits;
  if (before > 0) {
    d.partials.state -= before;
    d.partials.out -= before * p.value_dim;
  }
  const bool cut = p.scope[0].selection == DSA_SELECTION_CUT;
  const int64_t of_grid = INT32_MAX / (d.units_of_row() * d.splits);
  const int64_t step = std::max<int64_t>(1, std::min(of_grid, cut ? attn_list_rows(p) : p.rows));
  const int64_t end = p.first_row + p.rows;
  for (int64_t first = p.first_row; first < end; first += step) {
    d.first_row = first;
    d.rows = std::min(step, end - first);
    cudaError_t error = cudaSuccess;
    if (cut) {
      error = attn_write_lists(p, w.lists, first, d.rows, stream);
      if (error == cudaSuccess) error = attend(attn_with_lists(p, w.lists, first), d);
    } else {
      error = attend(p, d);
    }
    if (error != cudaSuccess) return error;
  }
  return d.splits == 1 ? cudaSuccess : attn_merge_splits(p, d, run);
}

// Functions that attn_run launches itself.
inline cudaError_t attn_load_shared() {
  const cudaError_t error = attn_load_cut();
  return error == cudaSuccess ? attn_load_merge_splits() : error;
}

}  // namespace dsa::cuda

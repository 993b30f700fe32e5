// What every attention kernel's launch has around its own grid: lists of a cut, rows in as many
// launches as lists and grid allow, and the merge of splits.
#pragma once

#include <algorithm>

#include "cuda/attention/cut.h"
#include "cuda/attention/division.h"
#include "cuda/attention/merge_splits.h"
#include "cuda/kernel.h"

namespace dsa::cuda {

// attend(params, division): launches the kernel on division.blocks() blocks. Splits are not merged.
template <class F>
cudaError_t attn_run_rows(const SparseAttnParams& p, const Run& run, AttnDivision d, F&& attend) {
  const cudaStream_t stream = stream_of(run);
  char* const lists = run.workspace;
  const bool cut = p.scope[0].selection == DSA_SELECTION_CUT;
  const int64_t of_grid = INT32_MAX / (d.units_of_row() * d.splits);
  const int64_t step = std::max<int64_t>(1, std::min(of_grid, cut ? attn_list_rows(p) : p.rows));
  const int64_t end = p.first_row + p.rows;
  for (int64_t first = p.first_row; first < end; first += step) {
    d.first_row = first;
    d.rows = std::min(step, end - first);
    cudaError_t error = cudaSuccess;
    if (cut) {
      error = attn_write_lists(p, lists, first, d.rows, stream);
      if (error == cudaSuccess) error = attend(attn_with_lists(p, lists, first), d);
    } else {
      error = attend(p, d);
    }
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

// The same, and the merge of splits.
template <class F>
cudaError_t attn_run(const SparseAttnParams& p, const Run& run, AttnDivision d, F&& attend) {
  d.partials = attn_partials(p, d, p.value_dim, run.workspace);
  const cudaError_t error = attn_run_rows(p, run, d, attend);
  return d.splits == 1 || error != cudaSuccess ? error : attn_merge_splits(p, d, run);
}

// Functions that attn_run launches itself.
inline cudaError_t attn_load_shared() {
  const cudaError_t error = attn_load_cut();
  return error == cudaSuccess ? attn_load_merge_splits() : error;
}

}  // namespace dsa::cuda

// dsa_indexer_topk: rows in chunks, as few as the workspace allows; a chunk is scored by a family
// of indexer kernels and selected by the kernels of dsa_topk.
#include "cuda/indexer_topk/indexer_topk.h"

#include <algorithm>
#include <cmath>

#include "cuda/hybrid/shipping.h"
#include "cuda/indexer/indexer.h"
#include "cuda/kernel.h"
#include "cuda/topk/topk.h"

namespace dsa::cuda {
namespace {

// What the call may take: scores of a chunk of rows, and what their selection needs, which is more
// than kSelectBytes only where it sorts millions. Chunks are as large as that lets them be, though
// the L2 cache holds no more than 50 MiB: 4096 rows of 32768 keys took 2.54, 2.32, 2.24 and 2.13 ms
// (H200) in 32, 11, 8 and 4 chunks, before a chunk could begin while the last one ended; 8
// take 2.13 now. Every launch waits for its last block.
constexpr uint64_t kMostBytes = uint64_t{64} << 20;
constexpr uint64_t kSelectBytes = uint64_t{16} << 20;

constexpr uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

// Bytes of a row of scores; rows start where the widest loads may.
uint64_t row_bytes(const IndexerParams& p) {
  return round_up(static_cast<uint64_t>(std::max<int64_t>(p.rows.max_length(), 1)) * sizeof(float),
                  256);
}

int64_t row_size(const IndexerParams& p) { return static_cast<int64_t>(row_bytes(p)); }

// The score buffer as a tensor of which rows [first_row, ...) are there, `row` bytes each.
RowTensor score_view(const IndexerParams& p, int64_t first_row, char* buffer, int64_t row) {
  RowTensor view;
  view.data = reinterpret_cast<char*>(reinterpret_cast<intptr_t>(buffer) - first_row * row);
  view.dtype = DSA_F32;
  view.bytes = sizeof(float);
  view.row_stride = row;
  view.extent[0] = p.rows.max_length();
  view.stride[0] = 1;
  return view;
}

TopkParams selection(const IndexerTopkParams& p, const RowTensor& scores) {
  TopkParams out;
  out.rows = p.indexer.rows.from_begin();
  out.scores = scores;
  out.select = p.select;
  return out;
}

// How a call goes through its workspace.
struct Chunks {
  int64_t rows;  // of a chunk
  uint64_t score_bytes;
  uint64_t select_bytes;
};

// Grows with each extent: what the selection takes of kMostBytes, the scores give.
Chunks divide(const IndexerTopkParams& p, int32_t multiprocessors) {
  const uint64_t row = row_bytes(p.indexer);
  const int64_t rows = std::max<int64_t>(p.indexer.rows.count, 1);
  const TopkParams select = selection(p, score_view(p.indexer, 0, nullptr, row_size(p.indexer)));
  const uint64_t select_bytes = topk_workspace(select, p.indexer.rows.count, multiprocessors);
  const uint64_t scores = kMostBytes - round_up(std::min(select_bytes, kSelectBytes), 256);
  // Chunks of equal size, of whole units of the indexers: 8 rows of 64 heads.
  const int64_t fit = static_cast<int64_t>(scores / row);
  const int64_t most = fit >= 8 ? fit / 8 * 8 : fit;
  const int64_t count = (rows + most - 1) / most;
  const int64_t equal = (rows + count - 1) / count;
  return {std::min(most, equal >= 8 ? (equal + 7) / 8 * 8 : equal),
          static_cast<uint64_t>(rows) > scores / row ? scores : static_cast<uint64_t>(rows) * row,
          select_bytes};
}

template <const IndexerFamily& family>
const char* refuse(const IndexerTopkParams& p) {
  if (row_bytes(p.indexer) > kMostBytes - kSelectBytes)
    return "rows of more than 12.5 million keys";
  return family.refuse(p.indexer);
}

template <const IndexerFamily& family>
uint64_t workspace(const IndexerTopkParams& p, int32_t multiprocessors) {
  const Chunks chunks = divide(p, multiprocessors);
  return chunks.score_bytes + chunks.select_bytes;
}

// Rows [first, first + count) scored into a buffer of `row` bytes each.
ScoreCall score_call(const IndexerParams& p, int64_t first, int64_t count, char* buffer,
                     int64_t row) {
  ScoreCall score;
  score.p = p;
  score.first_row = first;
  score.row_count = count;
  score.from_begin = true;
  score.fill = false;
  score.hidden = NAN;
  score.p.scores = score_view(p, first, buffer, row);
  return score;
}

template <const IndexerFamily& family>
cudaError_t launch(const IndexerTopkParams& p, const Run& run) {
  const Chunks chunks = divide(p, run.device->multiprocessors);
  Run select_run = run;
  select_run.workspace = run.workspace + chunks.score_bytes;
  const int64_t rows = p.indexer.rows.count;
  for (int64_t first = 0; first < rows; first += chunks.rows) {
    const int64_t count = std::min(chunks.rows, rows - first);
    ScoreCall score = score_call(p.indexer, first, count, run.workspace, row_size(p.indexer));
    // The selection before it starts when the scores before that are done, which began when all
    // that was before this call had ended.
    score.inputs_ready = first > 0;
    cudaError_t error = family.enqueue(score, run);
    if (error != cudaSuccess) return error;
    error = enqueue_topk(selection(p, score.p.scores), first, count, select_run);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

template <const IndexerFamily& family>
cudaError_t load() {
  cudaError_t error = family.load();
  if (error == cudaSuccess) error = load_topk();
  return error == cudaSuccess ? load_shipping() : error;
}

template <const IndexerFamily& family>
constexpr Kernel kernel_of(const char* name, const char* family_name, int32_t min_capability,
                           int32_t max_capability = 0) {
  return make_kernel<IndexerTopkParams, refuse<family>, workspace<family>, launch<family>,
                     load<family>>(name, family_name, min_capability, max_capability);
}

}  // namespace

constinit const Kernel kIndexerTopkSm90 =
    kernel_of<kIndexerFamilySm90>("cuda.indexer_topk.sm90", "sm90", 90, 90);
constinit const Kernel kIndexerTopkSm80 =
    kernel_of<kIndexerFamilySm80>("cuda.indexer_topk.sm80", "sm80", 80);

cudaError_t enqueue_fused_scores(const Kernel& kernel, const IndexerTopkParams& p,
                                 const Shipment& shipment, const Run& run) {
  const IndexerFamily& family =
      &kernel == &kIndexerTopkSm90 ? kIndexerFamilySm90 : kIndexerFamilySm80;
  return family.enqueue(
      score_call(p.indexer, shipment.first_row, shipment.rows, shipment.raw, shipment.raw_stride),
      run);
}

}  // namespace dsa::cuda

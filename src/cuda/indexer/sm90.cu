// dsa_indexer on Hopper: which calls, which form of the kernel, the launch.
#include "cuda/indexer/indexer.h"
#include "cuda/indexer/sm90_decode.h"
#include "cuda/indexer/sm90_maps.h"
#include "cuda/indexer/sm90_variants.h"
#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

using sm90::Variant;
using sm90::Variants;

constexpr int32_t kMaxHeads = 128;
constexpr int32_t kMaxDim = 128;
constexpr int32_t kTileShift = 7;
static_assert(sm90::kTileKeys == 1 << kTileShift);

const char* refuse(const IndexerParams& p) {
  const bool e4m3 = p.q.dtype == DSA_F8_E4M3FN && p.keys.values.dtype == DSA_F8_E4M3FN;
  const bool bf16 = p.q.dtype == DSA_BF16 && p.keys.values.dtype == DSA_BF16;
  if (!e4m3 && !bf16) return "wgmma takes e4m3 q with e4m3 keys, bf16 q with bf16 keys";
  if (p.heads > kMaxHeads) return "Hi is above 128";
  if (p.dim > kMaxDim) return "Di is above 128";
  return nullptr;
}

// The first form with room for Hi and for the rows that can share keys, else the widest one.
const Variant& choose(const ScoreCall& call) {
  const IndexerParams& p = call.p;
  const Variants all = p.q.dtype == DSA_BF16 ? sm90::bf16_variants() : sm90::e4m3_variants();
  const Rows& rows = p.rows;
  int64_t together = call.row_count;
  if (p.axis.layout != DSA_LAYOUT_ROWS) {
    together =
        rows.row_request.given() ? (rows.count + rows.batch - 1) / rows.batch : rows.per_request;
  }
  const Variant* chosen = nullptr;
  for (const Variant* v = all.data; v < all.data + all.size; ++v) {
    if (v->heads < p.heads || (chosen && v->heads > chosen->heads)) continue;
    chosen = v;
    if (v->columns / v->heads >= together) break;
  }
  return *chosen;
}

uint64_t workspace(const IndexerParams&, int32_t) { return 0; }

sm90::RowGrid divide_rows(const ScoreCall& call, int64_t together) {
  const Rows& rows = call.p.rows;
  const int64_t end_row = call.first_row + call.row_count;
  sm90::RowGrid grid = {};
  grid.keys_differ = call.p.axis.layout != DSA_LAYOUT_ROWS && rows.batch > 1;
  if (!grid.keys_differ || rows.row_request.given()) {
    grid.blocks = (call.row_count + together - 1) / together;
    return grid;
  }
  grid.in_request = (rows.per_request + together - 1) / together;
  grid.first_request = call.first_row / rows.per_request;
  grid.blocks = ((end_row - 1) / rows.per_request - grid.first_request + 1) * grid.in_request;
  return grid;
}

cudaError_t enqueue(const ScoreCall& call, const Run& run) {
  const IndexerParams& p = call.p;
  if (call.row_count == 0 || p.scores.extent[0] == 0) return cudaSuccess;
  bool taken;
  const cudaError_t error = enqueue_decode(call, run, taken);
  if (taken) return error;
  const Variant& v = choose(call);
  const LaunchShape shape = {.grid = static_cast<uint32_t>(run.device->multiprocessors),
                             .block = static_cast<uint32_t>(v.threads),
                             .shared_bytes = v.shared_bytes,
                             .overlap_previous = true};
  sm90::ScoreParams s = {.call = call,
                         .rows = divide_rows(call, v.columns / v.heads),
                         .q_aligned = sm90::q_aligned(p),
                         .keys_aligned = sm90::keys_aligned(p),
                         .plain_weights = sm90::weights_plain(p)};
  if (const auto boxes = sm90::map_keys(p, kTileShift)) {
    s.keys = *boxes;
    s.boxes = true;
  }
  if (const auto map = sm90::map_queries(p)) {
    s.queries_map = *map;
    s.query_boxes = true;
  }
  return launch_function(v.function, shape, stream_of(run), s);
}

cudaError_t launch(const IndexerParams& p, const Run& run) {
  return enqueue(make_score_call(p), run);
}

cudaError_t load() {
  for (const Variants& list : {sm90::e4m3_variants(), sm90::bf16_variants()}) {
    for (int32_t i = 0; i < list.size; ++i) {
      const Variant& v = list.data[i];
      const cudaError_t error = load_function(v.function, v.shared_bytes);
      if (error != cudaSuccess) return error;
    }
  }
  return load_decode();
}

}  // namespace

constinit const IndexerFamily kIndexerFamilySm90 = {refuse, enqueue, load};

constinit const Kernel kIndexerSm90 = make_kernel<IndexerParams, refuse, workspace, launch, load>(
    "cuda.indexer.sm90", "sm90", 90, 90);

}  // namespace dsa::cuda

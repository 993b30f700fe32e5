// dsa_indexer on Hopper: which calls, which form of the kernel, the launch.
#include "cuda/indexer/indexer.h"
#include "cuda/indexer/sm90_variants.h"
#include "cuda/kernel.h"
#include "cuda/sm90/tensor_map.h"

namespace dsa::cuda {
namespace {

using sm90::Variant;
using sm90::Variants;

constexpr int32_t kMaxHeads = 128;
constexpr int32_t kMaxDim = 128;

const char* refuse(const IndexerParams& p) {
  const bool e4m3 = p.q.dtype == DSA_F8_E4M3FN && p.keys.values.dtype == DSA_F8_E4M3FN;
  const bool bf16 = p.q.dtype == DSA_BF16 && p.keys.values.dtype == DSA_BF16;
  if (!e4m3 && !bf16) return "wgmma takes e4m3 q with e4m3 keys, bf16 q with bf16 keys";
  if (p.heads > kMaxHeads) return "Hi is above 128";
  if (p.dim > kMaxDim) return "Di is above 128";
  return nullptr;
}

bool chunks_align(const void* data, int64_t row_bytes) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && row_bytes % 16 == 0;
}

bool keys_aligned(const IndexerParams& p) {
  const KeyTensor& k = p.keys.values;
  return k.element_stride == 1 && chunks_align(k.data, int64_t{p.dim} * element_bytes(k.dtype)) &&
         k.inner_stride % 16 == 0 && k.outer_stride % 16 == 0;
}

bool q_aligned(const IndexerParams& p) {
  const RowTensor& q = p.q;
  return q.stride[1] == 1 && chunks_align(q.data, int64_t{p.dim} * q.bytes) &&
         q.stride[0] * q.bytes % 16 == 0 && q.row_stride % 16 == 0 && q.outer_stride % 16 == 0;
}

bool weights_plain(const IndexerParams& p) {
  const RowTensor& w = p.w;
  return w.dtype == DSA_F32 && w.stride[0] == 1 && chunks_align(w.data, w.row_stride) &&
         w.outer_stride % 16 == 0 && !p.q_scale.given();
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

// Keys and scales for the copy engine, where it can take them. Keys of one box are neighbours: a
// box does not cross a page.
void map_keys(sm90::ScoreParams& s) {
  const IndexerParams& p = s.call.p;
  const KeyTensor& k = p.keys.values;
  const KeyTensor& scale = p.keys.scale;
  const int64_t inner = p.axis.inner, outer = p.axis.outer;
  int32_t shift = 7;
  static_assert(sm90::kTileKeys == 1 << 7);
  if (p.axis.layout == DSA_LAYOUT_PAGES) {
    while (inner % (1 << shift) != 0) --shift;
  }
  if (!s.keys_aligned || shift < 3) return;
  const sm90::Boxes keys = {.data = k.data,
                            .type = CU_TENSOR_MAP_DATA_TYPE_UINT8,
                            .extent = {int64_t{p.dim} * element_bytes(k.dtype), inner, outer},
                            .stride = {k.inner_stride, k.outer_stride},
                            .box = {128, 1 << shift},
                            .swizzle = true};
  if (!sm90::make_tensor_map(keys, &s.keys_map)) return;
  if (scale.given() && (scale.inner_stride != 0 || scale.outer_stride != 0)) {
    if (scale.inner_stride != 4) return;
    if (p.axis.layout == DSA_LAYOUT_PAGES) {
      if (!chunks_align(scale.data, scale.outer_stride)) return;
      s.box_scales = sm90::BoxScales::kRun;
    } else {
      const sm90::Boxes scales = {.data = scale.data,
                                  .type = CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
                                  .extent = {inner, outer, 1},
                                  .stride = {scale.outer_stride, 0},
                                  .box = {1 << shift, 1},
                                  .swizzle = false};
      if (!sm90::make_tensor_map(scales, &s.scale_map)) return;
      s.box_scales = sm90::BoxScales::kMap;
    }
  }
  s.box_shift = shift;
  s.boxes = true;
}

void map_queries(sm90::ScoreParams& s) {
  const IndexerParams& p = s.call.p;
  const RowTensor& q = p.q;
  if (!s.q_aligned || q.split != 0 || p.rows.count > INT32_MAX) return;
  const sm90::Boxes boxes = {.data = q.data,
                             .type = CU_TENSOR_MAP_DATA_TYPE_UINT8,
                             .extent = {int64_t{p.dim} * q.bytes, p.heads, p.rows.count},
                             .stride = {q.stride[0] * q.bytes, q.row_stride},
                             .box = {128, p.heads},
                             .swizzle = true};
  s.query_boxes = sm90::make_tensor_map(boxes, &s.queries_map);
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
  const Variant& v = choose(call);
  const LaunchShape shape = {.grid = static_cast<uint32_t>(run.device->multiprocessors),
                             .block = static_cast<uint32_t>(v.threads),
                             .shared_bytes = v.shared_bytes,
                             .overlap_previous = true};
  sm90::ScoreParams s = {.call = call,
                         .rows = divide_rows(call, v.columns / v.heads),
                         .q_aligned = q_aligned(p),
                         .keys_aligned = keys_aligned(p),
                         .plain_weights = weights_plain(p)};
  map_keys(s);
  map_queries(s);
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
  return cudaSuccess;
}

}  // namespace

constinit const IndexerFamily kIndexerFamilySm90 = {refuse, enqueue, load};

constinit const Kernel kIndexerSm90 = make_kernel<IndexerParams, refuse, workspace, launch, load>(
    "cuda.indexer.sm90", "sm90", 90, 90);

}  // namespace dsa::cuda

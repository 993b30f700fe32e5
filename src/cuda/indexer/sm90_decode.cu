#include <algorithm>

#include "cuda/indexer/sm90_decode.cuh"
#include "cuda/kernel.h"

namespace dsa::cuda {
namespace {

using sm90::DecodeParams;
using sm90::DecodeVariant;

constexpr int64_t kMostUnits = 128;
constexpr int64_t kMostRows = 4 * kMostUnits;
// Of all units together, where each has several rows: the form for many rows takes 160 us for two
// rows of 64 requests of 64K keys, and this one 180, but 49 and 44 for 128 of 8K.
constexpr int64_t kMostSharedKeys = int64_t{1} << 21;
constexpr int32_t kTileShift = 6;
static_assert(sm90::kBlockKeys == 1 << kTileShift);

template <class Element, int kHeads, int kColumns>
constexpr DecodeVariant make_variant() {
  using T = sm90::DecodeTile<Element, kHeads, kColumns>;
  return {Element::kBytes == 1 ? DSA_F8_E4M3FN : DSA_BF16,
          kHeads,
          T::kTokens,
          T::kThreads,
          static_cast<int32_t>(sizeof(typename T::Shared)),
          T::kBlocks,
          sm90::score_decode<T>};
}

// Of a dtype and a number of heads the one for fewer rows first.
constexpr DecodeVariant kVariants[] = {
    make_variant<sm90::E4m3, 32, 64>(), make_variant<sm90::E4m3, 32, 128>(),
    make_variant<sm90::E4m3, 64, 64>(), make_variant<sm90::E4m3, 64, 128>(),
    make_variant<sm90::Bf16, 32, 64>(), make_variant<sm90::Bf16, 32, 128>(),
    make_variant<sm90::Bf16, 64, 64>(), make_variant<sm90::Bf16, 64, 128>(),
};

const DecodeVariant* choose(const IndexerParams& p, int32_t rows) {
  for (const DecodeVariant& v : kVariants) {
    if (v.dtype == p.q.dtype && v.heads == p.heads && v.rows >= rows) return &v;
  }
  return nullptr;
}

// Visible keys that begin at 0 and end where DecodeParams can say.
bool put_ends(const ScoreCall& call, DecodeParams& d) {
  const Rows& rows = call.p.rows;
  if (rows.ratio != 1 || rows.row_request.given()) return false;
  const bool one = rows.batch == 1;
  switch (rows.by) {
    case VisibleBy::kAll:
      d.base = d.limit;
      return true;
    case VisibleBy::kCausal:
      if (rows.offset < -(int64_t{1} << 30) || rows.offset > int64_t{1} << 30) return false;
      d.base = static_cast<int32_t>(rows.offset + 1 + (one ? call.first_row : 0));
      d.step = 1;
      return true;
    case VisibleBy::kSeqLens:
      if (rows.next_n != rows.per_request) return false;
      d.lengths = rows.seq_lens;
      d.length_stride = one ? 0 : rows.seq_lens_stride;
      d.base = static_cast<int32_t>(1 - rows.next_n + (one ? call.first_row : 0));
      d.step = 1;
      return true;
    default:
      return false;
  }
}

bool put_rows(const ScoreCall& call, DecodeParams& d) {
  const IndexerParams& p = call.p;
  const Rows& rows = p.rows;
  if (rows.batch > kMostUnits || rows.mask.given() || call.row_count > kMostRows) return false;
  if (rows.batch == 1) {
    d.units = 1;
    d.rows = static_cast<int32_t>(call.row_count);
  } else {
    if (p.axis.layout == DSA_LAYOUT_ROWS || call.row_count != rows.count) return false;
    d.units = static_cast<int32_t>(rows.batch);
    d.rows = static_cast<int32_t>(rows.per_request);
  }
  d.first_row = static_cast<int32_t>(call.first_row);
  d.limit = static_cast<int32_t>(rows.max_length());
  if (d.rows > 1 && int64_t{d.units} * d.limit > kMostSharedKeys) return false;
  return put_ends(call, d);
}

bool put_keys(const IndexerParams& p, DecodeParams& d) {
  const auto boxes = sm90::map_keys(p, kTileShift);
  if (!boxes || boxes->shift != kTileShift) return false;
  d.keys = *boxes;
  const KeyTensor& scale = p.keys.scale;
  d.key_scale = scale.given() ? scale.data : nullptr;
  d.key_scale_stride = scale.outer_stride;
  d.keys_by_unit = p.axis.layout == DSA_LAYOUT_BATCH;
  if (p.axis.layout != DSA_LAYOUT_PAGES) return true;
  d.table = p.axis.table;
  d.table_stride = p.axis.table_request_stride;
  d.table_page_stride = p.axis.table_page_stride;
  d.page_tiles = static_cast<int32_t>(p.axis.inner >> kTileShift);
  d.pages = static_cast<int32_t>(p.axis.outer);
  d.last_page = static_cast<int32_t>(p.axis.capacity / p.axis.inner - 1);
  return d.last_page >= 0 && p.axis.outer <= INT32_MAX;
}

bool put_outputs(const ScoreCall& call, DecodeParams& d) {
  const RowTensor& scores = call.p.scores;
  if (scores.dtype != DSA_F32 || scores.stride[0] != 1 || !sm90::even_rows(scores)) return false;
  d.scores = scores.row(call.first_row);
  d.score_stride = scores.row_stride;
  d.hidden = call.hidden;
  d.keep_hidden = call.keep_hidden;
  d.fill_columns = call.fill ? static_cast<int32_t>(scores.extent[0]) : 0;
  return true;
}

bool put_queries(const ScoreCall& call, DecodeParams& d) {
  const IndexerParams& p = call.p;
  if (!sm90::weights_plain(p) || !sm90::even_rows(p.w)) return false;
  if (!p.relu && p.q.dtype == DSA_F8_E4M3FN) return false;
  const auto map = sm90::map_queries(p);
  if (!map) return false;
  d.queries_map = *map;
  d.w = p.w.row(call.first_row);
  d.w_stride = p.w.row_stride;
  d.relu = p.relu;
  return true;
}

}  // namespace

cudaError_t enqueue_decode(const ScoreCall& call, const Run& run, bool& taken) {
  DecodeParams d = {};
  taken = false;
  if (!put_rows(call, d)) return cudaSuccess;
  const DecodeVariant* const v = choose(call.p, d.rows);
  if (!v) return cudaSuccess;
  const int64_t tiles =
      std::max<int64_t>((int64_t{d.limit} + sm90::kBlockKeys - 1) / sm90::kBlockKeys, 1) * d.units;
  const int64_t blocks = std::min<int64_t>(tiles, run.device->multiprocessors * v->blocks);
  if (tiles > INT32_MAX || blocks < d.units) return cudaSuccess;
  taken = put_outputs(call, d) && put_queries(call, d) && put_keys(call.p, d);
  if (!taken) return cudaSuccess;
  const LaunchShape shape = {.grid = static_cast<uint32_t>(blocks),
                             .block = static_cast<uint32_t>(v->threads),
                             .shared_bytes = v->shared_bytes,
                             .overlap_previous = true};
  return launch_function(v->function, shape, stream_of(run), d);
}

cudaError_t load_decode() {
  for (const DecodeVariant& v : kVariants) {
    const cudaError_t error = load_function(v.function, v.shared_bytes);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace dsa::cuda

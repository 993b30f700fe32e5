#include "cpu/indexer/walk.h"

#include <algorithm>
#include <cstring>

namespace dsa::cpu {
namespace {

// Packed queries of one block of rows: half an L2 cache. Packing a key block costs as much as
// scoring it for some 4 heads, so it is under 2 % from 256 (row, head) pairs on; more than 64 rows
// would only make the panels narrower.
constexpr uint64_t kQueriesBytes = uint64_t{1} << 20;
constexpr int64_t kEnoughPairs = 256;
constexpr int64_t kEnoughRows = 64;
constexpr int32_t kLeastQueryRows = 8;
constexpr uint64_t kScoresBytes = uint64_t{1} << 16;
static_assert(kScoresBytes >= kMaxQueryRows * kMaxKeyBlock * sizeof(float));

constexpr uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

}  // namespace

IndexerShape::IndexerShape(const IndexerTier& tier_, const IndexerParams& p, int32_t most_rows)
    : tier(&tier_),
      query_bytes(tier_.query_bytes(p.heads, p.dim)),
      key_bytes(round_up(tier_.key_bytes(p.dim), 256)) {
  const int64_t fit = static_cast<int64_t>(kQueriesBytes / std::max<uint64_t>(query_bytes, 1));
  const int64_t enough = std::max(kEnoughRows, kEnoughPairs / p.heads);
  int64_t most = std::clamp<int64_t>(std::min(fit, enough), kLeastQueryRows, kMaxQueryRows);
  most = std::clamp<int64_t>(most_rows, 1, most);
  // Blocks of equal size: 64 rows in blocks of at most 28 make 3 of 22.
  const int64_t blocks = (p.rows.count + most - 1) / most;
  query_rows = static_cast<int32_t>(blocks == 0 ? 1 : (p.rows.count + blocks - 1) / blocks);
  const int64_t keys = static_cast<int64_t>(kScoresBytes / sizeof(float)) / query_rows;
  panel = static_cast<int32_t>(std::clamp<int64_t>(keys, tier->key_block, kMaxPanel));
  panel -= panel % tier->key_block;
}

uint64_t IndexerShape::walk_bytes() const {
  return round_up(query_bytes * static_cast<uint64_t>(query_rows), 256) + key_bytes + kScoresBytes;
}

uint64_t indexer_key_bytes(const IndexerTier& tier, const IndexerParams& p) {
  return round_up(tier.key_bytes(p.dim), 256) + kScoresBytes;
}

uint64_t indexer_lane_bytes(const IndexerTier& tier, const IndexerParams& p) {
  const uint64_t query = tier.query_bytes(p.heads, p.dim);
  const uint64_t queries =
      std::min(static_cast<uint64_t>(std::max<int64_t>(p.rows.count, 1)) * query,
               std::max(kQueriesBytes, kLeastQueryRows * query));
  return round_up(queries, 256) + indexer_key_bytes(tier, p);
}

const char* indexer_refuse(const IndexerTier& tier, const IndexerParams& p) {
  if (p.dim > kIndexerMaxDim) return "Di is above 1024";
  const auto type = [](int32_t dtype) { return static_cast<IndexerType>(dtype); };
  if (!tier.takes(type(p.q.dtype), type(p.keys.values.dtype), p.q_scale.given())) {
    return "AMX takes bf16 q and keys without q_scale";
  }
  return nullptr;
}

IndexerWalk::IndexerWalk(const IndexerShape& shape, const IndexerParams& p, char* memory)
    : shape_(shape), p_(p), prefetch_(int64_t{shape.query_rows} * p.heads <= 512) {
  queries_ = memory;
  keys_ = queries_ + round_up(shape_.query_bytes * static_cast<uint64_t>(shape_.query_rows), 256);
  scores_ = reinterpret_cast<float*>(keys_ + shape_.key_bytes);
}

void IndexerWalk::take_rows(int64_t t0, int32_t count) {
  if (t0 == t0_ && count == count_) return;
  t0_ = t0;
  count_ = count;
  const auto type = [](const RowTensor& t) { return static_cast<IndexerType>(t.dtype); };
  for (int32_t i = 0; i < count; ++i) {
    const int64_t t = t0 + i;
    spans_[i] = p_.rows.span(t);
    IndexerQuery query = {};
    query.q = p_.q.row(t);
    query.q_type = type(p_.q);
    query.q_head_stride = p_.q.stride[0];
    query.q_dim_stride = p_.q.stride[1];
    if (p_.q_scale.given()) {
      query.q_scale = p_.q_scale.row_as<const float>(t);
      query.q_scale_stride = p_.q_scale.stride[0];
    }
    if (p_.w.given()) {
      query.w = p_.w.row(t);
      query.w_type = type(p_.w);
      query.w_stride = p_.w.stride[0];
    }
    shape_.tier->pack_query(query, p_.heads, p_.dim,
                            queries_ + static_cast<uint64_t>(i) * shape_.query_bytes);
  }
}

// End of the rows from i on that share keys: one request's; all, where positions are global.
int32_t IndexerWalk::same_keys(int32_t i) const {
  if (p_.axis.layout == DSA_LAYOUT_ROWS) return count_;
  int32_t end = i + 1;
  while (end < count_ && spans_[end].request == spans_[i].request) ++end;
  return end;
}

// Positions are looked up once a page: within it, rows follow each other by a fixed stride.
void IndexerWalk::resolve(int32_t request, int32_t first, int32_t count, KeyBlock& block,
                          uint8_t* visible) const {
  const KeyTensor& values = p_.keys.values;
  const KeyTensor& scale = p_.keys.scale;
  for (int32_t i = 0; i < count;) {
    KeyPlace place;
    const bool in_cache = p_.axis.place(request, int64_t{first} + i, place);
    int64_t run = count - i;
    if (p_.axis.layout == DSA_LAYOUT_PAGES) {
      run = std::min(run, p_.axis.inner - (int64_t{first} + i) % p_.axis.inner);
    }
    const char* row = in_cache ? values.at(place) : nullptr;
    const char* factor = in_cache && scale.given() ? scale.at(place) : nullptr;
    for (const int32_t end = i + static_cast<int32_t>(run); i < end; ++i) {
      block.rows[i] = row;
      block.scale[i] = factor ? *reinterpret_cast<const float*>(factor) : 1.0f;
      visible[i] = in_cache;
      if (row) row += values.inner_stride;
      if (factor) factor += scale.inner_stride;
    }
  }
  for (int32_t i = count; i < shape_.tier->key_block; ++i) {
    block.rows[i] = nullptr;
    block.scale[i] = 1.0f;
  }
}

int64_t IndexerWalk::first_seen(int32_t i, int32_t end, int64_t s) const {
  int64_t first = INT64_MAX;
  for (; i < end; ++i) {
    if (spans_[i].end <= s || spans_[i].begin == spans_[i].end) continue;
    if (spans_[i].begin <= s) return s;
    first = std::min<int64_t>(first, spans_[i].begin);
  }
  return first;
}

// Rows [row, row_end) on keys [first, first + count); prefetches up to key `end`.
void IndexerWalk::score_panel(int32_t row, int32_t row_end, int32_t first, int32_t count,
                              int64_t end) {
  const int32_t block_keys = shape_.tier->key_block;
  const int32_t request = spans_[row].request;
  panel_.first = first;
  panel_.count = count;
  const auto keys_from = [&](int64_t s) {
    return static_cast<int32_t>(std::min<int64_t>(block_keys, end - s));
  };
  KeyBlock* now = &blocks_[0];
  KeyBlock* next = &blocks_[1];
  resolve(request, first, std::min(block_keys, count), *now, panel_.visible);
  for (int32_t at = 0; at < count; at += block_keys) {
    const int64_t after = int64_t{first} + at + block_keys;
    const bool has_next = after < end;
    if (has_next) {
      const bool same_panel = at + block_keys < count;
      resolve(request, static_cast<int32_t>(after), keys_from(after), *next,
              same_panel ? panel_.visible + at + block_keys : next_visible_);
    }
    score_block(row, row_end, first + at, std::min(block_keys, count - at), *now,
                has_next && prefetch_ ? next : nullptr, scores_ + at);
    std::swap(now, next);
  }
  panel_.all_visible = std::memchr(panel_.visible, 0, static_cast<size_t>(count)) == nullptr;
}

void IndexerWalk::score_block(int32_t row, int32_t row_end, int32_t first, int32_t count,
                              const KeyBlock& block, const KeyBlock* next, float* scores) {
  const KeyTensor& values = p_.keys.values;
  const auto sees = [&](int32_t i) {
    return spans_[i].begin < first + count && spans_[i].end > first;
  };
  bool packed = false;
  for (int32_t i = row; i < row_end;) {
    if (!sees(i)) {
      ++i;
      continue;
    }
    int32_t to = i + 1;
    while (to < row_end && sees(to)) ++to;
    if (!packed) {
      shape_.tier->pack_keys(block.rows, static_cast<IndexerType>(values.dtype),
                             values.element_stride, p_.dim, keys_);
      packed = true;
    }
    IndexerScore args = {};
    args.queries = queries_ + static_cast<uint64_t>(i) * shape_.query_bytes;
    args.num_queries = to - i;
    args.heads = p_.heads;
    args.dim = p_.dim;
    args.relu = p_.relu;
    args.keys = keys_;
    args.k_scale = p_.keys.scale.given() ? block.scale : nullptr;
    args.scores = scores + int64_t{i} * shape_.panel;
    args.scores_stride = shape_.panel;
    if (next && values.element_stride == 1) {
      args.next_rows = next->rows;
      args.next_row_bytes = p_.dim * element_bytes(values.dtype);
    }
    shape_.tier->score(args);
    next = nullptr;
    i = to;
  }
}

}  // namespace dsa::cpu

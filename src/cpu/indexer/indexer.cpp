#include "cpu/indexer/indexer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "cpu/indexer/hide.h"
#include "cpu/simd/convert.h"
#include "cpu/simd/float_mode.h"

namespace dsa::cpu {
namespace {

using Tier = const IndexerTier& (*)();

// Scores of one row to its columns.
class RowWriter {
 public:
  RowWriter(const IndexerParams& p, int64_t t, const RowSpan& span)
      : p_(p), t_(t), span_(span), row_(p.scores.row(t)), step_(p.scores.stride[0]) {}

  // Keys [low, high) of the row; scores[0] is key low's.
  void scores(int32_t low, int32_t high, float* scores, const KeyPanel& panel) const {
    const int64_t column = p_.rows.column(span_, low);
    const bool all = panel.all_visible && !p_.rows.mask.given();
    if (all || !p_.keep_invisible) {
      if (!all) hide_scores(p_, t_, span_, low, high, panel, -INFINITY, scores);
      copy(column, scores, high - low);
      return;
    }
    for (int32_t s = low; s < high; ++s) {
      if (panel.visible[s - panel.first] && !p_.rows.hidden(t_, span_, s)) {
        put(column + (s - low), scores[s - low]);
      }
    }
  }

  // Those of the columns [begin, end) that lie outside the row's span.
  void fill(int64_t begin, int64_t end) const {
    if (p_.keep_invisible) return;
    const int64_t first = p_.rows.column(span_, span_.begin);
    const int64_t last = p_.rows.column(span_, span_.end);
    clear(begin, std::min(end, first));
    clear(std::max(begin, last), end);
  }

 private:
  void put(int64_t column, float score) const {
    char* at = row_ + column * step_ * p_.scores.bytes;
    if (p_.scores.dtype == DSA_F32) {
      *reinterpret_cast<float*>(at) = score;
    } else {
      *reinterpret_cast<uint16_t*>(at) = f32_to_bf16(score);
    }
  }
  void copy(int64_t column, const float* scores, int32_t n) const {
    if (p_.scores.dtype == DSA_F32 && step_ == 1) {
      std::memcpy(row_ + column * 4, scores, static_cast<size_t>(n) * 4);
    } else if (p_.scores.dtype == DSA_BF16 && step_ == 1) {
      uint16_t* out = reinterpret_cast<uint16_t*>(row_) + column;
      for (int32_t i = 0; i < n; ++i) out[i] = f32_to_bf16(scores[i]);
    } else {
      for (int32_t i = 0; i < n; ++i) put(column + i, scores[i]);
    }
  }
  void clear(int64_t begin, int64_t end) const {
    if (begin >= end) return;
    if (p_.scores.dtype == DSA_F32 && step_ == 1) {
      float* out = reinterpret_cast<float*>(row_);
      std::fill(out + begin, out + end, -INFINITY);
    } else {
      for (int64_t column = begin; column < end; ++column) put(column, -INFINITY);
    }
  }

  const IndexerParams& p_;
  const int64_t t_;
  const RowSpan span_;
  char* const row_;
  const int64_t step_;
};

// The call as items of work: a block of query rows by a range of positions and columns.
struct Items {
  int64_t row_blocks;
  int64_t ranges;  // a row block
  int64_t range_keys;
  int32_t lanes;

  Items(const IndexerShape& shape, const IndexerParams& p, const Parallel& parallel) {
    const int64_t columns = p.scores.extent[0];
    const int64_t keys = p.rows.columns_from_begin ? std::max(p.rows.key_limit, columns) : columns;
    const int64_t block = shape.tier->key_block;
    row_blocks = (p.rows.count + shape.query_rows - 1) / shape.query_rows;
    // On one core about 100 GFLOP/s; a column to fill takes 0.1 ns.
    const double rows = static_cast<double>(p.rows.count);
    const double flop = 2.0 * rows * p.heads * p.dim * static_cast<double>(p.rows.max_length());
    lanes = parallel.lanes_for(0.01 * flop + 0.1 * rows * static_cast<double>(columns));
    // Many items a lane: cores that share their time with others, and causal rows, would leave one
    // lane with the last long item (16 cores, 64 queries x 65536 keys, AMX: 5.9 ms with 4, 5.1 with
    // 32). A lane's next item mostly has the same queries, which it then need not pack anew.
    const int64_t wanted = keys * row_blocks / (int64_t{32} * lanes) + 1;
    range_keys = std::clamp<int64_t>(wanted, 2 * std::max<int64_t>(block, 48), 4096);
    if (lanes == 1) range_keys = std::max<int64_t>(keys, 1);
    range_keys = (range_keys + block - 1) / block * block;
    ranges = (keys + range_keys - 1) / range_keys;
  }
  int64_t count() const { return row_blocks * ranges; }
};

void run_item(const Items& items, int64_t item, const IndexerShape& shape, const IndexerParams& p,
              IndexerWalk& walk) {
  const int64_t t0 = item / items.ranges * shape.query_rows;
  const int64_t begin = item % items.ranges * items.range_keys;
  const int64_t end = begin + items.range_keys;
  walk.take_rows(t0, static_cast<int32_t>(std::min<int64_t>(shape.query_rows, p.rows.count - t0)));
  walk.score(begin, end,
             [&](int32_t i, int32_t low, int32_t high, float* scores, const KeyPanel& panel) {
               RowWriter(p, t0 + i, walk.span(i)).scores(low, high, scores, panel);
             });
  const int64_t last = std::min(end, p.scores.extent[0]);
  for (int32_t i = 0; i < walk.rows(); ++i) RowWriter(p, t0 + i, walk.span(i)).fill(begin, last);
}

template <Tier tier>
const char* refuse(const IndexerParams& p) {
  return indexer_refuse(tier(), p);
}

template <Tier tier>
uint64_t workspace(const IndexerParams& p, int32_t lanes) {
  return indexer_lane_bytes(tier(), p) * static_cast<uint64_t>(lanes);
}

template <Tier tier>
void launch(const IndexerParams& p, const Run& run) {
  const IndexerShape shape(tier(), p, kMaxQueryRows);
  const Items items(shape, p, *run.parallel);
  const uint64_t lane_bytes = indexer_lane_bytes(tier(), p);
  std::atomic<int64_t> next{0};
  run.lanes(items.lanes, [&](int32_t lane) {
    const DefaultFloatMode mode;
    IndexerWalk walk(shape, p, run.workspace + lane_bytes * static_cast<uint64_t>(lane));
    shape.tier->begin();
    for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items.count();) {
      run_item(items, item, shape, p, walk);
    }
    shape.tier->end();
  });
}

template <Tier tier>
constexpr Kernel make(const char* name, const char* family, CpuTier cpu_tier) {
  return make_cpu_kernel<IndexerParams, refuse<tier>, workspace<tier>, launch<tier>>(name, family,
                                                                                     cpu_tier);
}

}  // namespace

constinit const Kernel kIndexerScalar =
    make<indexer_tier_scalar>("cpu.indexer.scalar", "scalar", CpuTier::kScalar);
#if defined(DSA_X86)
constinit const Kernel kIndexerAvx2 =
    make<indexer_tier_avx2>("cpu.indexer.avx2", "avx2", CpuTier::kAvx2);
constinit const Kernel kIndexerAvx512 =
    make<indexer_tier_avx512>("cpu.indexer.avx512", "avx512", CpuTier::kAvx512);
constinit const Kernel kIndexerAmx =
    make<indexer_tier_amx>("cpu.indexer.amx", "amx", CpuTier::kAmx);
#endif

}  // namespace dsa::cpu

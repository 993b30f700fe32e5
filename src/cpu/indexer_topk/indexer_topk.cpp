#include "cpu/indexer_topk/indexer_topk.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <new>

#include "cpu/indexer/hide.h"
#include "cpu/indexer_topk/budget.h"
#include "cpu/simd/float_mode.h"

namespace dsa::cpu {
namespace {

using IndexerGetter = const IndexerTier& (*)();
using TopkGetter = const topk::Tier& (*)();

// Scores of keys that the table or the mask hides become NaN, which nothing selects, whatever -inf
// means.
constexpr float kHidden = std::numeric_limits<float>::quiet_NaN();

class FusedCall {
 public:
  FusedCall(const topk::Tier& tier, const IndexerTopkParams& p, const FusedBudget& budget,
            char* memory)
      : tier_(tier), p_(p), b_(budget), lanes_(memory) {
    shared_ = memory + b_.lane * static_cast<uint64_t>(b_.lanes);
    if (b_.ranges == 1) return;
    done_ = reinterpret_cast<std::atomic<int64_t>*>(shared_);
    shared_ += (static_cast<uint64_t>(b_.row_blocks) * sizeof(*done_) + 255) / 256 * 256;
    for (int64_t i = 0; i < b_.row_blocks; ++i) new (&done_[i]) std::atomic<int64_t>(0);
  }

  void run_lane(int32_t lane) {
    char* const memory = lanes_ + b_.lane * static_cast<uint64_t>(lane);
    IndexerWalk walk(b_.shape, p_.indexer, memory);
    char* const scratch = memory + b_.scratch;
    const topk::RowWriter writer(p_.select, p_.indexer.rows.max_length(), memory + b_.emit);
    char* const lists = shared_ + static_cast<uint64_t>(lane) *
                                      static_cast<uint64_t>(b_.shape.query_rows) * b_.list;
    b_.shape.tier->begin();
    const int64_t items = b_.row_blocks * b_.ranges;
    for (int64_t item; (item = next_.fetch_add(1, std::memory_order_relaxed)) < items;) {
      const int64_t block = item / b_.ranges;
      const int64_t t0 = block * b_.shape.query_rows;
      const int64_t left = p_.indexer.rows.count - t0;
      walk.take_rows(t0, static_cast<int32_t>(std::min<int64_t>(b_.shape.query_rows, left)));
      if (b_.keeps_scores) {
        score_range(walk, item % b_.ranges);
        if (b_.ranges == 1 ||
            done_[block].fetch_add(1, std::memory_order_acq_rel) + 1 == b_.ranges) {
          for (int32_t i = 0; i < walk.rows(); ++i) select(t0 + i, walk.span(i), scratch, writer);
        }
      } else {
        feed_rows(walk, lists, writer);
      }
    }
    b_.shape.tier->end();
  }

 private:
  int32_t first_index(int64_t t, const RowSpan& span) const {
    return p_.select.to_index(t, span, span.begin);
  }

  void feed_rows(IndexerWalk& walk, char* memory, const topk::RowWriter& writer) {
    topk::List lists[kMaxQueryRows];
    for (int32_t i = 0; i < walk.rows(); ++i) {
      const RowSpan& span = walk.span(i);
      lists[i] = topk::make_list(memory + static_cast<uint64_t>(i) * b_.list, span.end - span.begin,
                                 p_.select.k, -INFINITY, p_.select.select_neg_inf);
    }
    const int64_t t0 = walk.first_row();
    walk.score(0, p_.indexer.rows.key_limit,
               [&](int32_t i, int32_t low, int32_t high, float* scores, const KeyPanel& panel) {
                 const int64_t t = t0 + i;
                 const RowSpan& span = walk.span(i);
                 hide_scores(p_.indexer, t, span, low, high, panel, kHidden, scores);
                 tier_.feed(lists[i], scores, high - low, p_.select.to_index(t, span, low));
               });
    for (int32_t i = 0; i < walk.rows(); ++i) {
      const topk::Output out = writer.begin(t0 + i);
      const topk::Cut cut = tier_.finish(lists[i], out);
      const RowSpan& span = walk.span(i);
      writer.end(t0 + i, span, first_index(t0 + i, span), cut, out);
    }
  }

  // Scores [T, longest row]; column 0 is the row's first visible key.
  float* matrix_row(int64_t t) const {
    return reinterpret_cast<float*>(shared_) + t * p_.indexer.rows.max_length();
  }

  void score_range(IndexerWalk& walk, int64_t range) {
    const int64_t t0 = walk.first_row();
    walk.score(range * b_.range_keys, (range + 1) * b_.range_keys,
               [&](int32_t i, int32_t low, int32_t high, float* scores, const KeyPanel& panel) {
                 const RowSpan& span = walk.span(i);
                 hide_scores(p_.indexer, t0 + i, span, low, high, panel, kHidden, scores);
                 std::copy(scores, scores + (high - low), matrix_row(t0 + i) + (low - span.begin));
               });
  }

  void select(int64_t t, const RowSpan& span, char* scratch, const topk::RowWriter& writer) const {
    topk::Row row;
    row.scores = matrix_row(t);
    row.n = span.end - span.begin;
    row.k = p_.select.k;
    row.index_base = first_index(t, span);
    row.select_neg_inf = p_.select.select_neg_inf;
    if (p_.select.hint_bound.given()) {
      row.has_bound = true;
      row.bound = *p_.select.hint_bound.row_as<const float>(t);
    }
    if (const RowTensor& hints = p_.select.hint_indices; hints.given()) {
      row.previous = hints.row_as<const int32_t>(t);
      row.previous_count = static_cast<int32_t>(std::min<int64_t>(hints.extent[0], p_.select.k));
      row.previous_stride = hints.stride[0];
    }
    const topk::Output out = writer.begin(t);
    const topk::Cut cut = tier_.select_row(row, scratch, out);
    writer.end(t, span, row.index_base, cut, out);
  }

  const topk::Tier& tier_;
  const IndexerTopkParams& p_;
  const FusedBudget& b_;
  char* const lanes_;
  char* shared_;                          // lists [lanes, query_rows], or the score matrix
  std::atomic<int64_t>* done_ = nullptr;  // [row_blocks]: ranges that are scored; with several
  std::atomic<int64_t> next_{0};
};

template <IndexerGetter indexer>
const char* refuse(const IndexerTopkParams& p) {
  if (std::min<int64_t>(p.select.k, p.indexer.rows.max_length()) > INT32_MAX - 1024) {
    return "k above 2^31 - 1025 in rows as long";
  }
  return indexer_refuse(indexer(), p.indexer);
}

template <IndexerGetter indexer>
uint64_t workspace(const IndexerTopkParams& p, int32_t lanes) {
  return fused_workspace(indexer(), p, lanes);
}

template <IndexerGetter indexer, TopkGetter topk_tier>
void launch(const IndexerTopkParams& p, const Run& run) {
  const FusedBudget budget(indexer(), p, run.parallel->lanes_for(fused_ns(p)));
  FusedCall call(topk_tier(), p, budget, run.workspace);
  run.lanes(budget.lanes, [&](int32_t lane) {
    const DefaultFloatMode mode;
    call.run_lane(lane);
  });
}

template <IndexerGetter indexer, TopkGetter topk_tier>
constexpr Kernel make(const char* name, const char* family, CpuTier cpu_tier) {
  return make_cpu_kernel<IndexerTopkParams, refuse<indexer>, workspace<indexer>,
                         launch<indexer, topk_tier>>(name, family, cpu_tier);
}

}  // namespace

constinit const Kernel kIndexerTopkScalar = make<indexer_tier_scalar, topk::tier_scalar>(
    "cpu.indexer_topk.scalar", "scalar", CpuTier::kScalar);
#if defined(DSA_X86)
constinit const Kernel kIndexerTopkAvx2 =
    make<indexer_tier_avx2, topk::tier_avx2>("cpu.indexer_topk.avx2", "avx2", CpuTier::kAvx2);
constinit const Kernel kIndexerTopkAvx512 = make<indexer_tier_avx512, topk::tier_avx512>(
    "cpu.indexer_topk.avx512", "avx512", CpuTier::kAvx512);
constinit const Kernel kIndexerTopkAmx =
    make<indexer_tier_amx, topk::tier_avx512>("cpu.indexer_topk.amx", "amx", CpuTier::kAmx);
#endif

}  // namespace dsa::cpu

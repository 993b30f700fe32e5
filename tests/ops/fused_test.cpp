// dsa_indexer_topk gives what dsa_indexer (f32 scores) and dsa_topk give, bit for bit, in every
// family of kernels.
#include <gtest/gtest.h>

#include <vector>

#include "oracle/indexer.h"
#include "support/every_kernel.h"

using namespace support;

namespace {

// A selection may take -inf then: a key that a table entry hides, and a column past the last key
// where columns start at each row's begin, count as -inf in the two steps and are not there in the
// fused call.
bool hidden_keys_differ(const dsa_indexer_topk_desc& d) {
  return d.flags & DSA_SELECT_NEG_INF &&
         (d.key_layout == DSA_LAYOUT_PAGES || d.flags & DSA_COLUMNS_FROM_BEGIN);
}

struct TwoSteps {
  std::vector<float> scores;
  dsa_indexer_desc index = dsa_indexer_desc_init();
  dsa_topk_desc select = dsa_topk_desc_init();

  explicit TwoSteps(const dsa_indexer_topk_desc& d) {
    const int64_t rows = oracle::row_count(d.q, 2);
    const oracle::Cache cache = oracle::index_cache(d);
    scores.assign(size_t(rows * cache.keys) + 1, 12345.0f);
    const dsa_tensor matrix = dsa_tensor_2d(scores.data(), DSA_F32, rows, cache.keys);
    common(index, d);
    index.flags = d.flags & ~uint64_t(DSA_SELECT_NEG_INF);
    index.block_table = d.block_table;
    index.key_layout = d.key_layout;
    index.key_format = d.key_format;
    index.page_size = d.page_size;
    index.q = d.q;
    index.keys = d.keys;
    index.w = d.w;
    index.q_scale = d.q_scale;
    index.k_scale = d.k_scale;
    index.scores = matrix;
    common(select, d);
    select.flags = d.flags & ~uint64_t(DSA_NO_RELU);
    select.scores = matrix;
    select.k = d.k;
    select.order = d.order;
    select.ties = d.ties;
    select.page_size = int32_t(cache.page_size);
    select.slot_page_size = d.slot_page_size;
    select.slot_page_stride = d.slot_page_stride;
    if (d.block_table.ndim != 0 && d.slot_table.ndim == 0) select.block_table = d.block_table;
    select.slot_table = d.slot_table;
    select.index_base = d.index_base;
    select.hint_indices = d.hint_indices;
    select.hint_bound = d.hint_bound;
    select.indices = d.indices;
    select.slots = d.slots;
    select.values = d.values;
    select.counts = d.counts;
    select.cut_score = d.cut_score;
    select.cut_index = d.cut_index;
  }
  template <class Step>
  static void common(Step& step, const dsa_indexer_topk_desc& d) {
    step.batch = d.batch;
    step.offset = d.offset;
    step.max_keys = d.max_keys;
    step.next_n = d.next_n;
    step.ratio = d.ratio;
    step.row_request = d.row_request;
    step.row_begin = d.row_begin;
    step.row_end = d.row_end;
    step.seq_lens = d.seq_lens;
    step.mask = d.mask;
  }
};

TEST(Fused, EqualsTheTwoSteps) {
  const SeedRange range(1500);
  for (const Kernel& kernel : kernels_of(DSA_OP_INDEXER_TOPK)) {
    if (!kernel.usable) continue;
    const Context ctx = make_context((kernel.on_cpu() ? "cpu.*." : "cuda.*.") + kernel.family);
    const Context topk = make_context();
    const double end = now() + 6;
    int compared = 0;
    for (uint64_t seed = range.first; seed < range.first + range.count && now() < end; ++seed) {
      const auto c = draw_indexer_topk(seed);
      const dsa_indexer_topk_desc& d = c->d;
      if (d.ties == DSA_TIES_ANY || d.order == DSA_ORDER_ANY || hidden_keys_differ(d) ||
          supports(ctx.get(), d) != DSA_OK) {
        continue;
      }
      ASSERT_EQ(run(ctx.get(), d), DSA_OK) << dsa_last_error();
      const std::vector<unsigned char> fused = c->arena.output_bytes();
      const std::string context = kernel.name + " seed " + std::to_string(seed) + describe(d);
      TwoSteps steps(d);
      c->arena.reset_outputs();
      ASSERT_EQ(run(ctx.get(), steps.index), DSA_OK) << context << dsa_last_error();
      // The selection is the same on every tier, so it need not be of this family.
      ASSERT_EQ(run(topk.get(), steps.select), DSA_OK) << context << dsa_last_error();
      ASSERT_EQ(c->arena.output_bytes(), fused) << context;
      ++compared;
    }
    std::printf("[ COMPARED ] %s: %d calls\n", kernel.name.c_str(), compared);
    EXPECT_GT(compared, 20);
  }
}

}  // namespace

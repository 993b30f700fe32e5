// The same bits on every run: again and again, on any number of threads, in any order of tasks,
// with a dirty workspace, with a plan, with other hints, and row by row.
#include <gtest/gtest.h>

#include <cstring>

#include "oracle/attention.h"
#include "support/cases.h"
#include "support/every_kernel.h"
#include "support/one_row.h"

using namespace support;

namespace {

using Bytes = std::vector<unsigned char>;

// Runs tasks last to first, one after the other.
void backwards(void*, int64_t count, dsa_parallel_body body, void* arg) {
  for (int64_t i = count - 1; i >= 0; --i) body(arg, i);
}

Context make_backwards_context(const std::string& glob) {
  dsa_ctx_options options{};
  options.num_threads = 3;
  options.parallel_for = backwards;
  return make_context(options, glob);
}

template <class CaseT>
Bytes bytes_of(CaseT& c, dsa_ctx* ctx, const dsa_exec* exec = nullptr) {
  c.arena.reset_outputs();
  EXPECT_EQ(run(ctx, c.d, exec), DSA_OK) << dsa_last_error();
  return c.arena.output_bytes();
}

// Exactly the workspace that the call asks for, full of NaN.
template <class CaseT>
Bytes bytes_with_workspace(CaseT& c, dsa_ctx* ctx) {
  uint64_t size = 0;
  EXPECT_EQ(workspace_size(ctx, c.d, &size), DSA_OK);
  dsa_plan* plan = nullptr;
  EXPECT_EQ(make_plan(ctx, c.d, &plan), DSA_OK);
  std::unique_ptr<char, decltype(&std::free)> memory(
      static_cast<char*>(std::aligned_alloc(256, (size + 511) / 256 * 256)), &std::free);
  std::memset(memory.get(), 0xff, size + 256);
  dsa_exec exec{};
  exec.struct_size = sizeof exec;
  exec.workspace = memory.get();
  exec.workspace_size = size;
  exec.plan = plan;
  const Bytes bytes = bytes_of(c, ctx, size > 0 ? &exec : nullptr);
  for (uint64_t i = size; i < size + 256; ++i) {
    EXPECT_EQ(static_cast<unsigned char>(memory.get()[i]), 0xff) << "past the workspace";
  }
  dsa_plan_destroy(plan);
  return bytes;
}

bool repeatable(const dsa_topk_desc& d) { return d.ties != DSA_TIES_ANY; }
bool repeatable(const dsa_indexer_topk_desc& d) { return d.ties != DSA_TIES_ANY; }
template <class Desc>
bool repeatable(const Desc&) {
  return true;
}

template <class Draw>
void expect_repeatable(int32_t operation, Draw&& draw, uint64_t seeds) {
  const SeedRange range(seeds);
  for (const Kernel& kernel : kernels_of(operation)) {
    if (!kernel.usable) continue;
    const Context two = make_context(kernel.name, 2), four = make_context(kernel.name, 4);
    const Context reversed = make_backwards_context(kernel.name);
    const double end = now() + 3;
    for (uint64_t seed = range.first; seed < range.first + range.count && now() < end; ++seed) {
      const auto c = draw(seed);
      if (!repeatable(c->d) || supports(kernel.ctx.get(), c->d) != DSA_OK) continue;
      const std::string context = kernel.name + " seed " + std::to_string(seed) + describe(c->d);
      const Bytes first = bytes_of(*c, kernel.ctx.get());
      const int again = seed % 50 == 1 ? 100 : 1;
      for (int i = 0; i < again; ++i) ASSERT_EQ(bytes_of(*c, kernel.ctx.get()), first) << context;
      ASSERT_EQ(bytes_of(*c, two.get()), first) << context << "\n2 threads";
      ASSERT_EQ(bytes_of(*c, four.get()), first) << context << "\n4 threads";
      ASSERT_EQ(bytes_of(*c, reversed.get()), first) << context << "\ntasks backwards";
      ASSERT_EQ(bytes_with_workspace(*c, kernel.ctx.get()), first) << context << "\nworkspace";
      ASSERT_EQ(bytes_with_workspace(*c, four.get()), first) << context << "\nworkspace, 4";
    }
  }
}

TEST(Repeat, Topk) { expect_repeatable(DSA_OP_TOPK, draw_topk, 600); }
TEST(Repeat, Indexer) { expect_repeatable(DSA_OP_INDEXER, draw_indexer, 300); }
TEST(Repeat, IndexerTopk) { expect_repeatable(DSA_OP_INDEXER_TOPK, draw_indexer_topk, 300); }
TEST(Repeat, SparseAttn) { expect_repeatable(DSA_OP_SPARSE_ATTN, draw_sparse_attn, 300); }
TEST(Repeat, MergeLse) { expect_repeatable(DSA_OP_MERGE_LSE, draw_merge_lse, 600); }

// Top-k has one answer: all tiers write the same bits.
TEST(Repeat, TopkOnEveryTier) {
  const std::vector<Kernel> kernels = kernels_of(DSA_OP_TOPK);
  for (uint64_t seed = 10000; seed < 10600; ++seed) {
    const auto c = draw_topk(seed);
    if (c->d.ties == DSA_TIES_ANY || c->d.order == DSA_ORDER_ANY) continue;
    Bytes first;
    for (const Kernel& kernel : kernels) {
      if (!kernel.usable || supports(kernel.ctx.get(), c->d) != DSA_OK) continue;
      const Bytes bytes = bytes_of(*c, kernel.ctx.get());
      if (first.empty()) first = bytes;
      ASSERT_EQ(bytes, first) << kernel.name << " seed " << seed << describe(c->d);
    }
  }
}

template <class Draw>
void expect_hints_harmless(int32_t operation, Draw&& draw) {
  for (const Kernel& kernel : kernels_of(operation)) {
    if (!kernel.usable) continue;
    int hinted = 0;
    for (uint64_t seed = 20000; seed < 20600; ++seed) {
      const auto c = draw(seed);
      if (c->d.ties == DSA_TIES_ANY || c->d.order == DSA_ORDER_ANY ||
          (c->d.hint_indices.ndim == 0 && c->d.hint_bound.ndim == 0) ||
          supports(kernel.ctx.get(), c->d) != DSA_OK) {
        continue;
      }
      ++hinted;
      const Bytes with = bytes_of(*c, kernel.ctx.get());
      c->d.hint_indices = c->d.hint_bound = dsa_tensor{};
      ASSERT_EQ(bytes_of(*c, kernel.ctx.get()), with)
          << kernel.name << " seed " << seed << describe(c->d);
    }
    // A form for a few shapes may meet none of them here.
    if (kernel.complete()) {
      EXPECT_GT(hinted, 50) << kernel.name;
    }
  }
}

TEST(Repeat, HintsNeverChangeTopk) { expect_hints_harmless(DSA_OP_TOPK, draw_topk); }
TEST(Repeat, HintsNeverChangeIndexerTopk) {
  expect_hints_harmless(DSA_OP_INDEXER_TOPK, draw_indexer_topk);
}

// Splitting a batch into rows, other strides, and ranges instead of lengths or causality.
template <class Desc>
void expect_row_equal(dsa_ctx* ctx, const Desc& whole, const oracle::Row& row, int64_t batch,
                      int64_t t, const std::string& context) {
  OneRow one;
  Desc d = whole;
  one.set_range(d, row, batch, t);
  if constexpr (requires { d.w; }) {
    take_row(d.q, 2, t);
    take_row(d.w, 1, t);
    if (d.q_scale.ndim > 1) take_row(d.q_scale, 1, t);
  }
  if constexpr (requires { d.k; }) {
    if constexpr (requires { d.scores; }) take_row(d.scores, 1, t);
    take_select_row(one, d, t);
  } else {
    one.own(d.scores, 1, t);
    if (d.flags & DSA_KEEP_INVISIBLE) {
      std::memset(one.outputs.back().data(), Arena::kUntouched, one.outputs.back().size());
    }
  }
  ASSERT_EQ(run(ctx, d), DSA_OK) << context << dsa_last_error();
  if constexpr (requires { d.k; }) {
    ASSERT_TRUE(same_selection(whole, d, t)) << context << "\nrow " << t << " alone differs";
  } else {
    ASSERT_TRUE(OneRow::same(whole.scores, d.scores, 1, t))
        << context << "\nrow " << t << " alone differs";
  }
}

void expect_row_equal(dsa_ctx* ctx, const dsa_sparse_attn_desc& whole, const oracle::Row& row,
                      int64_t batch, int64_t t, const std::string& context) {
  OneRow one;
  dsa_sparse_attn_desc d = whole;
  one.set_range(d, row, batch, t);
  take_row(d.q, 2, t);
  take_row(d.q2, 2, t);
  if (d.q_scale.ndim > 1) take_row(d.q_scale, 1, t);
  for (dsa_tensor* matrix : {&d.indices, &d.indices_b, &d.scores}) take_row(*matrix, 1, t);
  for (dsa_tensor* column : {&d.counts, &d.counts_b, &d.index_base, &d.cut_score, &d.cut_index,
                             &d.row_begin_b, &d.row_end_b}) {
    take_row(*column, 0, t);
  }
  one.own(d.out, 2, t);
  one.own(d.lse, 1, t);
  one.own(d.max, 1, t);
  ASSERT_EQ(run(ctx, d), DSA_OK) << context << dsa_last_error();
  if (on_device(ctx)) {  // few rows are split, and where follows from T
    ASSERT_EQ(oracle::check_sparse_attn(d, 1.0 / 512), "") << context << "\nrow " << t << " alone";
    return;
  }
  ASSERT_TRUE(OneRow::same(whole.out, d.out, 2, t) && OneRow::same(whole.lse, d.lse, 1, t) &&
              OneRow::same(whole.max, d.max, 1, t))
      << context << "\nrow " << t << " alone differs";
}

template <class Draw, class FindRow>
void expect_rows_alone(int32_t operation, Draw&& draw, FindRow&& find_row, uint64_t seeds) {
  for (const Kernel& kernel : kernels_of(operation)) {
    if (!kernel.usable) continue;
    const double end = now() + 3;
    for (uint64_t seed = 30000; seed < 30000 + seeds && now() < end; ++seed) {
      const auto c = draw(seed);
      if (!repeatable(c->d) || supports(kernel.ctx.get(), c->d) != DSA_OK) continue;
      if constexpr (requires { c->d.order; }) {
        if (c->d.order == DSA_ORDER_ANY) continue;
      }
      bytes_of(*c, kernel.ctx.get());
      const std::string context = kernel.name + " seed " + std::to_string(seed) + describe(c->d);
      find_row(c->d, [&](const oracle::Row& row, int64_t batch, int64_t t) {
        expect_row_equal(kernel.ctx.get(), c->d, row, batch, t, context);
      });
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

template <class F>
void each_topk_row(const dsa_topk_desc& d, F&& f) {
  const int64_t rows = oracle::row_count(d.scores, 1);
  const int64_t columns = d.scores.shape[d.scores.ndim - 1];
  const int64_t batch = oracle::batch_of(d, d.slot_table.ndim ? d.slot_table.shape[0] : 0);
  const int64_t limit = d.flags & DSA_COLUMNS_FROM_BEGIN ? INT32_MAX : columns;
  for (int64_t t = 0; t < rows; ++t) {
    f(oracle::find_row(d, t, rows, batch, limit, columns), batch, t);
  }
}

template <class Desc, class F>
void each_index_row(const Desc& d, int64_t columns, F&& f) {
  const int64_t rows = oracle::row_count(d.q, 2);
  const int64_t limit = oracle::index_cache(d).keys;
  for (int64_t t = 0; t < rows; ++t) {
    f(oracle::find_row(d, t, rows, d.batch, limit, columns), d.batch, t);
  }
}

TEST(RowsAlone, Topk) {
  expect_rows_alone(
      DSA_OP_TOPK, draw_topk, [](const dsa_topk_desc& d, auto&& f) { each_topk_row(d, f); }, 500);
}

// Score bits do not depend on T, on other rows, or on how a range is given.
TEST(RowsAlone, Indexer) {
  expect_rows_alone(
      DSA_OP_INDEXER, draw_indexer,
      [](const dsa_indexer_desc& d, auto&& f) {
        each_index_row(d, d.scores.shape[d.scores.ndim - 1], f);
      },
      300);
}

template <class F>
void each_attention_row(const dsa_sparse_attn_desc& d, F&& f) {
  const int64_t rows = oracle::row_count(d.q, 2);
  const bool packed = d.key_format == DSA_FORMAT_KV_FP8_656 && d.kv.ndim == 2;
  const int64_t limit =
      oracle::make_cache(d.key_layout, d.page_size, d.kv, d.block_table, packed).keys;
  const int64_t columns = d.scores.ndim ? d.scores.shape[d.scores.ndim - 1] : -1;
  for (int64_t t = 0; t < rows; ++t) {
    f(oracle::find_row(d, t, rows, d.batch, limit, columns), d.batch, t);
  }
}

TEST(RowsAlone, SparseAttn) {
  expect_rows_alone(
      DSA_OP_SPARSE_ATTN, draw_sparse_attn,
      [](const dsa_sparse_attn_desc& d, auto&& f) { each_attention_row(d, f); }, 300);
}

TEST(RowsAlone, IndexerTopk) {
  expect_rows_alone(
      DSA_OP_INDEXER_TOPK, draw_indexer_topk,
      [](const dsa_indexer_topk_desc& d, auto&& f) { each_index_row(d, -1, f); }, 300);
}

}  // namespace

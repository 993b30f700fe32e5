// dsa_indexer_topk against dsa_indexer and dsa_topk, bit for bit, over random configurations, with
// several thread counts; and its workspace.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "dsa.h"

namespace {

struct Context {
  dsa_ctx* ctx = nullptr;
  Context(const std::string& kernels, int threads) {
    setenv("DSA_KERNEL", kernels.c_str(), 1);
    dsa_ctx_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.num_threads = threads;
    EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
    unsetenv("DSA_KERNEL");
  }
  ~Context() { dsa_ctx_destroy(ctx); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  bool usable(const std::string& kernel) const {
    dsa_kernel_info info;
    info.struct_size = sizeof info;
    for (int32_t i = 0; dsa_kernel_get(ctx, i, &info) == DSA_OK; ++i) {
      if (info.name == kernel) return info.usable != 0;
    }
    return false;
  }
};

struct Outputs {
  std::vector<int32_t> indices, slots, counts, cut_index;
  std::vector<float> values, cut_score;
  Outputs(int64_t rows, int64_t width)
      : indices(size_t(rows * width), 77),
        slots(size_t(rows * width), 77),
        counts(size_t(rows), 77),
        cut_index(size_t(rows), 77),
        values(size_t(rows * width), 77.0f),
        cut_score(size_t(rows), 77.0f) {}
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

int below(std::mt19937& rng, int n) { return int(rng() % uint32_t(n)); }

void run_random(dsa_ctx* ctx, uint32_t seed, bool amx) {
  std::mt19937 rng(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const int batch = 1 + below(rng, 3);
  const bool many = below(rng, 3) == 0;
  const int per = many ? 1 + below(rng, 120) : 1 + below(rng, 6);
  const int rows = batch * per;
  const int heads = 1 << below(rng, 5), dim = amx ? 64 : 1 + below(rng, 40);
  const bool paged = below(rng, 2) == 0;
  const int page = paged ? (below(rng, 2) ? 1 : 16) : 1;
  const int capacity = (below(rng, many ? 700 : 20000) + page - 1) / page * page + page;
  const int pages = capacity / page;
  const bool plateaus = below(rng, 2) == 0;

  const auto bf16 = [&](bool odd_values) {
    float x = std::normal_distribution<float>()(rng);
    if (plateaus) x = float(below(rng, 3) - 1);
    if (odd_values && below(rng, 4000) == 0) x = below(rng, 2) ? NAN : INFINITY;
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return uint16_t(u >> 16);
  };
  std::vector<uint16_t> q(size_t(rows * heads * dim)), k(size_t(capacity) * size_t(dim));
  std::vector<float> w(size_t(rows * heads));
  for (auto& x : q) x = bf16(false);
  for (auto& x : k) x = bf16(true);
  for (auto& x : w) x = std::normal_distribution<float>()(rng);

  dsa_indexer_topk_desc f = dsa_indexer_topk_desc_init();
  dsa_indexer_desc a = dsa_indexer_desc_init();
  dsa_topk_desc b = dsa_topk_desc_init();
  f.batch = batch;
  f.q = dsa_tensor_3d(q.data(), DSA_BF16, rows, heads, dim);
  f.w = dsa_tensor_2d(w.data(), DSA_F32, rows, heads);
  if (below(rng, 3) == 0) f.flags |= DSA_SELECT_NEG_INF;
  std::vector<int32_t> table;
  if (paged) {
    f.key_layout = DSA_LAYOUT_PAGES;
    f.keys = dsa_tensor_3d(k.data(), DSA_BF16, pages, page, dim);
    const bool holes = (f.flags & DSA_SELECT_NEG_INF) == 0;  // the two steps would select them
    for (int i = 0; i < batch * pages; ++i) {
      table.push_back(holes && below(rng, 50) == 0 ? -5 : below(rng, pages));
    }
    f.block_table = dsa_tensor_2d(table.data(), DSA_I32, batch, pages);
  } else {
    f.keys = dsa_tensor_2d(k.data(), DSA_BF16, capacity, dim);
  }

  std::vector<int32_t> begin, end, lens, base;
  for (int t = 0; t < rows; ++t) {
    begin.push_back(below(rng, capacity + 4) - 2);
    // Not past the keys: dsa_topk, which knows none, would see columns there.
    end.push_back(std::min(begin.back() + below(rng, capacity + 4) - 2, capacity));
    base.push_back(below(rng, 9) == 0 ? INT32_MAX - 5 : below(rng, 1000) - 500);
  }
  for (int r = 0; r < batch; ++r) lens.push_back(below(rng, capacity + 9));
  const int way = below(rng, 4);
  if (way == 1) {
    f.row_begin = dsa_tensor_1d(begin.data(), DSA_I32, rows);
    f.row_end = dsa_tensor_1d(end.data(), DSA_I32, rows);
    if (below(rng, 2)) f.flags |= DSA_COLUMNS_FROM_BEGIN;
  }
  if (way == 2) f.seq_lens = dsa_tensor_1d(lens.data(), DSA_I32, batch);
  if (way == 3) f.flags |= DSA_CAUSAL, f.offset = below(rng, capacity) - 3;
  std::vector<uint8_t> mask;
  if (below(rng, 4) == 0) {
    mask.resize(size_t(rows) * size_t(capacity));
    for (auto& x : mask) x = below(rng, 3) != 0;
    f.mask = dsa_tensor_2d(mask.data(), DSA_U8, rows, capacity);
  }
  if (below(rng, 2)) f.index_base = dsa_tensor_1d(base.data(), DSA_I32, rows);
  if (below(rng, 4) == 0) f.flags |= DSA_NO_RELU;
  const int sizes[] = {1, 7, 64, 300, 2048, capacity + 3};
  f.k = sizes[below(rng, 6)];
  f.order = below(rng, 2);
  std::vector<float> bound;
  std::vector<int32_t> hints;
  if (below(rng, 3) == 0) {
    for (int t = 0; t < rows; ++t) bound.push_back(std::normal_distribution<float>()(rng) * 9.0f);
    for (int t = 0; t < rows * 5; ++t) hints.push_back(int32_t(rng()) >> below(rng, 32));
    f.hint_bound = dsa_tensor_1d(bound.data(), DSA_F32, rows);
    f.hint_indices = dsa_tensor_2d(hints.data(), DSA_I32, rows, 5);
  }

  // The two steps with the same fields.
  a.batch = b.batch = f.batch;
  a.offset = b.offset = f.offset;
  a.key_layout = f.key_layout;
  a.q = f.q, a.keys = f.keys, a.w = f.w, a.block_table = f.block_table;
  a.row_begin = b.row_begin = f.row_begin;
  a.row_end = b.row_end = f.row_end;
  a.seq_lens = b.seq_lens = f.seq_lens;
  a.mask = b.mask = f.mask;
  a.flags = f.flags & ~uint64_t{DSA_SELECT_NEG_INF};
  b.flags = f.flags & ~uint64_t{DSA_NO_RELU};
  b.index_base = f.index_base;
  b.k = f.k, b.order = f.order;
  std::vector<float> scores(size_t(rows) * size_t(capacity));
  a.scores = b.scores = dsa_tensor_2d(scores.data(), DSA_F32, rows, capacity);

  const int64_t width = f.k + below(rng, 3);
  Outputs fused(rows, width), steps(rows, width);
  const bool cut_only = below(rng, 4) == 0;
  const auto attach = [&](auto& d, Outputs& out) {
    d.counts = dsa_tensor_1d(out.counts.data(), DSA_I32, rows);
    d.cut_score = dsa_tensor_1d(out.cut_score.data(), DSA_F32, rows);
    d.cut_index = dsa_tensor_1d(out.cut_index.data(), DSA_I32, rows);
    if (cut_only) return;
    d.indices = dsa_tensor_2d(out.indices.data(), DSA_I32, rows, width);
    d.values = dsa_tensor_2d(out.values.data(), DSA_F32, rows, width);
    if (paged) d.slots = dsa_tensor_2d(out.slots.data(), DSA_I32, rows, width);
  };
  attach(f, fused);
  attach(b, steps);
  if (paged && !cut_only) b.slot_table = f.block_table, b.slot_page_size = page;
  ASSERT_EQ(dsa_indexer(ctx, &a, nullptr), DSA_OK) << dsa_last_error();
  ASSERT_EQ(dsa_topk(ctx, &b, nullptr), DSA_OK) << dsa_last_error();
  uint64_t bytes = 0;
  ASSERT_EQ(dsa_workspace_size(ctx, &f, &bytes), DSA_OK) << dsa_last_error();
  std::vector<char> memory(bytes + 512, char(0x5a));  // dirty; guarded behind
  const size_t shift = (256 - reinterpret_cast<uintptr_t>(memory.data()) % 256) % 256;
  dsa_exec exec;
  memset(&exec, 0, sizeof exec);
  exec.struct_size = sizeof exec;
  exec.workspace = memory.data() + shift;
  exec.workspace_size = bytes;
  ASSERT_EQ(dsa_indexer_topk(ctx, &f, &exec), DSA_OK) << dsa_last_error();
  for (size_t i = shift + bytes; i < memory.size(); ++i) ASSERT_EQ(memory[i], char(0x5a));
  EXPECT_EQ(fused.counts, steps.counts);
  EXPECT_EQ(fused.indices, steps.indices);
  EXPECT_EQ(fused.slots, steps.slots);
  EXPECT_EQ(fused.cut_index, steps.cut_index);
  EXPECT_TRUE(same_bits(fused.values, steps.values));
  EXPECT_TRUE(same_bits(fused.cut_score, steps.cut_score));
}

class IndexerTopkTest : public testing::TestWithParam<std::string> {};

TEST_P(IndexerTopkTest, EqualsTheTwoSteps) {
  const std::string family = GetParam();
  const std::string name = "cpu.indexer_topk." + family;
  // The top-k has no AMX kernel of its own: any tier gives the same bits.
  const std::string kernels = family == "amx" ? "*" : "cpu.*." + family;
  const Context one(kernels, 1), two(kernels, 2), seven(kernels, 7);
  if (!one.usable(name)) GTEST_SKIP() << name << " is not usable here";
  dsa_ctx* const contexts[] = {one.ctx, two.ctx, seven.ctx};
  for (uint32_t seed = 0; seed < 120; ++seed) {
    run_random(contexts[seed % 3], seed, family == "amx");
    if (HasFailure()) return;
  }
}

TEST_P(IndexerTopkTest, WorkspaceIsBoundedAndMonotone) {
  const std::string name = "cpu.indexer_topk." + GetParam();
  for (int threads : {1, 2, 16, 96, 256}) {
    const Context context(name, threads);
    if (!context.usable(name)) GTEST_SKIP() << name << " is not usable here";
    const auto bytes = [&](int64_t t, int64_t s, int64_t heads, int64_t dim, int32_t k) {
      dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
      d.q = dsa_tensor_3d(nullptr, DSA_BF16, t, heads, dim);
      d.keys = dsa_tensor_2d(nullptr, DSA_BF16, s, dim);
      d.counts = dsa_tensor_1d(nullptr, DSA_I32, t);
      d.k = k;
      uint64_t n = 0;
      EXPECT_EQ(dsa_workspace_size(context.ctx, &d, &n), DSA_OK) << dsa_last_error();
      return n;
    };
    const uint64_t most = uint64_t{64} << 20;
    EXPECT_LE(bytes(8192, 131072, 64, 128, 2048), most);
    EXPECT_LE(bytes(1 << 20, 1 << 30, 128, 1024, 2048), most);
    std::mt19937 rng(5);
    for (int i = 0; i < 400; ++i) {
      int64_t n[5] = {1 + below(rng, 300), 1 + below(rng, 300000), 1 + below(rng, 128),
                      1 + below(rng, 1024), 1 + below(rng, 5000)};
      const uint64_t before = bytes(n[0], n[1], n[2], n[3], int32_t(n[4]));
      const int grow = below(rng, 5);
      n[grow] += 1 + below(rng, 70);
      if (grow == 2 || grow == 3) n[grow] = std::min<int64_t>(n[grow], 1024);
      EXPECT_LE(before, bytes(n[0], n[1], n[2], n[3], int32_t(n[4])))
          << n[0] << " " << n[1] << " " << n[2] << " " << n[3] << " " << n[4];
    }
  }
}

std::string tier_name(const testing::TestParamInfo<std::string>& info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(Tiers, IndexerTopkTest, testing::Values("scalar", "avx2", "avx512", "amx"),
                         tier_name);

}  // namespace

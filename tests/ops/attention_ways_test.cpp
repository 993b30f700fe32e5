// Ways of saying the same selection give the same bits: indices, slots through a table, the cut,
// a mask over all keys; and a split into two scopes or two parts merges to the same result.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "oracle/attention.h"
#include "support/draw_fields.h"
#include "support/every_kernel.h"

using namespace support;

namespace {

// A paged cache of two requests, scores, and the top-k of them in every form.
struct SelectedCase {
  Random random;
  Arena arena;
  int64_t rows, heads, dim, page, pages, keys;
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  dsa_topk_desc select = dsa_topk_desc_init();

  explicit SelectedCase(uint64_t seed) : random(seed), arena(random, 0.2) {
    rows = 2 * random.between(1, 3);
    heads = random.pick<int64_t>({1, 1, 4, 4, 16, 40, 64, 70});
    dim = random.pick<int64_t>({16, 24, 64, 64, 128, 512});
    page = random.pick<int64_t>({1, 3, 16});
    const int64_t per_request = random.between(1, 120 / page);
    keys = per_request * page;
    pages = per_request * 2 + 1;
    const bool bf16 = random.chance(0.5);
    const auto filled = [&](int32_t dtype, std::vector<int64_t> shape) {
      const dsa_tensor t =
          arena.input(dtype, std::move(shape), {.last_dense = true, .align_elements = 8});
      fill(t, [&] { return random.normal(); });
      return t;
    };
    d.scale = 0.3f;
    d.batch = 2;
    d.key_layout = DSA_LAYOUT_PAGES;
    d.q = filled(bf16 ? DSA_BF16 : DSA_F32, {rows, heads, dim});
    d.kv = filled(bf16 ? int32_t(DSA_BF16) : draw_key_dtype(random), {pages, page, dim});
    d.block_table = draw_table(random, arena, 2, per_request, pages, 0);
    d.row_end = arena.input(DSA_I32, {rows}, {});
    each_element(d.row_end, [&](char* at, const int64_t*) {
      store_i32(at, int32_t(random.between(0, keys)));
    });
    d.out = arena.output(DSA_F32, {rows, heads, dim});
    d.lse = arena.output(DSA_F32, {rows, heads});
    d.max = arena.output(DSA_F32, {rows, heads});
    select.batch = 2;
    select.scores = arena.input(DSA_F32, {rows, keys}, {});
    fill(select.scores, [&] { return double(random.between(0, 20)); });
    select.row_end = d.row_end;
    select.k = int32_t(random.between(1, keys + 2));
    select.block_table = d.block_table;
    select.page_size = int32_t(page);
    select.slot_page_stride = int32_t(page + random.between(0, 3));
    select.indices = arena.output(DSA_I32, {rows, select.k});
    select.slots = arena.output(DSA_I32, {rows, select.k});
    select.counts = arena.output(DSA_I32, {rows});
    select.cut_score = arena.output(DSA_F32, {rows});
    select.cut_index = arena.output(DSA_I32, {rows});
    d.k = select.k;
  }
  std::vector<unsigned char> run_on(dsa_ctx* ctx, const dsa_sparse_attn_desc& call) {
    for (const dsa_tensor* t : {&d.out, &d.lse, &d.max}) {
      each_element(*t, [&](char* at, const int64_t*) { std::memset(at, 0x5a, 4); });
    }
    EXPECT_EQ(run(ctx, call), DSA_OK) << dsa_last_error();
    std::vector<unsigned char> bytes;
    for (const dsa_tensor* t : {&d.out, &d.lse, &d.max}) {
      each_element(*t, [&](char* at, const int64_t*) { bytes.insert(bytes.end(), at, at + 4); });
    }
    return bytes;
  }
};

TEST(AttentionWays, CutSlotsAndIndicesGiveTheSameBits) {
  const Context any = make_context();
  for (const Kernel& kernel : kernels_of(DSA_OP_SPARSE_ATTN)) {
    if (!kernel.usable) continue;
    dsa_ctx* ctx = kernel.ctx.get();
    int compared = 0;
    for (uint64_t seed = 1; seed <= 300; ++seed) {
      SelectedCase s(seed);
      ASSERT_EQ(run(any.get(), s.select), DSA_OK) << dsa_last_error();
      dsa_sparse_attn_desc d = s.d;
      d.indices = s.select.indices;
      if (supports(ctx, d) == DSA_ERROR_UNSUPPORTED && !kernel.complete()) continue;
      ++compared;
      const std::string context = kernel.name + " seed " + std::to_string(seed) + describe(d);
      const auto by_indices = s.run_on(ctx, d);
      // Their number stands in counts too.
      d.counts = s.select.counts;
      ASSERT_EQ(s.run_on(ctx, d), by_indices) << context << "\ncounts";
      // Physical slots, without table or range.
      d = s.d;
      d.selection = DSA_SELECTION_SLOTS;
      d.slot_page_stride = s.select.slot_page_stride;
      d.row_end = d.block_table = dsa_tensor{};
      d.indices = s.select.slots;
      ASSERT_EQ(s.run_on(ctx, d), by_indices) << context << "\nslots";
      // Scores and eight bytes a row.
      d = s.d;
      d.selection = DSA_SELECTION_CUT;
      d.scores = s.select.scores;
      d.cut_score = s.select.cut_score;
      d.cut_index = s.select.cut_index;
      ASSERT_EQ(s.run_on(ctx, d), by_indices) << context << "\ncut";
      // Relative to each row's begin.
      d = s.d;
      std::vector<int32_t> base(size_t(s.rows)), shifted;
      for (int32_t& b : base) b = int32_t(uint32_t(s.random.bits()));
      each_element(s.select.indices, [&](const char* at, const int64_t* index) {
        int32_t key;
        std::memcpy(&key, at, 4);
        const uint32_t shift = uint32_t(base[size_t(index[0])]);
        // What stands for no key must not become one.
        shifted.push_back(int32_t((key < 0 ? 0x7fffffffu : uint32_t(key)) + shift));
      });
      d.index_base = dsa_tensor_1d(base.data(), DSA_I32, s.rows);
      d.indices = dsa_tensor_2d(shifted.data(), DSA_I32, s.rows, d.k);
      ASSERT_EQ(s.run_on(ctx, d), by_indices) << context << "\nindex_base";
      // All visible keys but those that a mask hides: the same keys in the same order.
      std::vector<uint8_t> mask(size_t(s.rows * s.keys), 0);
      each_element(s.select.indices, [&](const char* at, const int64_t* index) {
        int32_t key;
        std::memcpy(&key, at, 4);
        if (key >= 0) mask[size_t(index[0] * s.keys + key)] = 1;
      });
      d = s.d;
      d.selection = DSA_SELECTION_ALL;
      d.k = 0;
      d.mask = dsa_tensor_2d(mask.data(), DSA_U8, s.rows, s.keys);
      const auto by_mask = s.run_on(ctx, d);
      if (kernel.on_cpu()) {
        ASSERT_EQ(by_mask, by_indices) << context << "\nmask";
      } else {  // another capacity, k or the columns, may be split elsewhere
        ASSERT_EQ(oracle::check_sparse_attn(d, kernel.p_unit()), "") << context << "\nmask";
      }
    }
    EXPECT_GT(compared, 10) << kernel.name;
  }
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) most = std::fmax(most, std::fabs(double(a[i]) - b[i]));
  }
  return most;
}

// One cache cut at any key: two scopes, or two calls and a merge, give what one call gives.
TEST(AttentionWays, TwoScopesAndMergedPartsAgreeWithOneCall) {
  constexpr int64_t kRows = 3, kHeads = 4, kDim = 32, kKeys = 90;
  Random random(5);
  const auto numbers = [&](int64_t n) {
    std::vector<float> v(static_cast<size_t>(n));
    for (float& x : v) x = float(random.normal());
    return v;
  };
  std::vector<float> q = numbers(kRows * kHeads * kDim), kv = numbers(kKeys * kDim);
  std::vector<float> sink = numbers(kHeads);
  const Context merge = make_context();
  for (const Kernel& kernel : kernels_of(DSA_OP_SPARSE_ATTN)) {
    if (!kernel.usable || !kernel.complete()) continue;  // f32 inputs
    for (const int64_t cut : {0, 1, 37, 89, 90}) {
      std::vector<float> out(kRows * kHeads * kDim), lse(kRows * kHeads);
      dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
      d.selection = DSA_SELECTION_ALL;
      d.scale = 0.2f;
      d.q = dsa_tensor_3d(q.data(), DSA_F32, kRows, kHeads, kDim);
      d.kv = dsa_tensor_2d(kv.data(), DSA_F32, kKeys, kDim);
      d.sink = dsa_tensor_1d(sink.data(), DSA_F32, kHeads);
      d.out = dsa_tensor_3d(out.data(), DSA_F32, kRows, kHeads, kDim);
      d.lse = dsa_tensor_2d(lse.data(), DSA_F32, kRows, kHeads);
      ASSERT_EQ(run(kernel.ctx.get(), d), DSA_OK) << dsa_last_error();

      std::vector<float> out2(out.size()), lse2(lse.size());
      dsa_sparse_attn_desc two = d;
      two.kv = dsa_tensor_2d(kv.data(), DSA_F32, cut, kDim);
      two.kv_b = dsa_tensor_2d(kv.data() + cut * kDim, DSA_F32, kKeys - cut, kDim);
      two.selection_b = DSA_SELECTION_ALL;
      two.out.data = out2.data();
      two.lse.data = lse2.data();
      ASSERT_EQ(run(kernel.ctx.get(), two), DSA_OK) << dsa_last_error();
      EXPECT_LT(largest_difference(out, out2), 1e-5) << kernel.name << " cut " << cut;
      EXPECT_LT(largest_difference(lse, lse2), 1e-5) << kernel.name << " cut " << cut;

      std::vector<float> parts(2 * out.size()), part_lse(2 * lse.size());
      for (int i = 0; i < 2; ++i) {
        dsa_sparse_attn_desc part = d;
        part.sink = dsa_tensor{};
        part.kv = i == 0 ? two.kv : two.kv_b;
        part.out.data = parts.data() + size_t(i) * out.size();
        part.lse.data = part_lse.data() + size_t(i) * lse.size();
        ASSERT_EQ(run(kernel.ctx.get(), part), DSA_OK) << dsa_last_error();
      }
      dsa_merge_lse_desc m = dsa_merge_lse_desc_init();
      m.partial_out = dsa_tensor_4d(parts.data(), DSA_F32, 2, kRows, kHeads, kDim);
      m.partial_lse = dsa_tensor_3d(part_lse.data(), DSA_F32, 2, kRows, kHeads);
      m.sink = d.sink;
      m.out = two.out;
      m.lse = two.lse;
      ASSERT_EQ(run(merge.get(), m), DSA_OK) << dsa_last_error();
      EXPECT_LT(largest_difference(out, out2), 1e-5) << kernel.name << " merged at " << cut;
      EXPECT_LT(largest_difference(lse, lse2), 1e-5) << kernel.name << " merged at " << cut;
    }
  }
}

}  // namespace

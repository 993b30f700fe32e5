// The bits of a score depend on its query, its key and the kernel family alone: not on where the
// key lies, in which column, in what order, beside which others, or through which pages.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "support/draw_fields.h"
#include "support/every_kernel.h"

using namespace support;

namespace {

struct Sizes {
  int64_t rows, heads, dim, keys;
};

// Queries and keys of one dtype, all visible, scores dense.
struct Base {
  Random random;
  Arena arena;
  Sizes n;
  dsa_indexer_desc d = dsa_indexer_desc_init();
  std::vector<float> scores;

  Base(uint64_t seed, Sizes sizes, int32_t q_dtype, int32_t k_dtype)
      : random(seed), arena(random, 0.3), n(sizes) {
    d.q = arena.input(q_dtype, {n.rows, n.heads, n.dim}, {});
    d.keys = arena.input(k_dtype, {n.keys, n.dim}, {});
    d.w = arena.input(DSA_F32, {n.rows, n.heads}, {});
    d.k_scale = arena.input(DSA_F32, {n.keys}, {});
    fill(d.q, [&] { return random.normal(); });
    fill(d.keys, [&] { return random.normal(); });
    fill(d.w, [&] { return random.normal(); });
    fill(d.k_scale, [&] { return 0.5 + random.unit(); });
  }
  std::vector<float> run_on(dsa_ctx* ctx, const dsa_indexer_desc& base, int64_t columns) {
    std::vector<float> out(size_t(n.rows * columns) + 1, 777.0f);
    dsa_indexer_desc call = base;
    call.scores = dsa_tensor_2d(out.data(), DSA_F32, n.rows, columns);
    EXPECT_EQ(run(ctx, call), DSA_OK) << dsa_last_error();
    return out;
  }
  // A copy of a [keys, ...] tensor with key s in row place[s] of `rows` rows (or pages).
  dsa_tensor moved(const dsa_tensor& from, const std::vector<int64_t>& place,
                   std::vector<int64_t> lead) {
    std::vector<int64_t> shape = lead;
    if (from.ndim == 2) shape.push_back(from.shape[1]);
    const dsa_tensor to = arena.input(from.dtype, shape, {});
    each_element(from, [&](const char* source, const int64_t* index) {
      int64_t at_index[3] = {};
      int axis = 0;
      const int64_t p = place[size_t(index[0])];
      if (lead.size() == 2) at_index[axis++] = p / lead[1];
      at_index[axis++] = lead.size() == 2 ? p % lead[1] : p;
      if (from.ndim == 2) at_index[axis] = index[1];
      std::memcpy(at(to, at_index), source, size_t(dtype_bytes(from.dtype)));
    });
    return to;
  }
};

bool same_bits(float a, float b) { return std::memcmp(&a, &b, 4) == 0; }

void check_invariance(const Kernel& kernel, uint64_t seed) {
  Random random(seed * 31 + 7);
  const bool bf16 = random.chance(0.5);
  const Sizes n{random.between(1, 5), random.pick<int64_t>({1, 3, 8, 16, 32, 64}),
                random.pick<int64_t>({5, 16, 33, 64, 128}), random.between(1, 90)};
  Base base(seed, n, bf16 ? int32_t(DSA_BF16) : draw_key_dtype(random),
            bf16 ? int32_t(DSA_BF16) : draw_key_dtype(random));
  dsa_ctx* ctx = kernel.ctx.get();
  base.d.scores = dsa_tensor_2d(nullptr, DSA_F32, n.rows, n.keys);
  if (supports(ctx, base.d) != DSA_OK) return;
  const std::string context = kernel.name + " seed " + std::to_string(seed) + describe(base.d);
  const std::vector<float> plain = base.run_on(ctx, base.d, n.keys);
  const auto at_plain = [&](int64_t t, int64_t s) { return plain[size_t(t * n.keys + s)]; };

  // Keys in another order.
  std::vector<int64_t> place(static_cast<size_t>(n.keys));
  std::iota(place.begin(), place.end(), 0);
  random.shuffle(place);
  dsa_indexer_desc d = base.d;
  d.keys = base.moved(base.d.keys, place, {n.keys});
  d.k_scale = base.moved(base.d.k_scale, place, {n.keys});
  const std::vector<float> permuted = base.run_on(ctx, d, n.keys);
  for (int64_t t = 0; t < n.rows; ++t) {
    for (int64_t s = 0; s < n.keys; ++s) {
      ASSERT_TRUE(same_bits(at_plain(t, s), permuted[size_t(t * n.keys + place[size_t(s)])]))
          << context << "\npermuted keys, row " << t << " key " << s;
    }
  }

  // Pages of any size, cells anywhere.
  const int64_t page = random.pick<int64_t>({1, 2, 7, 64});
  const int64_t pages = (n.keys + page - 1) / page;
  std::vector<int64_t> where(static_cast<size_t>(pages + 3));
  std::iota(where.begin(), where.end(), 0);
  random.shuffle(where);
  for (int64_t s = 0; s < n.keys; ++s) {
    place[size_t(s)] = where[size_t(s / page)] * page + s % page;
  }
  d = base.d;
  d.key_layout = DSA_LAYOUT_PAGES;
  d.keys = base.moved(base.d.keys, place, {pages + 3, page});
  d.k_scale = base.moved(base.d.k_scale, place, {pages + 3, page});
  d.block_table = base.arena.input(DSA_I32, {1, pages}, {});
  each_element(d.block_table, [&](char* at, const int64_t* index) {
    store_i32(at, int32_t(where[size_t(index[1])]));
  });
  const std::vector<float> paged = base.run_on(ctx, d, n.keys);
  ASSERT_EQ(std::memcmp(paged.data(), plain.data(), plain.size() * 4), 0)
      << context << "\npages of " << page;

  // Shifted ranges, columns from the begin, a narrow matrix.
  std::vector<int32_t> begin, end;
  for (int64_t t = 0; t < n.rows; ++t) {
    begin.push_back(int32_t(random.between(0, n.keys)));
    end.push_back(int32_t(random.between(begin.back(), n.keys)));
  }
  d = base.d;
  d.row_begin = dsa_tensor_1d(begin.data(), DSA_I32, n.rows);
  d.row_end = dsa_tensor_1d(end.data(), DSA_I32, n.rows);
  d.flags = DSA_COLUMNS_FROM_BEGIN;
  const int64_t columns = random.between(1, n.keys);
  const std::vector<float> shifted = base.run_on(ctx, d, columns);
  for (int64_t t = 0; t < n.rows; ++t) {
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t s = begin[size_t(t)] + j;
      const float want = s < end[size_t(t)] ? at_plain(t, s) : -INFINITY;
      ASSERT_TRUE(same_bits(want, shifted[size_t(t * columns + j)]))
          << context << "\nrange of row " << t << " column " << j;
    }
  }

  // Scattered keys: a mask that hides most.
  std::vector<uint8_t> mask(size_t(n.rows * n.keys));
  for (uint8_t& m : mask) m = random.chance(0.2);
  d = base.d;
  d.mask = dsa_tensor_2d(mask.data(), DSA_U8, n.rows, n.keys);
  const std::vector<float> masked = base.run_on(ctx, d, n.keys);
  for (size_t i = 0; i < mask.size(); ++i) {
    ASSERT_TRUE(same_bits(mask[i] ? plain[i] : -INFINITY, masked[i])) << context << "\nmask " << i;
  }
}

TEST(ScoreBits, DependOnQueryAndKeyAlone) {
  for (const Kernel& kernel : kernels_of(DSA_OP_INDEXER)) {
    if (!kernel.usable) continue;
    const double end = now() + 5;
    for (uint64_t seed = 1; seed <= 300 && now() < end; ++seed) {
      check_invariance(kernel, seed);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace

// Every size that leaves a tail, every k, and every combination of dtypes, on every kernel.
#include <gtest/gtest.h>

#include "oracle/attention.h"
#include "oracle/indexer.h"
#include "oracle/indexer_topk.h"
#include "oracle/topk.h"
#include "support/draw_fields.h"
#include "support/every_kernel.h"

using namespace support;

namespace {

// Runs what make(arena, random, i) gives for i in [0, count) on every kernel.
template <class Desc, class Make, class Check>
void sweep(int32_t operation, int64_t count, Make&& make, Check&& check) {
  for (const Kernel& kernel : kernels_of(operation)) {
    if (!kernel.usable) continue;
    for (int64_t i = 0; i < count; ++i) {
      Random random{uint64_t(i)};
      // Guard pages behind most tensors.
      Arena arena(random, 0.6);
      const Desc d = make(arena, random, i);
      const dsa_status status = run(kernel.ctx.get(), d);
      if (status == DSA_ERROR_UNSUPPORTED && !kernel.complete()) continue;
      ASSERT_EQ(status, DSA_OK) << kernel.name << " " << i << dsa_last_error();
      ASSERT_EQ(check(d, kernel), "") << kernel.name << " " << i << describe(d);
      ASSERT_EQ(arena.check_gaps(), "") << kernel.name << " " << i << describe(d);
    }
  }
}

dsa_tensor filled(Arena& arena, Random& random, int32_t dtype, std::vector<int64_t> shape) {
  const dsa_tensor t = arena.input(dtype, std::move(shape), {});
  fill(t, [&] { return random.normal(); });
  return t;
}

TEST(Sweep, TopkEveryLengthAndK) {
  constexpr int64_t kLengths = 80;
  sweep<dsa_topk_desc>(
      DSA_OP_TOPK, kLengths * 12,
      [](Arena& arena, Random& random, int64_t i) {
        const int64_t columns = i % kLengths;
        dsa_topk_desc d = dsa_topk_desc_init();
        d.k = int32_t(1 + (i / kLengths) * 7 % (columns + 3));
        d.scores =
            arena.input(random.pick<int32_t>({DSA_F32, DSA_F16, DSA_BF16}), {2, columns}, {});
        const int64_t levels = random.pick<int64_t>({1, 3, 1000});
        fill(d.scores, [&] { return double(random.between(0, levels)); });
        d.indices = arena.output(DSA_I32, {2, d.k});
        d.values = arena.output(d.scores.dtype, {2, d.k});
        d.cut_index = arena.output(DSA_I32, {2});
        return d;
      },
      [](const dsa_topk_desc& d, const Kernel&) { return oracle::check_topk(d); });
}

// k from 1 past S on one long row of plateaus.
TEST(Sweep, TopkEveryKOfOneRow) {
  sweep<dsa_topk_desc>(
      DSA_OP_TOPK, 330,
      [](Arena& arena, Random&, int64_t i) {
        Random fixed(99);
        dsa_topk_desc d = dsa_topk_desc_init();
        d.k = int32_t(i + 1);
        d.scores = arena.input(DSA_F32, {1, 320}, {});
        fill(d.scores, [&] { return double(fixed.between(0, 12)) * 0.1; });
        d.indices = arena.output(DSA_I32, {1, d.k});
        d.cut_score = arena.output(DSA_F32, {1});
        d.cut_index = arena.output(DSA_I32, {1});
        return d;
      },
      [](const dsa_topk_desc& d, const Kernel&) { return oracle::check_topk(d); });
}

dsa_indexer_desc indexer_call(Arena& arena, Random& random, int64_t heads, int64_t dim,
                              int64_t keys, int32_t q_dtype, int32_t k_dtype, int32_t w_dtype,
                              int32_t out_dtype) {
  dsa_indexer_desc d = dsa_indexer_desc_init();
  d.q = filled(arena, random, q_dtype, {2, heads, dim});
  d.keys = filled(arena, random, k_dtype, {keys, dim});
  d.w = filled(arena, random, w_dtype, {2, heads});
  d.scores = arena.output(out_dtype, {2, keys});
  return d;
}

std::string check_scores(const dsa_indexer_desc& d, const Kernel& kernel) {
  return oracle::check_indexer(d, 0, kernel.product_unit(d));
}

TEST(Sweep, IndexerEveryTail) {
  sweep<dsa_indexer_desc>(
      DSA_OP_INDEXER, 200,
      [](Arena& arena, Random& random, int64_t i) {
        const int32_t k_dtype = i % 2 ? int32_t(DSA_BF16) : draw_key_dtype(random);
        const int32_t q_dtype = i % 2 ? int32_t(DSA_BF16) : int32_t(DSA_F32);
        return indexer_call(arena, random, 1 + i % 37, 1 + i % 71, 1 + i % 67, q_dtype, k_dtype,
                            DSA_F32, DSA_F32);
      },
      check_scores);
}

TEST(Sweep, IndexerEveryDtype) {
  sweep<dsa_indexer_desc>(
      DSA_OP_INDEXER, 4 * 4 * 3 * 2,
      [](Arena& arena, Random& random, int64_t i) {
        const int32_t types[] = {DSA_F32, DSA_F16, DSA_BF16, DSA_F8_E4M3FN};
        return indexer_call(arena, random, 5, 40, 37, types[i % 4], types[i / 4 % 4],
                            types[i / 16 % 3], i / 48 ? DSA_BF16 : DSA_F32);
      },
      check_scores);
}

TEST(Sweep, IndexerTopkEveryLength) {
  sweep<dsa_indexer_topk_desc>(
      DSA_OP_INDEXER_TOPK, 140,
      [](Arena& arena, Random& random, int64_t i) {
        dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
        const int32_t dtype = i % 2 ? DSA_BF16 : DSA_F32;
        d.k = int32_t(1 + i * 5 % 40);
        d.q = filled(arena, random, dtype, {1, 8, 32});
        d.keys = filled(arena, random, dtype, {i, 32});
        d.indices = arena.output(DSA_I32, {1, d.k});
        d.values = arena.output(DSA_F32, {1, d.k});
        d.counts = arena.output(DSA_I32, {1});
        return d;
      },
      [](const dsa_indexer_topk_desc& d, const Kernel& kernel) {
        return oracle::check_indexer_topk(d, kernel.product_unit(d));
      });
}

struct AttnTypes {
  int32_t q, kv, v, out;
};

// K and V apart, or MLA where v is 0.
dsa_sparse_attn_desc attn_call(Arena& arena, Random& random, int64_t heads, int64_t dim,
                               int64_t value_dim, int64_t entries, const AttnTypes& types) {
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  const int64_t keys = entries + 5;
  d.scale = 0.2f;
  d.k = int32_t(std::max<int64_t>(entries, 1));
  d.q = filled(arena, random, types.q, {2, heads, dim});
  d.kv = filled(arena, random, types.kv, {keys, dim});
  if (types.v != 0) d.v = filled(arena, random, types.v, {keys, value_dim});
  d.indices = arena.input(DSA_I32, {2, d.k}, {});
  each_element(d.indices, [&](char* at, const int64_t*) {
    store_i32(at, entries == 0 ? -1 : int32_t(random.between(0, keys - 1)));
  });
  d.out = arena.output(types.out, {2, heads, value_dim});
  d.lse = arena.output(DSA_F32, {2, heads});
  d.max = arena.output(DSA_F32, {2, heads});
  return d;
}

std::string check_attention(const dsa_sparse_attn_desc& d, const Kernel& kernel) {
  return oracle::check_sparse_attn(d, kernel.p_unit());
}

TEST(Sweep, AttentionEveryTail) {
  sweep<dsa_sparse_attn_desc>(
      DSA_OP_SPARSE_ATTN, 200,
      [](Arena& arena, Random& random, int64_t i) {
        const AttnTypes bf16{DSA_BF16, DSA_BF16, 0, DSA_F32};
        const AttnTypes mixed{DSA_F32, DSA_F16, DSA_F8_E4M3FN, DSA_BF16};
        const int64_t dim = 1 + i % 83;
        const int64_t value_dim = i % 2 ? std::max<int64_t>(1, dim - i % 5) : 1 + i % 59;
        return attn_call(arena, random, 1 + i % 21, dim, value_dim, i % 73, i % 2 ? bf16 : mixed);
      },
      check_attention);
}

TEST(Sweep, AttentionEveryDtype) {
  sweep<dsa_sparse_attn_desc>(
      DSA_OP_SPARSE_ATTN, 4 * 4 * 5 * 3,
      [](Arena& arena, Random& random, int64_t i) {
        const int32_t types[] = {DSA_F32, DSA_F16, DSA_BF16, DSA_F8_E4M3FN, 0};
        return attn_call(arena, random, 5, 40, 33, 30,
                         {types[i % 4], types[i / 4 % 4], types[i / 16 % 5], types[i / 80]});
      },
      check_attention);
}

}  // namespace

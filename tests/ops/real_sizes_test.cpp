// The models' own head counts and dims over contexts of thousands of keys, on every kernel with one
// and with four threads: what small calls do not reach (pieces of a row, chunks of keys, lanes).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "oracle/attention.h"
#include "oracle/indexer.h"
#include "oracle/indexer_topk.h"
#include "oracle/topk.h"
#include "support/draw_fields.h"
#include "support/every_kernel.h"

using namespace support;

namespace {

struct Call {
  Random random{17};
  Arena arena{random, 0.5};

  dsa_tensor input(int32_t dtype, std::vector<int64_t> shape, double deviation) {
    const dsa_tensor t =
        arena.input(dtype, std::move(shape), {.last_dense = true, .align_elements = 8});
    fill(t, [&] { return random.normal() * deviation; });
    return t;
  }
  // Different keys for each row, ascending, some more than once.
  dsa_tensor selection(int64_t rows, int64_t k, int64_t keys) {
    const dsa_tensor t = arena.input(DSA_I32, {rows, k}, {.last_dense = true});
    each_element(t, [&](char* at, const int64_t* index) {
      store_i32(at, int32_t(index[1] * keys / k + random.between(0, keys / k - 1)));
    });
    return t;
  }
};

// Runs the call on every kernel; the second number of threads must give the same bits.
template <class Desc, class Check>
void judge(int32_t operation, Call& call, const Desc& d, Check&& check) {
  for (const Kernel& kernel : kernels_of(operation)) {
    if (!kernel.usable || supports(kernel.ctx.get(), d) != DSA_OK) continue;
    call.arena.reset_outputs();
    ASSERT_EQ(run(kernel.ctx.get(), d), DSA_OK) << kernel.name << dsa_last_error();
    ASSERT_EQ(check(kernel), "") << kernel.name << describe(d);
    ASSERT_EQ(call.arena.check_gaps(), "") << kernel.name << describe(d);
    const std::vector<unsigned char> one = call.arena.output_bytes();
    const Context four = make_context(kernel.name, 4);
    call.arena.reset_outputs();
    ASSERT_EQ(run(four.get(), d), DSA_OK) << kernel.name << dsa_last_error();
    ASSERT_EQ(call.arena.output_bytes(), one) << kernel.name << ": 4 threads" << describe(d);
  }
}

void judge_attention(Call& call, dsa_sparse_attn_desc& d, int64_t rows, int64_t heads,
                     int64_t value_dim) {
  d.out = call.arena.output(DSA_BF16, {rows, heads, value_dim});
  d.lse = call.arena.output(DSA_F32, {rows, heads});
  judge(DSA_OP_SPARSE_ATTN, call, d,
        [&](const Kernel& kernel) { return oracle::check_sparse_attn(d, kernel.p_unit()); });
}

// DeepSeek-V3.2 on one of eight GPUs' share of heads: 576 / 512, k 2048.
TEST(RealSizes, AttentionDeepSeekV32) {
  for (const int64_t heads : {16, 128}) {
    Call call;
    dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
    const int64_t keys = heads == 16 ? 5000 : 700, k = heads == 16 ? 2048 : 300;
    const int64_t rows = heads == 16 ? 1 : 2;
    d.scale = 0.0723f;
    d.k = int32_t(k);
    d.q = call.input(DSA_BF16, {rows, heads, 576}, 0.3);
    d.kv = call.input(DSA_BF16, {keys, 576}, 1);
    d.indices = call.selection(rows, k, keys);
    judge_attention(call, d, rows, heads, 512);
  }
}

// The same cache packed, in pages of 64.
TEST(RealSizes, AttentionPackedPages) {
  for (const int64_t heads : {16, 128}) {
    Call call;
    dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
    constexpr int64_t kPages = 20, kRows = 2;
    const int64_t selected = heads == 16 ? 512 : 300;
    d.scale = 0.0723f;
    d.k = int32_t(selected);
    d.key_layout = DSA_LAYOUT_PAGES;
    d.key_format = DSA_FORMAT_KV_FP8_656;
    d.q = call.input(DSA_BF16, {kRows, heads, 576}, 0.3);
    d.kv = call.arena.input(DSA_U8, {kPages, 64, 656}, {.last_dense = true, .align_elements = 16});
    dsa_tensor tokens = d.kv;
    tokens.shape[2] = 1;
    each_element(tokens, [&](char* token, const int64_t*) {
      for (int i = 0; i < 512; ++i) store(token + i, DSA_F8_E4M3FN, call.random.normal() * 8);
      for (int i = 0; i < 4; ++i) {
        store(token + 512 + 4 * i, DSA_F32, 0.1 + 0.1 * call.random.unit());
      }
      for (int i = 0; i < 64; ++i) store(token + 528 + 2 * i, DSA_BF16, call.random.normal());
    });
    d.block_table = draw_table(call.random, call.arena, 1, kPages, kPages, 0);
    d.indices = call.selection(kRows, selected, kPages * 64);
    judge_attention(call, d, kRows, heads, 512);
  }
}

// DeepSeek-V4: compressed keys and the window in one softmax, a sink a head.
TEST(RealSizes, AttentionTwoScopes) {
  Call call;
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  constexpr int64_t kRows = 4, kHeads = 64, kKeys = 900, kWindow = 300;
  d.scale = 0.0442f;
  d.k = 256;
  d.q = call.input(DSA_BF16, {kRows, kHeads, 512}, 0.3);
  d.kv = call.input(DSA_BF16, {kKeys, 512}, 1);
  d.indices = call.selection(kRows, 256, kKeys);
  d.sink = call.input(DSA_F32, {kHeads}, 2);
  d.selection_b = DSA_SELECTION_ALL;
  d.kv_b = call.input(DSA_BF16, {kWindow, 512}, 1);
  d.row_begin_b = row_integers(call.random, call.arena, {.rows = kRows}, 100, 172, 0);
  d.row_end_b = row_integers(call.random, call.arena, {.rows = kRows}, 228, 300, 0);
  judge_attention(call, d, kRows, kHeads, 512);
}

// Dense, K and V apart, grouped heads.
TEST(RealSizes, AttentionAllKeys) {
  Call call;
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  constexpr int64_t kRows = 3, kHeads = 16, kKeys = 2500, kKvHeads = 2;
  d.scale = 0.0884f;
  d.selection = DSA_SELECTION_ALL;
  d.flags = DSA_CAUSAL;
  d.offset = kKeys - kRows;
  d.q = call.input(DSA_F32, {kRows, kHeads, 128}, 1);
  d.kv = call.input(DSA_F16, {kKeys, kKvHeads, 128}, 1);
  d.v = call.input(DSA_F16, {kKeys, kKvHeads, 128}, 1);
  judge_attention(call, d, kRows, kHeads, 128);
}

dsa_indexer_desc index_call(Call& call, int64_t rows, int64_t keys, int64_t heads, int32_t dtype) {
  dsa_indexer_desc d = dsa_indexer_desc_init();
  d.q = call.input(dtype, {rows, heads, 128}, 1);
  d.keys = call.input(dtype, {keys, 128}, 1);
  d.w = call.input(DSA_F32, {rows, heads}, 0.01);
  d.flags = DSA_CAUSAL;
  d.offset = keys - rows - 3;
  d.scores = call.arena.output(DSA_F32, {rows, keys});
  return d;
}

TEST(RealSizes, Indexer) {
  struct {
    int64_t rows, keys, heads;
    int32_t dtype;
  } const cases[] = {{3, 1500, 64, DSA_BF16}, {70, 130, 32, DSA_F8_E4M3FN}, {1, 6000, 16, DSA_F32}};
  for (const auto& n : cases) {
    Call call;
    const dsa_indexer_desc d = index_call(call, n.rows, n.keys, n.heads, n.dtype);
    judge(DSA_OP_INDEXER, call, d, [&](const Kernel& kernel) {
      return oracle::check_indexer(d, 0, kernel.product_unit(d));
    });
  }
}

// Long contexts: the fused call works in chunks, and gives what the two steps give.
TEST(RealSizes, IndexerTopk) {
  for (const int64_t rows : {int64_t{2}, int64_t{130}}) {
    Call call;
    const int64_t keys = rows == 2 ? 20000 : 1200, k = rows == 2 ? 2048 : 512;
    dsa_indexer_desc index = index_call(call, rows, keys, 16, DSA_BF16);
    std::vector<float> scores(size_t(rows * keys));  // of the two steps
    index.scores = dsa_tensor_2d(scores.data(), DSA_F32, rows, keys);
    dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
    d.k = int32_t(k);
    d.flags = index.flags;
    d.offset = index.offset;
    d.q = index.q;
    d.keys = index.keys;
    d.w = index.w;
    d.indices = call.arena.output(DSA_I32, {rows, k});
    d.values = call.arena.output(DSA_F32, {rows, k});
    d.counts = call.arena.output(DSA_I32, {rows});
    d.cut_score = call.arena.output(DSA_F32, {rows});
    d.cut_index = call.arena.output(DSA_I32, {rows});
    judge(DSA_OP_INDEXER_TOPK, call, d, [&](const Kernel& kernel) {
      const Context family =
          make_context((kernel.on_cpu() ? "cpu.indexer." : "cuda.indexer.") + kernel.family);
      EXPECT_EQ(run(family.get(), index), DSA_OK) << dsa_last_error();
      dsa_topk_desc select = dsa_topk_desc_init();
      select.k = d.k;
      select.flags = d.flags;
      select.offset = d.offset;
      select.scores = index.scores;
      select.indices = d.indices;
      select.values = d.values;
      select.counts = d.counts;
      select.cut_score = d.cut_score;
      select.cut_index = d.cut_index;
      return oracle::check_topk(select);
    });
  }
}

// Rows of 100000 scores of each kind that makes a selection hard.
TEST(RealSizes, Topk) {
  constexpr int64_t kRows = 7, kColumns = 100000;
  for (const int32_t dtype : {DSA_F32, DSA_BF16}) {
    for (const int32_t k : {1, 512, 2048, 60000}) {
      Call call;
      dsa_topk_desc d = dsa_topk_desc_init();
      d.k = k;
      d.scores = call.arena.input(dtype, {kRows, kColumns}, {});
      each_element(d.scores, [&](char* at, const int64_t* index) {
        const double s = double(index[1]);
        const double levels[kRows] = {call.random.normal(),
                                      1,
                                      s,
                                      -s,
                                      1 + double(call.random.between(0, 3)) * 0x1p-23,
                                      std::fmax(0, call.random.normal() - 2),
                                      std::ldexp(call.random.unit(), int(s) % 120 - 60)};
        store(at, dtype, levels[index[0]]);
      });
      d.indices = call.arena.output(DSA_I32, {kRows, k});
      d.values = call.arena.output(dtype, {kRows, k});
      d.cut_index = call.arena.output(DSA_I32, {kRows});
      judge(DSA_OP_TOPK, call, d, [&](const Kernel&) { return oracle::check_topk(d); });
    }
  }
}

}  // namespace

/* vLLM, DeepSeek-V4: every 4 tokens are one compressed key with its index key, in pages; the last
 * kWindow tokens stand uncompressed in pages of another cache. One softmax over the selected
 * compressed keys and the window, with a sink for each head. */
#include "client.h"

enum {
  kRequests = 2,
  kRatio = 4,
  kTokensMax = 64,
  kCompressed = kTokensMax / kRatio,
  kWindow = 12
};
enum { kIndexHeads = 4, kIndexDim = 64, kHeads = 8, kDim = 128, kTopk = 5 };
enum { kPage = 4, kPages = 9, kWindowPage = 16, kWindowPages = 8 };

static uint16_t index_cache[kPages][kPage][kIndexDim], compressed[kPages][kPage][kDim];
static uint16_t window[kWindowPages][kWindowPage][kDim];
static int32_t table[kRequests][4] = {{8, 2, 5, 0}, {1, 7, 3, 6}};
static int32_t window_table[kRequests][4] = {{6, 0, 3, 1}, {7, 2, 5, 4}};
static int32_t seq_lens[kRequests] = {53, 6};
static float index_q[kRequests][kIndexHeads][kIndexDim], index_w[kRequests][kIndexHeads];
static uint16_t query[kRequests][kHeads][kDim], out[kRequests][kHeads][kDim];
static float sink[kHeads], lse[kRequests][kHeads];
static int32_t indices[kRequests][kTopk];

int main(void) {
  const double scale = 0.09;
  int32_t window_begin[kRequests], window_end[kRequests];
  dsa_ctx *ctx;
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int r, h, i, s;
  for (i = 0; i < kPages * kPage * kIndexDim; ++i) (&index_cache[0][0][0])[i] = to_bf16(noise());
  for (i = 0; i < kPages * kPage * kDim; ++i) (&compressed[0][0][0])[i] = to_bf16(noise());
  for (i = 0; i < kWindowPages * kWindowPage * kDim; ++i) (&window[0][0][0])[i] = to_bf16(noise());
  for (i = 0; i < kRequests * kIndexHeads * kIndexDim; ++i) (&index_q[0][0][0])[i] = (float)noise();
  for (i = 0; i < kRequests * kIndexHeads; ++i) (&index_w[0][0])[i] = (float)noise();
  for (i = 0; i < kRequests * kHeads * kDim; ++i) (&query[0][0][0])[i] = to_bf16(noise());
  for (h = 0; h < kHeads; ++h) sink[h] = (float)noise();
  for (r = 0; r < kRequests; ++r) {
    window_end[r] = seq_lens[r];
    window_begin[r] = seq_lens[r] > kWindow ? seq_lens[r] - kWindow : 0;
  }
  CALL(dsa_ctx_create(NULL, &ctx));
  select.key_layout = DSA_LAYOUT_PAGES;
  select.ratio = kRatio;
  select.k = kTopk;
  select.q = dsa_tensor_3d(index_q, DSA_F32, kRequests, kIndexHeads, kIndexDim);
  select.keys = dsa_tensor_3d(index_cache, DSA_BF16, kPages, kPage, kIndexDim);
  select.w = dsa_tensor_2d(index_w, DSA_F32, kRequests, kIndexHeads);
  select.block_table = dsa_tensor_2d(table, DSA_I32, kRequests, 4);
  select.seq_lens = dsa_tensor_1d(seq_lens, DSA_I32, kRequests);
  select.indices = dsa_tensor_2d(indices, DSA_I32, kRequests, kTopk);
  CALL(dsa_indexer_topk(ctx, &select, NULL));
  d.key_layout = DSA_LAYOUT_PAGES;
  d.ratio = kRatio;
  d.k = kTopk;
  d.scale = (float)scale;
  d.q = dsa_tensor_3d(query, DSA_BF16, kRequests, kHeads, kDim);
  d.kv = dsa_tensor_3d(compressed, DSA_BF16, kPages, kPage, kDim);
  d.block_table = select.block_table;
  d.seq_lens = select.seq_lens;
  d.indices = select.indices;
  d.key_layout_b = DSA_LAYOUT_PAGES;
  d.selection_b = DSA_SELECTION_ALL;
  d.kv_b = dsa_tensor_3d(window, DSA_BF16, kWindowPages, kWindowPage, kDim);
  d.block_table_b = dsa_tensor_2d(window_table, DSA_I32, kRequests, 4);
  d.row_begin_b = dsa_tensor_1d(window_begin, DSA_I32, kRequests);
  d.row_end_b = dsa_tensor_1d(window_end, DSA_I32, kRequests);
  d.sink = dsa_tensor_1d(sink, DSA_F32, kHeads);
  d.out = dsa_tensor_3d(out, DSA_BF16, kRequests, kHeads, kDim);
  d.lse = dsa_tensor_2d(lse, DSA_F32, kRequests, kHeads);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (r = 0; r < kRequests; ++r) {
    double q[kIndexHeads * kIndexDim], w[kIndexHeads], key[kIndexDim], score[kCompressed];
    double(*kv)[kDim] = zeroed(kTopk + kWindow, sizeof *kv); /* what one softmax runs over */
    char visible[kCompressed];
    int want[kTopk], order[kTopk + kWindow], n, all;
    for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = (&index_q[r][0][0])[i];
    for (h = 0; h < kIndexHeads; ++h) w[h] = index_w[r][h];
    for (s = 0; s < kCompressed; ++s) {
      for (i = 0; i < kIndexDim; ++i)
        key[i] = bf16_value(index_cache[table[r][s / kPage]][s % kPage][i]);
      score[s] = index_score(q, w, kIndexHeads, kIndexDim, key, 1);
      visible[s] = s < seq_lens[r] / kRatio;
    }
    n = select_keys(score, visible, kCompressed, kTopk, want);
    CHECK(n == (r == 0 ? kTopk : 1));
    for (i = 0; i < kTopk; ++i) CHECK(indices[r][i] == (i < n ? want[i] : -1));
    all = n;
    for (s = 0; s < n; ++s) {
      const uint16_t *row = compressed[table[r][want[s] / kPage]][want[s] % kPage];
      for (i = 0; i < kDim; ++i) kv[s][i] = bf16_value(row[i]);
    }
    for (s = window_begin[r]; s < window_end[r]; ++s, ++all) {
      const uint16_t *row = window[window_table[r][s / kWindowPage]][s % kWindowPage];
      for (i = 0; i < kDim; ++i) kv[all][i] = bf16_value(row[i]);
    }
    for (s = 0; s < all; ++s) order[s] = s;
    for (h = 0; h < kHeads; ++h) {
      double head[kDim], result[kDim], want_lse;
      for (i = 0; i < kDim; ++i) head[i] = bf16_value(query[r][h][i]);
      want_lse = attend(head, kDim, &kv[0][0], kDim, &kv[0][0], kDim, kDim, order, all, scale,
                        sink[h], result);
      CHECK(near(lse[r][h], want_lse, 1e-3));
      for (i = 0; i < kDim; ++i) CHECK(near(bf16_value(out[r][h][i]), result[i], 0.01));
    }
    free(kv);
  }
  dsa_ctx_destroy(ctx);
  return 0;
}

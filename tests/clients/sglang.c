/* SGLang: req_to_token [pool, longest] is a page-size-1 table whose rows are pool indices, so a
 * batch names them in row_request and copies nothing. Two-step form: scores in a matrix, forced
 * tokens get +inf there, then the top-k as token locations, which index the KV pool. */
#include "client.h"

enum { kPool = 6, kLongest = 30, kTokens = 100, kRows = 3, kIndexHeads = 4, kIndexDim = 64 };
enum { kHeads = 8, kLatent = 64, kDim = 80, kTopk = 6, kForced = 2 };

static int32_t req_to_token[kPool][kLongest];
static int32_t pool_index[kRows] = {4, 0, 3};
static int32_t lengths[kRows] = {30, 4, 17};
static uint16_t index_keys[kTokens][1][kIndexDim], kv[kTokens][1][kDim];
static uint16_t index_q[kRows][kIndexHeads][kIndexDim], query[kRows][kHeads][kDim];
static float index_w[kRows][kIndexHeads], scores[kRows][kLongest];
static int32_t offsets[kRows] = {1000, 2000, 3000}, page_indices[kRows][kTopk];
static int32_t locations[kRows][kTopk];
static uint16_t out[kRows][kHeads][kLatent];

int main(void) {
  const double scale = 0.15;
  dsa_ctx *ctx;
  dsa_indexer_desc score = dsa_indexer_desc_init();
  dsa_topk_desc top = dsa_topk_desc_init();
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int t, h, i, s;
  for (i = 0; i < kPool * kLongest; ++i) (&req_to_token[0][0])[i] = (i * 37 + 11) % kTokens;
  for (i = 0; i < kTokens * kIndexDim; ++i) (&index_keys[0][0][0])[i] = to_bf16(noise());
  for (i = 0; i < kTokens * kDim; ++i) (&kv[0][0][0])[i] = to_bf16(noise());
  for (i = 0; i < kRows * kIndexHeads * kIndexDim; ++i) (&index_q[0][0][0])[i] = to_bf16(noise());
  for (i = 0; i < kRows * kIndexHeads; ++i) (&index_w[0][0])[i] = (float)noise();
  for (i = 0; i < kRows * kHeads * kDim; ++i) (&query[0][0][0])[i] = to_bf16(noise());
  CALL(dsa_ctx_create(NULL, &ctx));
  score.key_layout = DSA_LAYOUT_PAGES;
  score.q = dsa_tensor_3d(index_q, DSA_BF16, kRows, kIndexHeads, kIndexDim);
  score.keys = dsa_tensor_3d(index_keys, DSA_BF16, kTokens, 1, kIndexDim);
  score.w = dsa_tensor_2d(index_w, DSA_F32, kRows, kIndexHeads);
  score.block_table = dsa_tensor_2d(req_to_token, DSA_I32, kPool, kLongest);
  score.row_request = dsa_tensor_1d(pool_index, DSA_I32, kRows);
  score.row_end = dsa_tensor_1d(lengths, DSA_I32, kRows);
  score.scores = dsa_tensor_2d(scores, DSA_F32, kRows, kLongest);
  CALL(dsa_indexer(ctx, &score, NULL));
  for (t = 0; t < kRows; ++t) { /* the first token and the last are always taken */
    scores[t][0] = scores[t][lengths[t] - 1] = INFINITY;
  }
  top.k = kTopk;
  top.page_size = 1;
  top.scores = score.scores;
  top.block_table = score.block_table;
  top.row_request = score.row_request;
  top.row_end = score.row_end;
  top.index_base = dsa_tensor_1d(offsets, DSA_I32, kRows);
  top.indices = dsa_tensor_2d(page_indices, DSA_I32, kRows, kTopk);
  top.slots = dsa_tensor_2d(locations, DSA_I32, kRows, kTopk);
  CALL(dsa_topk(ctx, &top, NULL));
  d.key_layout = DSA_LAYOUT_PAGES;
  d.selection = DSA_SELECTION_SLOTS;
  d.k = kTopk;
  d.scale = (float)scale;
  d.q = dsa_tensor_3d(query, DSA_BF16, kRows, kHeads, kDim);
  d.kv = dsa_tensor_3d(kv, DSA_BF16, kTokens, 1, kDim);
  d.indices = top.slots;
  d.out = dsa_tensor_3d(out, DSA_BF16, kRows, kHeads, kLatent);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (t = 0; t < kRows; ++t) {
    double q[kIndexHeads * kIndexDim], w[kIndexHeads], key[kIndexDim], want[kLongest];
    char visible[kLongest];
    int tokens[kTopk], n;
    for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = bf16_value((&index_q[t][0][0])[i]);
    for (h = 0; h < kIndexHeads; ++h) w[h] = index_w[t][h];
    for (s = 0; s < kLongest; ++s) {
      const int token = req_to_token[pool_index[t]][s];
      for (i = 0; i < kIndexDim; ++i) key[i] = bf16_value(index_keys[token][0][i]);
      want[s] = index_score(q, w, kIndexHeads, kIndexDim, key, 1);
      if (s == 0 || s == lengths[t] - 1) want[s] = INFINITY;
      visible[s] = s < lengths[t];
    }
    n = select_keys(want, visible, kLongest, kTopk, tokens);
    for (i = 0; i < kTopk; ++i) {
      CHECK(page_indices[t][i] == (i < n ? tokens[i] + offsets[t] : -1));
      if (i < n) tokens[i] = req_to_token[pool_index[t]][tokens[i]];
      CHECK(locations[t][i] == (i < n ? tokens[i] : -1));
    }
    for (h = 0; h < kHeads; ++h) {
      double head[kDim], all[kTokens][kDim], result[kLatent];
      for (i = 0; i < kDim; ++i) head[i] = bf16_value(query[t][h][i]);
      for (i = 0; i < kTokens * kDim; ++i) (&all[0][0])[i] = bf16_value((&kv[0][0][0])[i]);
      attend(head, kDim, &all[0][0], kDim, &all[0][0], kDim, kLatent, tokens, n, scale, -INFINITY,
             result);
      for (i = 0; i < kLatent; ++i) CHECK(near(bf16_value(out[t][h][i]), result[i], 0.01));
    }
  }
  dsa_ctx_destroy(ctx);
  return 0;
}

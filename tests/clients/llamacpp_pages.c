/* llama.cpp, the better form: the unified cache is pages of one cell, a table row a sequence lists
 * its cells by position (a shared prefix stands in both rows), each token's sequence and position
 * give its range. No score buffer, no masks. */
#include "client.h"

enum { kSequences = 2, kCells = 50, kLongest = 24, kTokens = 4, kPrefix = 10 };
enum { kIndexHeads = 4, kIndexDim = 32, kHeads = 8, kDim = 64, kValue = 48, kTopk = 8 };

static uint16_t index_keys[kCells][kIndexDim], k_cache[kCells][kDim];
static float index_q[kTokens][kIndexHeads][kIndexDim], index_w[kTokens][kIndexHeads];
static float query[kTokens][kHeads][kDim], out[kTokens][kHeads][kValue];
static int32_t cells[kSequences][kLongest], indices[kTokens][kTopk];
static int32_t sequence[kTokens] = {0, 1, 1, 0};
static int32_t visible_end[kTokens] = {20, 3, 24, 19}; /* position + 1 */

int main(void) {
  const double scale = 0.2;
  dsa_ctx *ctx;
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc attn = dsa_sparse_attn_desc_init();
  int t, h, i, s;
  for (i = 0; i < kCells * kIndexDim; ++i) (&index_keys[0][0])[i] = to_f16(noise());
  for (i = 0; i < kCells * kDim; ++i) (&k_cache[0][0])[i] = to_f16(noise());
  for (i = 0; i < kTokens * kIndexHeads * kIndexDim; ++i) (&index_q[0][0][0])[i] = (float)noise();
  for (i = 0; i < kTokens * kIndexHeads; ++i) (&index_w[0][0])[i] = (float)noise();
  for (i = 0; i < kTokens * kHeads * kDim; ++i) (&query[0][0][0])[i] = (float)noise();
  for (s = 0; s < kLongest; ++s) {
    cells[0][s] = s < 20 ? (s * 7 + 3) % kCells : -1;
    cells[1][s] = s < kPrefix ? cells[0][s] : (s * 11 + 5) % kCells;
  }
  CALL(dsa_ctx_create(NULL, &ctx));
  select.key_layout = DSA_LAYOUT_PAGES;
  select.k = kTopk;
  select.q = dsa_tensor_3d(index_q, DSA_F32, kTokens, kIndexHeads, kIndexDim);
  select.keys = dsa_tensor_3d(index_keys, DSA_F16, kCells, 1, kIndexDim);
  select.w = dsa_tensor_2d(index_w, DSA_F32, kTokens, kIndexHeads);
  select.block_table = dsa_tensor_2d(cells, DSA_I32, kSequences, kLongest);
  select.row_request = dsa_tensor_1d(sequence, DSA_I32, kTokens);
  select.row_end = dsa_tensor_1d(visible_end, DSA_I32, kTokens);
  select.indices = dsa_tensor_2d(indices, DSA_I32, kTokens, kTopk);
  CALL(dsa_indexer_topk(ctx, &select, NULL));
  attn.key_layout = DSA_LAYOUT_PAGES;
  attn.k = kTopk;
  attn.scale = (float)scale;
  attn.q = dsa_tensor_3d(query, DSA_F32, kTokens, kHeads, kDim);
  attn.kv = dsa_tensor_3d(k_cache, DSA_F16, kCells, 1, kDim);
  attn.block_table = select.block_table;
  attn.row_request = select.row_request;
  attn.row_end = select.row_end;
  attn.indices = select.indices;
  attn.out = dsa_tensor_3d(out, DSA_F32, kTokens, kHeads, kValue);
  CALL(dsa_sparse_attn(ctx, &attn, NULL));
  for (t = 0; t < kTokens; ++t) {
    double q[kIndexHeads * kIndexDim], w[kIndexHeads], key[kIndexDim], score[kLongest];
    char visible[kLongest];
    int want[kTopk], n;
    for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = (&index_q[t][0][0])[i];
    for (h = 0; h < kIndexHeads; ++h) w[h] = index_w[t][h];
    for (s = 0; s < kLongest; ++s) {
      const int cell = cells[sequence[t]][s];
      visible[s] = s < visible_end[t] && cell >= 0;
      for (i = 0; i < kIndexDim && cell >= 0; ++i) key[i] = f16_value(index_keys[cell][i]);
      score[s] = cell >= 0 ? index_score(q, w, kIndexHeads, kIndexDim, key, 1) : 0;
    }
    n = select_keys(score, visible, kLongest, kTopk, want);
    for (i = 0; i < kTopk; ++i) CHECK(indices[t][i] == (i < n ? want[i] : -1));
    for (i = 0; i < n; ++i) want[i] = cells[sequence[t]][want[i]];
    for (h = 0; h < kHeads; ++h) {
      double head[kDim], kv[kCells][kDim], result[kValue];
      for (i = 0; i < kDim; ++i) head[i] = query[t][h][i];
      for (i = 0; i < kCells * kDim; ++i) (&kv[0][0])[i] = f16_value((&k_cache[0][0])[i]);
      attend(head, kDim, &kv[0][0], kDim, &kv[0][0], kDim, kValue, want, n, scale, -INFINITY,
             result);
      for (i = 0; i < kValue; ++i) CHECK(near(out[t][h][i], result[i], 1e-4));
    }
  }
  dsa_ctx_destroy(ctx);
  return 0;
}

/* transformers 5.24, pooled indexers: Qwen4 QSA (no weights, K and V apart with fewer heads than q,
 * head-major) and GLM-5.3-Flash (weights, one latent row that is K and V). One index key stands for
 * kPool tokens, counted from the first that is not padding; the tokens after a row's last complete
 * pool are always read. */
#include "client.h"

enum { kBatch = 2, kSeq = 3, kCapacity = 32, kUsed = 27, kPool = 4, kPools = kCapacity / kPool };
enum { kIndexHeads = 4, kIndexDim = 32, kBudget = 12, kTopk = kBudget / kPool };
enum { kHeads = 8, kKvHeads = 2, kDim = 24, kLatent = 64, kRows = kBatch * kSeq };

static const int first_token[kBatch] = {5, 0}; /* left padding */
static uint16_t index_keys[kBatch][kPools][kIndexDim];
static uint16_t index_q[kBatch][kSeq][kIndexHeads][kIndexDim];
static float index_w[kBatch][kSeq][kIndexHeads];
static uint16_t keys[kBatch][kKvHeads][kCapacity][kDim], values[kBatch][kKvHeads][kCapacity][kDim];
static uint16_t latent[kBatch][kCapacity][kLatent];
static uint16_t query[kBatch][kHeads][kSeq][kDim], q_latent[kBatch][kSeq][kHeads][kLatent];
static int32_t pool_end[kRows], row_begin[kRows], row_end[kRows], indices[kBatch][kSeq][kTopk];
static float out[kBatch][kSeq][kHeads][kDim], latent_out[kBatch][kSeq][kHeads][kLatent];

static void fill(uint16_t *data, size_t n) {
  size_t i;
  for (i = 0; i < n; ++i) data[i] = to_bf16(noise());
}

/* [B, H, T, kDim] seen as [B, T, H, kDim]. */
static dsa_tensor head_major(void *data, int64_t heads, int64_t tokens) {
  dsa_tensor t = dsa_tensor_4d(data, DSA_BF16, kBatch, tokens, heads, kDim);
  t.stride[0] = heads * tokens * kDim;
  t.stride[1] = kDim;
  t.stride[2] = tokens * kDim;
  return t;
}

/* Selects with or without weights; tokens[b][s] gets what each row attends to. */
static void select_pools(dsa_ctx *ctx, int weighted, int tokens[kRows][kCapacity], int *counts) {
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  int row, h, i, p;
  d.key_layout = DSA_LAYOUT_BATCH;
  d.k = kTopk;
  d.q = dsa_tensor_4d(index_q, DSA_BF16, kBatch, kSeq, kIndexHeads, kIndexDim);
  d.keys = dsa_tensor_3d(index_keys, DSA_BF16, kBatch, kPools, kIndexDim);
  if (weighted) d.w = dsa_tensor_3d(index_w, DSA_F32, kBatch, kSeq, kIndexHeads);
  d.row_end = dsa_tensor_1d(pool_end, DSA_I32, kRows); /* complete pools alone */
  d.indices = dsa_tensor_3d(indices, DSA_I32, kBatch, kSeq, kTopk);
  CALL(dsa_indexer_topk(ctx, &d, NULL));
  for (row = 0; row < kRows; ++row) {
    const int b = row / kSeq, s = row % kSeq;
    double q[kIndexHeads * kIndexDim], w[kIndexHeads], key[kIndexDim], score[kPools];
    char visible[kPools];
    int want[kTopk], n, t;
    for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = bf16_value((&index_q[b][s][0][0])[i]);
    for (h = 0; h < kIndexHeads; ++h) w[h] = weighted ? index_w[b][s][h] : 1;
    for (p = 0; p < kPools; ++p) {
      for (i = 0; i < kIndexDim; ++i) key[i] = bf16_value(index_keys[b][p][i]);
      score[p] = index_score(q, w, kIndexHeads, kIndexDim, key, 1);
      visible[p] = p < pool_end[row];
    }
    n = select_keys(score, visible, kPools, kTopk, want);
    CHECK(n == kTopk);
    counts[row] = 0;
    for (i = 0; i < n; ++i) {
      CHECK(indices[b][s][i] == want[i]);
      for (t = 0; t < kPool; ++t) tokens[row][counts[row]++] = row_begin[row] + want[i] * kPool + t;
    }
    for (t = row_begin[row] + pool_end[row] * kPool; t < row_end[row]; ++t) {
      tokens[row][counts[row]++] = t;
    }
  }
}

static dsa_sparse_attn_desc attend_to_pools(float scale) {
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.flags = DSA_BLOCK_TAIL;
  d.key_layout = DSA_LAYOUT_BATCH;
  d.index_block = kPool;
  d.k = kTopk; /* pools */
  d.scale = scale;
  d.row_begin = dsa_tensor_1d(row_begin, DSA_I32, kRows); /* tokens */
  d.row_end = dsa_tensor_1d(row_end, DSA_I32, kRows);
  d.indices = dsa_tensor_3d(indices, DSA_I32, kBatch, kSeq, kTopk);
  return d;
}

static void qwen4(dsa_ctx *ctx) {
  static int tokens[kRows][kCapacity], counts[kRows];
  dsa_sparse_attn_desc d = attend_to_pools(0.3f);
  int row, h, i, t;
  select_pools(ctx, 0, tokens, counts);
  d.q = head_major(query, kHeads, kSeq);
  d.kv = head_major(keys, kKvHeads, kCapacity);
  d.v = head_major(values, kKvHeads, kCapacity);
  d.out = dsa_tensor_4d(out, DSA_F32, kBatch, kSeq, kHeads, kDim);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (row = 0; row < kRows; ++row) {
    const int b = row / kSeq, s = row % kSeq;
    for (h = 0; h < kHeads; ++h) {
      const int kv_head = h / (kHeads / kKvHeads);
      double q[kDim], k[kCapacity][kDim], v[kCapacity][kDim], want[kDim];
      for (i = 0; i < kDim; ++i) q[i] = bf16_value(query[b][h][s][i]);
      for (t = 0; t < kCapacity; ++t) {
        for (i = 0; i < kDim; ++i) k[t][i] = bf16_value(keys[b][kv_head][t][i]);
        for (i = 0; i < kDim; ++i) v[t][i] = bf16_value(values[b][kv_head][t][i]);
      }
      attend(q, kDim, &k[0][0], kDim, &v[0][0], kDim, kDim, tokens[row], counts[row], d.scale,
             -INFINITY, want);
      for (i = 0; i < kDim; ++i) CHECK(near(out[b][s][h][i], want[i], 0.01));
    }
  }
}

static void glm_flash(dsa_ctx *ctx) {
  static int tokens[kRows][kCapacity], counts[kRows];
  dsa_sparse_attn_desc d = attend_to_pools(0.2f);
  int row, h, i, t;
  select_pools(ctx, 1, tokens, counts);
  d.q = dsa_tensor_4d(q_latent, DSA_BF16, kBatch, kSeq, kHeads, kLatent);
  d.kv = dsa_tensor_3d(latent, DSA_BF16, kBatch, kCapacity, kLatent);
  d.out = dsa_tensor_4d(latent_out, DSA_F32, kBatch, kSeq, kHeads, kLatent);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (row = 0; row < kRows; ++row) {
    const int b = row / kSeq, s = row % kSeq;
    for (h = 0; h < kHeads; ++h) {
      double q[kLatent], kv[kCapacity][kLatent], want[kLatent];
      for (i = 0; i < kLatent; ++i) q[i] = bf16_value(q_latent[b][s][h][i]);
      for (t = 0; t < kCapacity; ++t) {
        for (i = 0; i < kLatent; ++i) kv[t][i] = bf16_value(latent[b][t][i]);
      }
      attend(q, kLatent, &kv[0][0], kLatent, &kv[0][0], kLatent, kLatent, tokens[row], counts[row],
             d.scale, -INFINITY, want);
      for (i = 0; i < kLatent; ++i) CHECK(near(latent_out[b][s][h][i], want[i], 0.01));
    }
  }
}

int main(void) {
  dsa_ctx *ctx;
  int row, i;
  fill(&index_keys[0][0][0], sizeof index_keys / 2);
  fill(&index_q[0][0][0][0], sizeof index_q / 2);
  fill(&keys[0][0][0][0], sizeof keys / 2);
  fill(&values[0][0][0][0], sizeof values / 2);
  fill(&latent[0][0][0], sizeof latent / 2);
  fill(&query[0][0][0][0], sizeof query / 2);
  fill(&q_latent[0][0][0][0], sizeof q_latent / 2);
  for (i = 0; i < kRows * kIndexHeads; ++i) (&index_w[0][0][0])[i] = (float)noise();
  for (row = 0; row < kRows; ++row) {
    row_begin[row] = first_token[row / kSeq];
    row_end[row] = kUsed - kSeq + row % kSeq + 1;
    pool_end[row] = (row_end[row] - row_begin[row]) / kPool;
  }
  CALL(dsa_ctx_create(NULL, &ctx));
  qwen4(ctx);
  glm_flash(ctx);
  dsa_ctx_destroy(ctx);
  return 0;
}

/* transformers 5.23, absorbed form: latents [B, 1, T, 512] and rope [B, 1, T, 64] apart, queries
 * [B, H, S, 512] and [B, H, S, 64]; left padding as row ranges; a selection that the next layer
 * uses again (GLM). */
#include "client.h"

enum { kBatch = 2, kSeq = 2, kCapacity = 18, kIndexHeads = 2, kIndexDim = 64 };
enum { kHeads = 4, kLatent = 512, kRope = 64, kTopk = 6, kLayers = 2 };

static uint16_t index_keys[kBatch][kCapacity][kIndexDim];
static float index_q[kBatch][kSeq][kIndexHeads][kIndexDim];
static float index_w[kBatch][kSeq][kIndexHeads];
static uint16_t latent[kLayers][kBatch][1][kCapacity][kLatent];
static uint16_t rope[kLayers][kBatch][1][kCapacity][kRope];
static uint16_t q_latent[kBatch][kHeads][kSeq][kLatent];
static uint16_t q_rope[kBatch][kHeads][kSeq][kRope];
static int32_t indices[kBatch][kSeq][kTopk];
static int32_t row_begin[kBatch * kSeq] = {3, 3, 0, 0};
static int32_t row_end[kBatch * kSeq] = {15, 16, 15, 16};
static float out[kBatch][kSeq][kHeads][kLatent];

static void fill(uint16_t *data, size_t n) {
  size_t i;
  for (i = 0; i < n; ++i) data[i] = to_bf16(noise());
}

/* [B, H, S, D] seen as [B, S, H, D]. */
static dsa_tensor head_major(void *data, int64_t dim) {
  const int64_t shape[4] = {kBatch, kSeq, kHeads, dim};
  dsa_tensor t = dsa_tensor_make(data, DSA_BF16, 4, shape);
  t.stride[0] = kHeads * kSeq * dim;
  t.stride[1] = dim;
  t.stride[2] = kSeq * dim;
  return t;
}

static void compare_layer(int layer, double scale) {
  int b, s, h, t, i, n;
  for (b = 0; b < kBatch; ++b) {
    double(*kv)[kLatent + kRope] = zeroed(kCapacity, sizeof *kv);
    for (t = 0; t < kCapacity; ++t) {
      for (i = 0; i < kLatent; ++i) kv[t][i] = bf16_value(latent[layer][b][0][t][i]);
      for (i = 0; i < kRope; ++i) kv[t][kLatent + i] = bf16_value(rope[layer][b][0][t][i]);
    }
    for (s = 0; s < kSeq; ++s) {
      int tokens[kTopk];
      for (n = 0; n < kTopk && indices[b][s][n] >= 0; ++n) tokens[n] = indices[b][s][n];
      for (h = 0; h < kHeads; ++h) {
        double q[kLatent + kRope], want[kLatent];
        for (i = 0; i < kLatent; ++i) q[i] = bf16_value(q_latent[b][h][s][i]);
        for (i = 0; i < kRope; ++i) q[kLatent + i] = bf16_value(q_rope[b][h][s][i]);
        attend(q, kLatent + kRope, &kv[0][0], kLatent + kRope, &kv[0][0], kLatent + kRope, kLatent,
               tokens, n, scale, -INFINITY, want);
        for (i = 0; i < kLatent; ++i) CHECK(near(out[b][s][h][i], want[i], 0.01));
      }
    }
    free(kv);
  }
}

int main(void) {
  const double scale = 0.05;
  dsa_ctx *ctx;
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int b, s, t, h, i, layer;
  fill(&index_keys[0][0][0], sizeof index_keys / 2);
  fill(&latent[0][0][0][0][0], sizeof latent / 2);
  fill(&rope[0][0][0][0][0], sizeof rope / 2);
  fill(&q_latent[0][0][0][0], sizeof q_latent / 2);
  fill(&q_rope[0][0][0][0], sizeof q_rope / 2);
  for (i = 0; i < kBatch * kSeq * kIndexHeads * kIndexDim; ++i) {
    (&index_q[0][0][0][0])[i] = (float)noise();
  }
  for (i = 0; i < kBatch * kSeq * kIndexHeads; ++i) (&index_w[0][0][0])[i] = (float)noise();
  CALL(dsa_ctx_create(NULL, &ctx));
  select.key_layout = DSA_LAYOUT_BATCH;
  select.k = kTopk;
  select.q = dsa_tensor_4d(index_q, DSA_F32, kBatch, kSeq, kIndexHeads, kIndexDim);
  select.keys = dsa_tensor_3d(index_keys, DSA_BF16, kBatch, kCapacity, kIndexDim);
  select.w = dsa_tensor_3d(index_w, DSA_F32, kBatch, kSeq, kIndexHeads);
  select.row_begin = dsa_tensor_1d(row_begin, DSA_I32, kBatch * kSeq);
  select.row_end = dsa_tensor_1d(row_end, DSA_I32, kBatch * kSeq);
  select.indices = dsa_tensor_3d(indices, DSA_I32, kBatch, kSeq, kTopk);
  CALL(dsa_indexer_topk(ctx, &select, NULL));
  for (b = 0; b < kBatch; ++b) {
    for (s = 0; s < kSeq; ++s) {
      double q[kIndexHeads * kIndexDim], w[kIndexHeads], key[kIndexDim], score[kCapacity];
      char visible[kCapacity];
      int want[kTopk];
      for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = (&index_q[b][s][0][0])[i];
      for (h = 0; h < kIndexHeads; ++h) w[h] = index_w[b][s][h];
      for (t = 0; t < kCapacity; ++t) {
        for (i = 0; i < kIndexDim; ++i) key[i] = bf16_value(index_keys[b][t][i]);
        score[t] = index_score(q, w, kIndexHeads, kIndexDim, key, 1);
        visible[t] = t >= row_begin[b * kSeq + s] && t < row_end[b * kSeq + s];
      }
      CHECK(select_keys(score, visible, kCapacity, kTopk, want) == kTopk);
      for (i = 0; i < kTopk; ++i) CHECK(indices[b][s][i] == want[i]);
    }
  }
  d.key_layout = DSA_LAYOUT_BATCH;
  d.k = kTopk;
  d.scale = (float)scale;
  d.q = head_major(q_latent, kLatent);
  d.q2 = head_major(q_rope, kRope);
  d.row_begin = select.row_begin;
  d.row_end = select.row_end;
  d.indices = select.indices;
  d.out = dsa_tensor_4d(out, DSA_F32, kBatch, kSeq, kHeads, kLatent);
  for (layer = 0; layer < kLayers; ++layer) { /* the second takes the first's selection */
    d.kv = dsa_tensor_3d(latent[layer], DSA_BF16, kBatch, kCapacity, kLatent);
    d.kv2 = dsa_tensor_3d(rope[layer], DSA_BF16, kBatch, kCapacity, kRope);
    CALL(dsa_sparse_attn(ctx, &d, NULL));
    compare_layer(layer, scale);
  }
  dsa_ctx_destroy(ctx);
  return 0;
}

/* transformers 5.17, deepseek_v32: index keys [B, T, Di], K [B, H, T, D] and V [B, H, T, Dv]
 * head-major in a static cache of capacity T, q [B, H, S, D]; an additive mask [B, 1, S, T] whose
 * lowest finite value hides (causal, left padding, unused capacity); k larger than what is
 * visible. All are passed as they lie. */
#include "client.h"

enum { kBatch = 2, kSeq = 3, kCapacity = 24, kUsed = 20, kPad = 4 };
enum { kIndexHeads = 4, kIndexDim = 32, kHeads = 4, kDim = 24, kValue = 16, kTopk = 9 };

static uint16_t index_keys[kBatch][kCapacity][kIndexDim];
static uint16_t index_q[kBatch][kSeq][kIndexHeads][kIndexDim];
static float index_w[kBatch][kSeq][kIndexHeads];
static uint16_t mask[kBatch][1][kSeq][kCapacity];
static uint16_t keys[kBatch][kHeads][kCapacity][kDim];
static uint16_t values[kBatch][kHeads][kCapacity][kValue];
static uint16_t query[kBatch][kHeads][kSeq][kDim];
static int32_t indices[kBatch][kSeq][kTopk];
static uint16_t out[kBatch][kSeq][kHeads][kValue];

static void fill(uint16_t *data, size_t n) {
  size_t i;
  for (i = 0; i < n; ++i) data[i] = to_bf16(noise());
}

/* Request 0 is padded on the left by kPad tokens. */
static int is_visible(int b, int s, int t) {
  return t <= kUsed - kSeq + s && (b == 1 || t >= kPad);
}

static dsa_tensor bf16_4d(void *data, const int64_t *shape, const int64_t *stride) {
  dsa_tensor t = dsa_tensor_make(data, DSA_BF16, 4, shape);
  memcpy(t.stride, stride, 4 * sizeof *stride);
  return t;
}

static void attend_and_compare(dsa_ctx *ctx, double scale) {
  const int64_t q_shape[4] = {kBatch, kSeq, kHeads, kDim};
  const int64_t q_stride[4] = {kHeads * kSeq * kDim, kDim, kSeq * kDim, 1};
  const int64_t k_shape[4] = {kBatch, kCapacity, kHeads, kDim};
  const int64_t k_stride[4] = {kHeads * kCapacity * kDim, kDim, kCapacity * kDim, 1};
  const int64_t v_shape[4] = {kBatch, kCapacity, kHeads, kValue};
  const int64_t v_stride[4] = {kHeads * kCapacity * kValue, kValue, kCapacity * kValue, 1};
  const int64_t out_shape[4] = {kBatch, kSeq, kHeads, kValue};
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int b, s, h, t, i;
  d.key_layout = DSA_LAYOUT_BATCH;
  d.k = kTopk;
  d.scale = (float)scale;
  d.q = bf16_4d(query, q_shape, q_stride);
  d.kv = bf16_4d(keys, k_shape, k_stride);
  d.v = bf16_4d(values, v_shape, v_stride);
  d.mask = dsa_tensor_3d(mask, DSA_BF16, kBatch, kSeq, kCapacity);
  d.indices = dsa_tensor_3d(indices, DSA_I32, kBatch, kSeq, kTopk);
  d.out = dsa_tensor_make(out, DSA_BF16, 4, out_shape);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (b = 0; b < kBatch; ++b) {
    for (s = 0; s < kSeq; ++s) {
      int tokens[kTopk], n = 0;
      for (i = 0; i < kTopk; ++i) {
        t = indices[b][s][i];
        if (t >= 0 && is_visible(b, s, t)) tokens[n++] = t;
      }
      for (h = 0; h < kHeads; ++h) {
        double q[kDim], k[kCapacity][kDim], v[kCapacity][kValue], want[kValue];
        for (i = 0; i < kDim; ++i) q[i] = bf16_value(query[b][h][s][i]);
        for (t = 0; t < kCapacity; ++t) {
          for (i = 0; i < kDim; ++i) k[t][i] = bf16_value(keys[b][h][t][i]);
          for (i = 0; i < kValue; ++i) v[t][i] = bf16_value(values[b][h][t][i]);
        }
        attend(q, kDim, &k[0][0], kDim, &v[0][0], kValue, kValue, tokens, n, scale, -INFINITY,
               want);
        for (i = 0; i < kValue; ++i) CHECK(near(bf16_value(out[b][s][h][i]), want[i], 0.01));
      }
    }
  }
}

int main(void) {
  dsa_ctx *ctx;
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  int b, s, t, h, i;
  fill(&index_keys[0][0][0], sizeof index_keys / 2);
  fill(&index_q[0][0][0][0], sizeof index_q / 2);
  fill(&keys[0][0][0][0], sizeof keys / 2);
  fill(&values[0][0][0][0], sizeof values / 2);
  fill(&query[0][0][0][0], sizeof query / 2);
  for (b = 0; b < kBatch; ++b) {
    for (s = 0; s < kSeq; ++s) {
      for (h = 0; h < kIndexHeads; ++h) index_w[b][s][h] = (float)noise();
      for (t = 0; t < kCapacity; ++t) mask[b][0][s][t] = is_visible(b, s, t) ? 0 : 0xff7f;
    }
  }
  CALL(dsa_ctx_create(NULL, &ctx));
  d.key_layout = DSA_LAYOUT_BATCH;
  d.k = kTopk;
  d.q = dsa_tensor_4d(index_q, DSA_BF16, kBatch, kSeq, kIndexHeads, kIndexDim);
  d.keys = dsa_tensor_3d(index_keys, DSA_BF16, kBatch, kCapacity, kIndexDim);
  d.w = dsa_tensor_3d(index_w, DSA_F32, kBatch, kSeq, kIndexHeads);
  d.mask = dsa_tensor_3d(mask, DSA_BF16, kBatch, kSeq, kCapacity);
  d.indices = dsa_tensor_3d(indices, DSA_I32, kBatch, kSeq, kTopk);
  CALL(dsa_indexer_topk(ctx, &d, NULL));
  for (b = 0; b < kBatch; ++b) {
    for (s = 0; s < kSeq; ++s) {
      double q[kIndexHeads * kIndexDim], w[kIndexHeads], key[kIndexDim], score[kCapacity];
      char visible[kCapacity];
      int want[kTopk], n;
      for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = bf16_value((&index_q[b][s][0][0])[i]);
      for (h = 0; h < kIndexHeads; ++h) w[h] = index_w[b][s][h];
      for (t = 0; t < kCapacity; ++t) {
        for (i = 0; i < kIndexDim; ++i) key[i] = bf16_value(index_keys[b][t][i]);
        score[t] = index_score(q, w, kIndexHeads, kIndexDim, key, 1);
        visible[t] = (char)is_visible(b, s, t);
      }
      n = select_keys(score, visible, kCapacity, kTopk, want);
      for (i = 0; i < kTopk; ++i) CHECK(indices[b][s][i] == (i < n ? want[i] : -1));
    }
  }
  attend_and_compare(ctx, 0.3);
  /* torch.topk gives k ids even where fewer are visible: hidden ones are dropped. */
  for (i = 0; i < kTopk; ++i) indices[0][0][i] = i;
  attend_and_compare(ctx, 0.3);
  dsa_ctx_destroy(ctx);
  return 0;
}

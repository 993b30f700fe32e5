/* candle-vllm: latent and rope in two paged caches of the same pages; the indexer's softmax scale
 * and head factor are folded into w by the caller. */
#include "client.h"

enum { kRequests = 2, kPage = 8, kPages = 7, kMaxPages = 3, kCapacity = kPage * kMaxPages };
enum { kIndexHeads = 4, kIndexDim = 32, kHeads = 4, kLatent = 96, kRope = 16, kTopk = 6 };

static uint16_t index_cache[kPages][kPage][kIndexDim];
static uint16_t latent[kPages][kPage][kLatent], rope[kPages][kPage][kRope];
static int32_t table[kRequests][kMaxPages] = {{6, 1, 3}, {0, 5, 2}};
static int32_t seq_lens[kRequests] = {21, 9};
static float index_q[kRequests][kIndexHeads][kIndexDim], index_w[kRequests][kIndexHeads];
static uint16_t q_latent[kRequests][kHeads][kLatent], q_rope[kRequests][kHeads][kRope];
static int32_t indices[kRequests][kTopk];
static uint16_t out[kRequests][kHeads][kLatent];

int main(void) {
  const double scale = 0.12, index_factor = 1 / sqrt(kIndexHeads) / sqrt(kIndexDim);
  float w[kRequests][kIndexHeads];
  dsa_ctx *ctx;
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int r, h, i, s;
  for (i = 0; i < kPages * kPage * kIndexDim; ++i) (&index_cache[0][0][0])[i] = to_f16(noise());
  for (i = 0; i < kPages * kPage * kLatent; ++i) (&latent[0][0][0])[i] = to_f16(noise());
  for (i = 0; i < kPages * kPage * kRope; ++i) (&rope[0][0][0])[i] = to_f16(noise());
  for (i = 0; i < kRequests * kIndexHeads * kIndexDim; ++i) (&index_q[0][0][0])[i] = (float)noise();
  for (i = 0; i < kRequests * kHeads * kLatent; ++i) (&q_latent[0][0][0])[i] = to_f16(noise());
  for (i = 0; i < kRequests * kHeads * kRope; ++i) (&q_rope[0][0][0])[i] = to_f16(noise());
  for (r = 0; r < kRequests; ++r) {
    for (h = 0; h < kIndexHeads; ++h) {
      index_w[r][h] = (float)noise();
      w[r][h] = (float)(index_w[r][h] * index_factor);
    }
  }
  CALL(dsa_ctx_create(NULL, &ctx));
  select.key_layout = DSA_LAYOUT_PAGES;
  select.k = kTopk;
  select.q = dsa_tensor_3d(index_q, DSA_F32, kRequests, kIndexHeads, kIndexDim);
  select.keys = dsa_tensor_3d(index_cache, DSA_F16, kPages, kPage, kIndexDim);
  select.w = dsa_tensor_2d(w, DSA_F32, kRequests, kIndexHeads);
  select.block_table = dsa_tensor_2d(table, DSA_I32, kRequests, kMaxPages);
  select.seq_lens = dsa_tensor_1d(seq_lens, DSA_I32, kRequests);
  select.indices = dsa_tensor_2d(indices, DSA_I32, kRequests, kTopk);
  CALL(dsa_indexer_topk(ctx, &select, NULL));
  d.key_layout = DSA_LAYOUT_PAGES;
  d.k = kTopk;
  d.scale = (float)scale;
  d.q = dsa_tensor_3d(q_latent, DSA_F16, kRequests, kHeads, kLatent);
  d.q2 = dsa_tensor_3d(q_rope, DSA_F16, kRequests, kHeads, kRope);
  d.kv = dsa_tensor_3d(latent, DSA_F16, kPages, kPage, kLatent);
  d.kv2 = dsa_tensor_3d(rope, DSA_F16, kPages, kPage, kRope);
  d.block_table = select.block_table;
  d.seq_lens = select.seq_lens;
  d.indices = select.indices;
  d.out = dsa_tensor_3d(out, DSA_F16, kRequests, kHeads, kLatent);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (r = 0; r < kRequests; ++r) {
    double q[kIndexHeads * kIndexDim], weight[kIndexHeads], key[kIndexDim], score[kCapacity];
    double kv[kCapacity][kLatent + kRope];
    char visible[kCapacity];
    int want[kTopk];
    for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = (&index_q[r][0][0])[i];
    for (h = 0; h < kIndexHeads; ++h) weight[h] = index_w[r][h];
    for (s = 0; s < kCapacity; ++s) {
      const int page = table[r][s / kPage], row = s % kPage;
      for (i = 0; i < kIndexDim; ++i) key[i] = f16_value(index_cache[page][row][i]);
      score[s] = index_score(q, weight, kIndexHeads, kIndexDim, key, index_factor);
      visible[s] = s < seq_lens[r];
      for (i = 0; i < kLatent; ++i) kv[s][i] = f16_value(latent[page][row][i]);
      for (i = 0; i < kRope; ++i) kv[s][kLatent + i] = f16_value(rope[page][row][i]);
    }
    CHECK(select_keys(score, visible, kCapacity, kTopk, want) == kTopk);
    for (i = 0; i < kTopk; ++i) CHECK(indices[r][i] == want[i]);
    for (h = 0; h < kHeads; ++h) {
      double head[kLatent + kRope], result[kLatent];
      for (i = 0; i < kLatent; ++i) head[i] = f16_value(q_latent[r][h][i]);
      for (i = 0; i < kRope; ++i) head[kLatent + i] = f16_value(q_rope[r][h][i]);
      attend(head, kLatent + kRope, &kv[0][0], kLatent + kRope, &kv[0][0], kLatent + kRope, kLatent,
             want, kTopk, scale, -INFINITY, result);
      for (i = 0; i < kLatent; ++i) CHECK(near(f16_value(out[r][h][i]), result[i], 2e-3));
    }
  }
  dsa_ctx_destroy(ctx);
  return 0;
}

/* ik_llama.cpp: latent and rope in one K row whose first part is V (its mla 3), bf16 here; scores
 * in a tensor with padded rows; the selection is kept as eight bytes a row instead of ids, and
 * attention takes the keys that pass. */
#include "client.h"

enum { kTokens = 5, kCells = 60, kScorePitch = 64, kIndexHeads = 4, kIndexDim = 32 };
enum { kHeads = 16, kLatent = 128, kRope = 32, kDim = kLatent + kRope, kTopk = 10 };

static uint16_t index_keys[kCells][kIndexDim], k_cache[kCells][kDim];
static float index_q[kTokens][kIndexHeads][kIndexDim], index_w[kTokens][kIndexHeads];
static float scores[kTokens][kScorePitch], cut_score[kTokens];
static int32_t cut_index[kTokens];
static uint16_t query[kTokens][kHeads][kDim];
static float out[kTokens][kHeads][kLatent];

int main(void) {
  const double scale = 0.1;
  dsa_ctx *ctx;
  dsa_indexer_desc score = dsa_indexer_desc_init();
  dsa_topk_desc top = dsa_topk_desc_init();
  dsa_sparse_attn_desc attn = dsa_sparse_attn_desc_init();
  int t, h, i, c;
  for (i = 0; i < kCells * kIndexDim; ++i) (&index_keys[0][0])[i] = to_f16(noise());
  for (i = 0; i < kCells * kDim; ++i) (&k_cache[0][0])[i] = to_bf16(noise());
  for (i = 0; i < kTokens * kIndexHeads * kIndexDim; ++i) (&index_q[0][0][0])[i] = (float)noise();
  for (i = 0; i < kTokens * kIndexHeads; ++i) (&index_w[0][0])[i] = (float)noise();
  for (i = 0; i < kTokens * kHeads * kDim; ++i) (&query[0][0][0])[i] = to_bf16(noise());
  CALL(dsa_ctx_create(NULL, &ctx));
  /* A prompt's last tokens: causal over the cells. */
  score.flags = DSA_CAUSAL;
  score.offset = kCells - kTokens;
  score.q = dsa_tensor_3d(index_q, DSA_F32, kTokens, kIndexHeads, kIndexDim);
  score.keys = dsa_tensor_2d(index_keys, DSA_F16, kCells, kIndexDim);
  score.w = dsa_tensor_2d(index_w, DSA_F32, kTokens, kIndexHeads);
  score.scores = dsa_tensor_2d(scores, DSA_F32, kTokens, kCells);
  score.scores.stride[0] = kScorePitch;
  CALL(dsa_indexer(ctx, &score, NULL));
  top.flags = DSA_CAUSAL;
  top.offset = score.offset;
  top.scores = score.scores;
  top.k = kTopk;
  top.cut_score = dsa_tensor_1d(cut_score, DSA_F32, kTokens);
  top.cut_index = dsa_tensor_1d(cut_index, DSA_I32, kTokens);
  CALL(dsa_topk(ctx, &top, NULL));
  attn.flags = DSA_CAUSAL;
  attn.offset = score.offset;
  attn.selection = DSA_SELECTION_CUT;
  attn.k = kTopk;
  attn.scale = (float)scale;
  attn.q = dsa_tensor_3d(query, DSA_BF16, kTokens, kHeads, kDim);
  attn.kv = dsa_tensor_2d(k_cache, DSA_BF16, kCells, kDim);
  attn.scores = score.scores;
  attn.cut_score = top.cut_score;
  attn.cut_index = top.cut_index;
  attn.out = dsa_tensor_3d(out, DSA_F32, kTokens, kHeads, kLatent);
  CALL(dsa_sparse_attn(ctx, &attn, NULL));
  for (t = 0; t < kTokens; ++t) {
    double q[kIndexHeads * kIndexDim], w[kIndexHeads], key[kIndexDim], want[kCells];
    char visible[kCells];
    int tokens[kTopk];
    for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = (&index_q[t][0][0])[i];
    for (h = 0; h < kIndexHeads; ++h) w[h] = index_w[t][h];
    for (c = 0; c < kCells; ++c) {
      for (i = 0; i < kIndexDim; ++i) key[i] = f16_value(index_keys[c][i]);
      want[c] = index_score(q, w, kIndexHeads, kIndexDim, key, 1);
      visible[c] = c <= kCells - kTokens + t;
    }
    CHECK(select_keys(want, visible, kCells, kTopk, tokens) == kTopk);
    for (h = 0; h < kHeads; ++h) {
      double head[kDim], kv[kCells][kDim], result[kLatent];
      for (i = 0; i < kDim; ++i) head[i] = bf16_value(query[t][h][i]);
      for (i = 0; i < kCells * kDim; ++i) (&kv[0][0])[i] = bf16_value((&k_cache[0][0])[i]);
      attend(head, kDim, &kv[0][0], kDim, &kv[0][0], kDim, kLatent, tokens, kTopk, scale, -INFINITY,
             result);
      for (i = 0; i < kLatent; ++i) CHECK(near(out[t][h][i], result[i], 0.01));
    }
  }
  dsa_ctx_destroy(ctx);
  return 0;
}

/* llama.cpp as it is: ggml tensors with byte strides, q f32, keys f16, a unified cache of n_kv
 * cells with holes, mask f16 [n_tokens, n_kv] of 0 and -inf. The graph scores all cells, takes k
 * valid ids (so -inf counts as a number), scatters them into a second mask and attends to all cells
 * that it shows. The engine's thread pool is swapped from call to call. */
#include "client.h"

enum { kTokens = 3, kCells = 40, kIndexHeads = 4, kIndexDim = 32, kHeads = 8, kDim = 64 };
enum { kValue = 48, kTopk = 12, kRowBytes = (kDim + 8) * 2 }; /* nb1 of the K cache */

typedef struct {
  int64_t tasks;
} Pool;

static void pool_run(void *user, int64_t count, dsa_parallel_body body, void *arg) {
  int64_t i;
  ((Pool *)user)->tasks += count;
  for (i = 0; i < count; ++i) body(arg, i);
}

static uint16_t index_keys[kCells][kIndexDim];
static float index_q[kTokens][kIndexHeads][kIndexDim], index_w[kTokens][kIndexHeads];
static uint16_t kq_mask[kTokens][kCells], top_mask[kTokens][kCells];
static float scores[kTokens][kCells];
static int32_t ids[kTokens][kTopk];
static char k_cache[kCells * kRowBytes];
static float query[kTokens][kHeads][kDim], out[kTokens][kHeads][kValue];

static int is_visible(int t, int cell) { return cell % 5 != 0 && (cell + t) % 3 != 0; }

int main(void) {
  const uint16_t hide = 0xfc00; /* -inf */
  const double scale = 0.2;
  dsa_ctx_options options;
  dsa_exec exec;
  Pool first = {0}, second = {0};
  dsa_ctx *ctx;
  dsa_indexer_desc score = dsa_indexer_desc_init();
  dsa_topk_desc top = dsa_topk_desc_init();
  dsa_sparse_attn_desc attn = dsa_sparse_attn_desc_init();
  uint16_t *k_rows = (uint16_t *)(void *)k_cache;
  int t, c, h, i;
  for (i = 0; i < kCells * kIndexDim; ++i) (&index_keys[0][0])[i] = to_f16(noise());
  for (i = 0; i < kCells * kRowBytes / 2; ++i) k_rows[i] = to_f16(noise());
  for (i = 0; i < kTokens * kIndexHeads * kIndexDim; ++i) (&index_q[0][0][0])[i] = (float)noise();
  for (i = 0; i < kTokens * kIndexHeads; ++i) (&index_w[0][0])[i] = (float)noise();
  for (i = 0; i < kTokens * kHeads * kDim; ++i) (&query[0][0][0])[i] = (float)noise();
  for (t = 0; t < kTokens; ++t) {
    for (c = 0; c < kCells; ++c) kq_mask[t][c] = is_visible(t, c) ? 0 : hide;
  }
  /* Token 2 sees fewer cells than k. */
  for (c = 7; c < kCells; ++c) kq_mask[2][c] = hide;

  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.num_threads = 4;
  options.parallel_for = pool_run;
  options.parallel_user = &first;
  CALL(dsa_ctx_create(&options, &ctx));
  memset(&exec, 0, sizeof exec);
  exec.struct_size = sizeof exec;
  exec.parallel_user = &second;

  score.q = dsa_tensor_3d(index_q, DSA_F32, kTokens, kIndexHeads, kIndexDim);
  score.keys = dsa_tensor_2d(index_keys, DSA_F16, kCells, kIndexDim);
  score.w = dsa_tensor_2d(index_w, DSA_F32, kTokens, kIndexHeads);
  score.mask = dsa_tensor_2d(kq_mask, DSA_F16, kTokens, kCells);
  score.scores = dsa_tensor_2d(scores, DSA_F32, kTokens, kCells);
  CALL(dsa_indexer(ctx, &score, &exec));
  CHECK(first.tasks == 0); /* whatever was cut into tasks went to the call's own pool */

  top.flags = DSA_SELECT_NEG_INF;
  top.scores = score.scores;
  top.k = kTopk;
  top.indices = dsa_tensor_2d(ids, DSA_I32, kTokens, kTopk);
  CALL(dsa_topk(ctx, &top, &exec));

  for (t = 0; t < kTokens; ++t) {
    for (c = 0; c < kCells; ++c) top_mask[t][c] = hide;
    for (i = 0; i < kTopk; ++i) {
      CHECK(ids[t][i] >= 0 && ids[t][i] < kCells); /* k valid ids in every row */
      top_mask[t][ids[t][i]] = kq_mask[t][ids[t][i]];
    }
  }
  attn.selection = DSA_SELECTION_ALL;
  attn.scale = (float)scale;
  attn.q = dsa_tensor_3d(query, DSA_F32, kTokens, kHeads, kDim);
  attn.kv = dsa_tensor_2d(k_cache, DSA_F16, kCells, kDim);
  attn.kv.stride[0] = kRowBytes / 2;
  attn.mask = dsa_tensor_2d(top_mask, DSA_F16, kTokens, kCells);
  attn.out = dsa_tensor_3d(out, DSA_F32, kTokens, kHeads, kValue);
  CALL(dsa_sparse_attn(ctx, &attn, &exec));

  for (t = 0; t < kTokens; ++t) {
    double q[kIndexHeads * kIndexDim], w[kIndexHeads], key[kIndexDim], want[kCells];
    char visible[kCells];
    int tokens[kTopk], n;
    for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = (&index_q[t][0][0])[i];
    for (h = 0; h < kIndexHeads; ++h) w[h] = index_w[t][h];
    for (c = 0; c < kCells; ++c) {
      for (i = 0; i < kIndexDim; ++i) key[i] = f16_value(index_keys[c][i]);
      want[c] = index_score(q, w, kIndexHeads, kIndexDim, key, 1);
      visible[c] = kq_mask[t][c] == 0;
      CHECK(visible[c] ? near(scores[t][c], want[c], 1e-4) : scores[t][c] == -INFINITY);
    }
    n = select_keys(want, visible, kCells, kTopk, tokens);
    for (i = 0; i < n; ++i) CHECK(top_mask[t][tokens[i]] == 0);
    for (h = 0; h < kHeads; ++h) {
      double head[kDim], kv[kCells][kDim], result[kValue];
      for (i = 0; i < kDim; ++i) head[i] = query[t][h][i];
      for (c = 0; c < kCells; ++c) {
        for (i = 0; i < kDim; ++i) kv[c][i] = f16_value(k_rows[c * (kRowBytes / 2) + i]);
      }
      attend(head, kDim, &kv[0][0], kDim, &kv[0][0], kDim, kValue, tokens, n, scale, -INFINITY,
             result);
      for (i = 0; i < kValue; ++i) CHECK(near(out[t][h][i], result[i], 1e-4));
    }
  }
  dsa_ctx_destroy(ctx);
  return 0;
}

/* Megatron-LM, slime: training layouts. THD: sequences packed after each other, their bounds as row
 * ranges, scores in a matrix of tokens x longest. Zigzag context parallelism: a rank holds two
 * chunks, which are ranges too. SBHD: [S, B, ...] passed by strides, row t of request t % B. Saved
 * for backward: ascending indices with -1, counts, values; the lse of dense attention alone. */
#include "client.h"

enum { kTokens = 30, kSequences = 3, kLongest = 14, kIndexHeads = 2, kIndexDim = 16, kTopk = 5 };
enum { kHeads = 4, kDim = 24, kValue = 16, kBatch = 3, kSteps = 10, kRanks = 2 };

static const int32_t cu_seqlens[kSequences + 1] = {0, 9, 16, 30};
static uint16_t index_q[kTokens][kIndexHeads][kIndexDim], index_keys[kTokens][kIndexDim];
static float index_w[kTokens][kIndexHeads];
static uint16_t query[kTokens][kHeads][kDim], kv[kTokens][kDim];
static float out[kTokens][kHeads][kValue], lse[kTokens][kHeads];
static int32_t indices[kTokens][kTopk], counts[kTokens];
static float values[kTokens][kTopk];

static double score_of(int row, int key) {
  double q[kIndexHeads * kIndexDim], w[kIndexHeads], k[kIndexDim];
  int i;
  for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = bf16_value((&index_q[row][0][0])[i]);
  for (i = 0; i < kIndexHeads; ++i) w[i] = index_w[row][i];
  for (i = 0; i < kIndexDim; ++i) k[i] = bf16_value(index_keys[key][i]);
  return index_score(q, w, kIndexHeads, kIndexDim, k, 1);
}

/* Keys that row `row` selects among tokens first, first + step, ... (n of them). */
static int select_among(int row, int first, int step, int n, int *want) {
  double score[kTokens];
  char visible[kTokens];
  int s;
  for (s = 0; s < n; ++s) {
    score[s] = score_of(row, first + step * s);
    visible[s] = 1;
  }
  return select_keys(score, visible, n, kTopk, want);
}

/* tokens: indices into kv. */
static void compare_attention(int row, const float *got, const float *got_lse, const int *tokens,
                              int n, double scale) {
  double keys[kTokens][kDim], q[kDim], result[kValue];
  int h, i;
  for (i = 0; i < kTokens * kDim; ++i) (&keys[0][0])[i] = bf16_value((&kv[0][0])[i]);
  for (h = 0; h < kHeads; ++h) {
    double want_lse;
    for (i = 0; i < kDim; ++i) q[i] = bf16_value(query[row][h][i]);
    want_lse = attend(q, kDim, &keys[0][0], kDim, &keys[0][0], kDim, kValue, tokens, n, scale,
                      -INFINITY, result);
    CHECK(near(got_lse[h], want_lse, 1e-3));
    for (i = 0; i < kValue && got; ++i) CHECK(near(got[h * kValue + i], result[i], 0.01));
  }
}

static void packed_thd(dsa_ctx *ctx) {
  static float scores[kTokens][kLongest];
  int32_t row_begin[kTokens], row_end[kTokens];
  dsa_indexer_desc score = dsa_indexer_desc_init();
  dsa_topk_desc top = dsa_topk_desc_init();
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int t, i, sequence = 0, want[kTokens], n;
  for (t = 0; t < kTokens; ++t) {
    if (t == cu_seqlens[sequence + 1]) ++sequence;
    row_begin[t] = cu_seqlens[sequence];
    row_end[t] = t + 1;
  }
  score.flags = DSA_COLUMNS_FROM_BEGIN;
  score.q = dsa_tensor_3d(index_q, DSA_BF16, kTokens, kIndexHeads, kIndexDim);
  score.keys = dsa_tensor_2d(index_keys, DSA_BF16, kTokens, kIndexDim);
  score.w = dsa_tensor_2d(index_w, DSA_F32, kTokens, kIndexHeads);
  score.row_begin = dsa_tensor_1d(row_begin, DSA_I32, kTokens);
  score.row_end = dsa_tensor_1d(row_end, DSA_I32, kTokens);
  score.scores = dsa_tensor_2d(scores, DSA_F32, kTokens, kLongest);
  CALL(dsa_indexer(ctx, &score, NULL));
  top.flags = DSA_COLUMNS_FROM_BEGIN;
  top.k = kTopk;
  top.scores = score.scores;
  top.row_begin = score.row_begin;
  top.row_end = score.row_end;
  top.indices = dsa_tensor_2d(indices, DSA_I32, kTokens, kTopk);
  top.counts = dsa_tensor_1d(counts, DSA_I32, kTokens);
  top.values = dsa_tensor_2d(values, DSA_F32, kTokens, kTopk);
  CALL(dsa_topk(ctx, &top, NULL));
  d.k = kTopk;
  d.scale = 0.2f;
  d.q = dsa_tensor_3d(query, DSA_BF16, kTokens, kHeads, kDim);
  d.kv = dsa_tensor_2d(kv, DSA_BF16, kTokens, kDim);
  d.indices = top.indices;
  d.counts = top.counts;
  d.out = dsa_tensor_3d(out, DSA_F32, kTokens, kHeads, kValue);
  d.lse = dsa_tensor_2d(lse, DSA_F32, kTokens, kHeads);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (t = 0; t < kTokens; ++t) {
    n = select_among(t, row_begin[t], 1, row_end[t] - row_begin[t], want);
    CHECK(counts[t] == n);
    for (i = 0; i < kTopk; ++i) {
      CHECK(indices[t][i] == (i < n ? row_begin[t] + want[i] : -1));
      if (i < n) want[i] += row_begin[t];
      CHECK(i < n ? near(values[t][i], score_of(t, want[i]), 1e-4) : values[t][i] == -INFINITY);
    }
    compare_attention(t, &out[t][0][0], lse[t], want, n, d.scale);
  }
  /* The dense loss of the indexer needs the lse over all keys, and nothing else. */
  d.selection = DSA_SELECTION_ALL;
  d.k = 0;
  d.indices = d.counts = d.out = dsa_sparse_attn_desc_init().out;
  d.row_begin = score.row_begin;
  d.row_end = score.row_end;
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (t = 0; t < kTokens; ++t) {
    for (n = 0; row_begin[t] + n < row_end[t]; ++n) want[n] = row_begin[t] + n;
    compare_attention(t, NULL, lse[t], want, n, d.scale);
  }
}

/* One sequence of kTokens; the rank holds the first and the last of four chunks. */
static void zigzag(dsa_ctx *ctx, int rank) {
  enum { kLocal = 16 };
  const int bounds[2 * kRanks + 1] = {0, 8, 15, 22, 30};
  static uint16_t local_q[kLocal][kIndexHeads][kIndexDim];
  static float local_w[kLocal][kIndexHeads];
  int32_t row_end[kLocal];
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  int n = 0, t, i, half, want[kTopk];
  for (half = 0; half < 2; ++half) {
    const int chunk = half ? 2 * kRanks - 1 - rank : rank;
    for (t = bounds[chunk]; t < bounds[chunk + 1]; ++t, ++n) {
      memcpy(local_q[n], index_q[t], sizeof index_q[t]);
      memcpy(local_w[n], index_w[t], sizeof index_w[t]);
      row_end[n] = t + 1;
    }
  }
  d.k = kTopk;
  d.q = dsa_tensor_3d(local_q, DSA_BF16, n, kIndexHeads, kIndexDim);
  d.keys = dsa_tensor_2d(index_keys, DSA_BF16, kTokens, kIndexDim);
  d.w = dsa_tensor_2d(local_w, DSA_F32, n, kIndexHeads);
  d.row_end = dsa_tensor_1d(row_end, DSA_I32, n);
  d.indices = dsa_tensor_2d(indices, DSA_I32, n, kTopk);
  CALL(dsa_indexer_topk(ctx, &d, NULL));
  for (t = 0; t < n; ++t) {
    const int count = select_among(row_end[t] - 1, 0, 1, row_end[t], want);
    for (i = 0; i < kTopk; ++i) CHECK(indices[t][i] == (i < count ? want[i] : -1));
  }
}

/* The same memory as [S, B, ...]: token t is step t / B of request t % B. */
static void sbhd(dsa_ctx *ctx) {
  int32_t row_request[kTokens], row_end[kTokens];
  const int64_t rows[4] = {kSteps, kBatch, kHeads, kValue};
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int t, i, want[kTopk], n;
  for (t = 0; t < kTokens; ++t) {
    row_request[t] = t % kBatch;
    row_end[t] = t / kBatch + 1;
  }
  select.key_layout = DSA_LAYOUT_BATCH;
  select.k = kTopk;
  select.q = dsa_tensor_4d(index_q, DSA_BF16, kSteps, kBatch, kIndexHeads, kIndexDim);
  select.keys = dsa_tensor_3d(index_keys, DSA_BF16, kBatch, kSteps, kIndexDim);
  select.keys.stride[0] = kIndexDim;
  select.keys.stride[1] = kBatch * kIndexDim;
  select.w = dsa_tensor_3d(index_w, DSA_F32, kSteps, kBatch, kIndexHeads);
  select.row_request = dsa_tensor_1d(row_request, DSA_I32, kTokens);
  select.row_end = dsa_tensor_1d(row_end, DSA_I32, kTokens);
  select.indices = dsa_tensor_3d(indices, DSA_I32, kSteps, kBatch, kTopk);
  CALL(dsa_indexer_topk(ctx, &select, NULL));
  d.key_layout = DSA_LAYOUT_BATCH;
  d.k = kTopk;
  d.scale = 0.2f;
  d.q = dsa_tensor_4d(query, DSA_BF16, kSteps, kBatch, kHeads, kDim);
  d.kv = dsa_tensor_3d(kv, DSA_BF16, kBatch, kSteps, kDim);
  d.kv.stride[0] = kDim;
  d.kv.stride[1] = kBatch * kDim;
  d.row_request = select.row_request;
  d.indices = select.indices;
  d.out = dsa_tensor_make(out, DSA_F32, 4, rows);
  d.lse = dsa_tensor_3d(lse, DSA_F32, kSteps, kBatch, kHeads);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (t = 0; t < kTokens; ++t) {
    n = select_among(t, t % kBatch, kBatch, row_end[t], want);
    for (i = 0; i < kTopk; ++i) {
      CHECK(indices[t][i] == (i < n ? want[i] : -1));
      if (i < n) want[i] = t % kBatch + kBatch * want[i];
    }
    compare_attention(t, &out[t][0][0], lse[t], want, n, d.scale);
  }
}

int main(void) {
  dsa_ctx *ctx;
  int i;
  for (i = 0; i < kTokens * kIndexHeads * kIndexDim; ++i) (&index_q[0][0][0])[i] = to_bf16(noise());
  for (i = 0; i < kTokens * kIndexDim; ++i) (&index_keys[0][0])[i] = to_bf16(noise());
  for (i = 0; i < kTokens * kIndexHeads; ++i) (&index_w[0][0])[i] = (float)noise();
  for (i = 0; i < kTokens * kHeads * kDim; ++i) (&query[0][0][0])[i] = to_bf16(noise());
  for (i = 0; i < kTokens * kDim; ++i) (&kv[0][0])[i] = to_bf16(noise());
  CALL(dsa_ctx_create(NULL, &ctx));
  packed_thd(ctx);
  for (i = 0; i < kRanks; ++i) zigzag(ctx, i);
  sbhd(ctx);
  dsa_ctx_destroy(ctx);
  return 0;
}

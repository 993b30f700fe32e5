/* vLLM, DeepSeek-V3.2: index keys in FP8 pages (values, then scales; page stride with slack), KV
 * rows of 656 bytes in pages of another size, each cache with its own block table. One selection
 * call serves decode (seq_lens, two rows a request for speculation) and, over gathered rows,
 * prefill (ranges, indices from each row's start, written into a slice of a wider buffer). Decode
 * takes physical slots through the KV's table; q and out are slices of wider tensors. */
#include "client.h"

enum { kRequests = 3, kNext = 2, kRows = kRequests * kNext, kLongest = 40 };
enum {
  kIndexHeads = 4,
  kIndexDim = 128,
  kIndexPage = 16,
  kIndexPages = 10,
  kPageBytes = kIndexPage * (kIndexDim + 4) + 128
};
enum { kHeads = 4, kKvPage = 8, kKvPages = 20, kLatent = 512, kDim = 576, kTopk = 7, kWide = 12 };

typedef struct { /* a token as both caches must give it */
  double index_key[kIndexDim], index_scale;
  double kv[kDim];
} Token;

static uint32_t index_cache[kIndexPages * kPageBytes / 4];
static uint32_t kv_cache[kKvPages * kKvPage * 656 / 4];
static int32_t index_table[kRequests][3] = {{4, 0, 7}, {2, 9, 1}, {-1, -1, -1}};
static int32_t kv_table[kRequests][5] = {{11, 3, 8, 0, 19}, {5, 17, 2, 9, 1}, {0, 0, 0, 0, 0}};
static int32_t seq_lens[kRequests] = {37, 22, 0}; /* the third is padding */
static float index_q[kRows][kIndexHeads][kIndexDim], index_w[kRows][kIndexHeads];
static uint16_t query[kRows][kHeads][kDim + 64];
static int32_t slots[kRows][kTopk];
static uint16_t out[kRows][kHeads][kLatent + 32];
static float lse[kRows][kHeads];

static void write_token(Token *token, char *index_page, int index_row, char *kv_row) {
  int i;
  float scale = (float)(1 + 0.5 * noise());
  token->index_scale = scale;
  memcpy(index_page + kIndexPage * kIndexDim + 4 * index_row, &scale, 4);
  for (i = 0; i < kIndexDim; ++i) {
    const uint8_t bits = to_e4m3(4 * noise());
    index_page[index_row * kIndexDim + i] = (char)bits;
    token->index_key[i] = e4m3_value(bits);
  }
  for (i = 0; i < kLatent; ++i) {
    const uint8_t bits = to_e4m3(4 * noise());
    if (i % 128 == 0) {
      scale = (float)(0.3 + 0.1 * noise()); /* arbitrary, not a power of two */
      memcpy(kv_row + 512 + 4 * (i / 128), &scale, 4);
    }
    kv_row[i] = (char)bits;
    token->kv[i] = e4m3_value(bits) * scale;
  }
  for (i = 0; i < 64; ++i) {
    const uint16_t bits = to_bf16(noise());
    memcpy(kv_row + 528 + 2 * i, &bits, 2);
    token->kv[kLatent + i] = bf16_value(bits);
  }
}

static int select_row(int row, const Token *tokens, int n, int *want) {
  double q[kIndexHeads * kIndexDim], w[kIndexHeads], score[kLongest];
  char visible[kLongest];
  int i, s;
  for (i = 0; i < kIndexHeads * kIndexDim; ++i) q[i] = (&index_q[row][0][0])[i];
  for (i = 0; i < kIndexHeads; ++i) w[i] = index_w[row][i];
  for (s = 0; s < n; ++s) {
    score[s] =
        index_score(q, w, kIndexHeads, kIndexDim, tokens[s].index_key, tokens[s].index_scale);
    visible[s] = 1;
  }
  return select_keys(score, visible, n, kTopk, want);
}

static void decode(dsa_ctx *ctx, Token (*tokens)[kLongest]) {
  const double scale = 0.02;
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int t, h, i;
  select.key_layout = DSA_LAYOUT_PAGES;
  select.key_format = DSA_FORMAT_KEY_PAGE_132;
  select.page_size = kIndexPage;
  select.k = kTopk;
  select.next_n = kNext;
  select.max_keys = kLongest;
  select.slot_page_size = kKvPage;
  select.q = dsa_tensor_3d(index_q, DSA_F32, kRows, kIndexHeads, kIndexDim);
  select.keys = dsa_tensor_2d(index_cache, DSA_U8, kIndexPages, kPageBytes);
  select.w = dsa_tensor_2d(index_w, DSA_F32, kRows, kIndexHeads);
  select.block_table = dsa_tensor_2d(index_table, DSA_I32, kRequests, 3);
  select.slot_table = dsa_tensor_2d(kv_table, DSA_I32, kRequests, 5);
  select.seq_lens = dsa_tensor_1d(seq_lens, DSA_I32, kRequests);
  select.slots = dsa_tensor_2d(slots, DSA_I32, kRows, kTopk);
  CALL(dsa_indexer_topk(ctx, &select, NULL));
  d.key_format = DSA_FORMAT_KV_FP8_656; /* flat rows: a slot is a row */
  d.selection = DSA_SELECTION_SLOTS;
  d.k = kTopk;
  d.scale = (float)scale;
  d.q = dsa_tensor_3d(query, DSA_BF16, kRows, kHeads, kDim);
  d.q.stride[0] = kHeads * (kDim + 64);
  d.q.stride[1] = kDim + 64;
  d.kv = dsa_tensor_2d(kv_cache, DSA_U8, kKvPages * kKvPage, 656);
  d.indices = select.slots;
  d.out = dsa_tensor_3d(out, DSA_BF16, kRows, kHeads, kLatent);
  d.out.stride[0] = kHeads * (kLatent + 32);
  d.out.stride[1] = kLatent + 32;
  d.lse = dsa_tensor_2d(lse, DSA_F32, kRows, kHeads);
  CALL(dsa_sparse_attn(ctx, &d, NULL));
  for (t = 0; t < kRows; ++t) {
    const int r = t / kNext, end = seq_lens[r] - kNext + 1 + t % kNext;
    int want[kTopk];
    const int n = end > 0 ? select_row(t, tokens[r], end, want) : 0;
    CHECK(n == (r == 2 ? 0 : kTopk));
    for (i = 0; i < kTopk; ++i) {
      CHECK(slots[t][i] ==
            (i < n ? kv_table[r][want[i] / kKvPage] * kKvPage + want[i] % kKvPage : -1));
    }
    for (h = 0; h < kHeads; ++h) {
      double q[kDim], result[kLatent], want_lse;
      for (i = 0; i < kDim; ++i) q[i] = bf16_value(query[t][h][i]);
      want_lse =
          attend(q, kDim, tokens[r][0].kv, (int)(sizeof(Token) / sizeof(double)), tokens[r][0].kv,
                 (int)(sizeof(Token) / sizeof(double)), kLatent, want, n, scale, -INFINITY, result);
      CHECK(near(lse[t][h], want_lse, 1e-3)); /* -inf for the padding, and zeros */
      for (i = 0; i < kLatent; ++i) CHECK(near(bf16_value(out[t][h][i]), result[i], 0.01));
      CHECK(out[t][h][kLatent] == 0x7777);
    }
  }
}

/* Both prompts' keys gathered after each other; FP8 with a scale a key. */
static void prefill(dsa_ctx *ctx, Token (*tokens)[kLongest]) {
  static uint8_t gathered[2 * kLongest][kIndexDim];
  static float scales[2 * kLongest];
  static int32_t buffer[kRows][kWide];
  int32_t row_begin[kRows], row_end[kRows], index_base[kRows];
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  int t, s, i;
  for (s = 0; s < 2 * kLongest; ++s) {
    const Token *token = &tokens[s / kLongest][s % kLongest];
    scales[s] = (float)token->index_scale;
    for (i = 0; i < kIndexDim; ++i) gathered[s][i] = to_e4m3(token->index_key[i]);
  }
  for (t = 0; t < kRows; ++t) {
    row_begin[t] = t < 3 ? 0 : kLongest;
    row_end[t] = row_begin[t] + (t < 3 ? 2 + 5 * t : 4 * t - 8);
    index_base[t] = 0;
    for (i = 0; i < kWide; ++i) buffer[t][i] = -77;
  }
  d.k = kTopk;
  d.q = dsa_tensor_3d(index_q, DSA_F32, kRows, kIndexHeads, kIndexDim);
  d.keys = dsa_tensor_2d(gathered, DSA_F8_E4M3FN, 2 * kLongest, kIndexDim);
  d.k_scale = dsa_tensor_1d(scales, DSA_F32, 2 * kLongest);
  d.w = dsa_tensor_2d(index_w, DSA_F32, kRows, kIndexHeads);
  d.row_begin = dsa_tensor_1d(row_begin, DSA_I32, kRows);
  d.row_end = dsa_tensor_1d(row_end, DSA_I32, kRows);
  d.index_base = dsa_tensor_1d(index_base, DSA_I32, kRows);
  d.indices = dsa_tensor_2d(&buffer[0][2], DSA_I32, kRows, kTopk);
  d.indices.stride[0] = kWide;
  CALL(dsa_indexer_topk(ctx, &d, NULL));
  for (t = 0; t < kRows; ++t) {
    int want[kTopk];
    const int n = select_row(t, tokens[t < 3 ? 0 : 1], row_end[t] - row_begin[t], want);
    for (i = 0; i < kTopk; ++i) CHECK(buffer[t][2 + i] == (i < n ? want[i] : -1));
    CHECK(buffer[t][1] == -77 && buffer[t][2 + kTopk] == -77);
  }
}

int main(void) {
  Token(*tokens)[kLongest] = zeroed(2, sizeof *tokens);
  dsa_ctx *ctx;
  int r, s, i;
  memset(index_cache, 0xff, sizeof index_cache); /* NaN where no token is */
  memset(kv_cache, 0xff, sizeof kv_cache);
  memset(out, 0x77, sizeof out);
  for (r = 0; r < 2; ++r) {
    for (s = 0; s < kLongest; ++s) {
      write_token(&tokens[r][s], (char *)index_cache + index_table[r][s / kIndexPage] * kPageBytes,
                  s % kIndexPage,
                  (char *)kv_cache + (kv_table[r][s / kKvPage] * kKvPage + s % kKvPage) * 656);
    }
  }
  for (i = 0; i < kRows * kIndexHeads * kIndexDim; ++i) (&index_q[0][0][0])[i] = (float)noise();
  for (i = 0; i < kRows * kIndexHeads; ++i) (&index_w[0][0])[i] = (float)noise();
  for (i = 0; i < kRows * kHeads * (kDim + 64); ++i) (&query[0][0][0])[i] = to_bf16(noise());
  CALL(dsa_ctx_create(NULL, &ctx));
  decode(ctx, tokens);
  prefill(ctx, tokens);
  dsa_ctx_destroy(ctx);
  free(tokens);
  return 0;
}

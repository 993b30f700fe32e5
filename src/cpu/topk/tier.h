// What one SIMD tier offers to the top-k driver and to the fused indexer: selecting a row, and its
// pieces for rows that arrive in parts.
//
// The method: a lower bound (from a sample, a hint, or nothing), one filter pass that keeps
// (score, index) of every element at or above it in index order, then an exact select among the
// survivors. The survivors live in a list of bounded size; when it fills, it is cut down to the k
// best of what was seen, and their smallest score becomes the bound. From then on the bound is
// proved, and an equal score later in the row can never win (the smaller index does), so plateaus
// do not fill the list again. A bound that was only guessed is proved at the end: the list then
// holds at least k elements, or the row is done again with a lower one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dsa::cpu::topk {

// Reads scores [first, first + n) of a row that is not contiguous f32 (strided, masked, bf16 …).
using FetchScores = void (*)(const void *context, int32_t first, int32_t n, float *out);

struct Row {
  const float *scores = nullptr;  // [n]; nullptr: by `fetch`
  FetchScores fetch = nullptr;
  const void *context = nullptr;
  int32_t n = 0;
  int32_t k = 0;                // ≥ 1, may exceed n
  int32_t index_base = 0;       // score j is reported as index_base + j (modulo 2^32)
  bool select_neg_inf = false;  // -inf is an ordinary number
  bool has_bound = false;       // hint: a score believed to be at or below the k-th largest
  float bound = 0.0f;
  const int32_t *previous = nullptr;  // hint: indices once reported; out of range: ignored
  int32_t previous_count = 0;
  int64_t previous_stride = 1;
};

// Either may be nullptr; room for min(k, n) elements each, of which `count` are defined after.
struct Output {
  int32_t *indices = nullptr;  // ascending
  float *values = nullptr;     // aligned with the indices, the scores' own bits
};

// The last element selected in (score descending, index ascending) order.
struct Cut {
  int32_t count = 0;
  float score = __builtin_inff();
  int32_t index = -1;
};

// Survivors in index order. Elements are kept when above `bound`, or equal to it while `inclusive`.
struct List {
  float *values = nullptr;     // [capacity]
  int32_t *indices = nullptr;  // [capacity]
  float *spare = nullptr;      // [capacity]
  int32_t capacity = 0;
  int32_t k = 0;
  int32_t size = 0;
  float bound = 0.0f;
  bool inclusive = false;
};

// What Tier::fetch reads: one row of scores of any stride, f32, f16 or bf16, with a mask over it or
// without. Both pointers are those of the row's first visible column.
struct ScoreSource {
  const char *scores = nullptr;
  int32_t dtype = 0;   // DSA_F32 …
  int64_t stride = 1;  // elements
  const char *mask = nullptr;
  int32_t mask_dtype = 0;
  int64_t mask_stride = 1;  // elements
};

struct Tier {
  const char *name;
  // The whole row. `scratch` has scratch_bytes(n, k), 64-byte aligned.
  Cut (*select_row)(const Row &row, void *scratch, const Output &out);
  // A guess, from a sample of the row and its hints, that about 1.5 k to 3 k elements reach
  // (-inf: no guess). `scratch` as above.
  float (*guess_bound)(const Row &row, void *scratch);
  // Appends scores [n], which have indices first + j. Calls come in index order.
  void (*feed)(List &list, const float *scores, int32_t n, int32_t first);
  // Feeds elements [begin, end) of a row.
  void (*feed_row)(List &list, const Row &row, int32_t begin, int32_t end, void *scratch);
  // Appends another list whose indices all come later (both filtered by the same first bound).
  void (*append)(List &list, const List &later);
  // Selects among the survivors. The result is the row's when the list began at floor_bound, or
  // when `size ≥ k` before the call.
  Cut (*finish)(List &list, const Output &out);
  // For Row::fetch, with a ScoreSource as the context. Hidden scores read as NaN, which nothing
  // selects, whatever -inf means.
  FetchScores fetch;
};

const Tier &tier_scalar();
#if defined(DSA_X86)
const Tier &tier_avx2();
const Tier &tier_avx512();
#endif

// Elements moved at once by the widest tier times its unrolling: slack behind every buffer.
constexpr int32_t kSlack = 128;
constexpr int32_t kFetchChunk = 2048;
constexpr int32_t kMaxSample = 2048;

// Twice k, so that cutting down is paid for by at least k elements that came in; never more than
// the row.
static inline int32_t list_capacity(int32_t n, int32_t k) {
  const int64_t wanted = 2 * int64_t{k} + 512;
  const int64_t most = wanted < n ? wanted : int64_t{n};
  const int64_t rounded = (most + 2 * kSlack - 1) / kSlack * kSlack + kSlack;
  return rounded < INT32_MAX ? int32_t(rounded) : INT32_MAX / kSlack * kSlack;
}

static inline size_t list_bytes(int32_t n, int32_t k) { return size_t(list_capacity(n, k)) * 12; }

static inline size_t fetch_bytes() { return size_t(kFetchChunk + kSlack) * sizeof(float); }

// A list, and a buffer for the sample or for fetched scores. Grows with n and with k.
static inline size_t scratch_bytes(int32_t n, int32_t k) {
  return list_bytes(n, k) + fetch_bytes();
}

// An empty list in list_bytes(n, k) of memory. With bound -inf it keeps all that can be selected.
static inline List make_list(void *memory, int32_t n, int32_t k, float bound, bool select_neg_inf) {
  List list;
  list.capacity = list_capacity(n, k);
  list.values = static_cast<float *>(memory);
  list.spare = list.values + list.capacity;
  list.indices = reinterpret_cast<int32_t *>(list.spare + list.capacity);
  list.k = k < n ? k : n;
  list.bound = bound;
  list.inclusive = bound > -__builtin_inff() || select_neg_inf;
  return list;
}

}  // namespace dsa::cpu::topk

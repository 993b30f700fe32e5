// Selecting a whole row: where its bound comes from, the filter pass, and what happens when the
// bound was too high.
#pragma once

#include "cpu/topk/fetch.inl.h"
#include "cpu/topk/list.inl.h"

namespace dsa::cpu::topk {
namespace {

constexpr int32_t kShortRow = 2048;  // up to here the bound is proved before the filter pass
constexpr int32_t kRun = 4;  // neighbours read together: one load, though they count as correlated

static inline void read_scores(const Row &row, int32_t first, int32_t n, float *out) {
  if (row.scores != nullptr) {
    memcpy(out, row.scores + first, size_t(n) * sizeof(float));
  } else {
    row.fetch(row.context, first, n, out);
  }
}

static inline int32_t sample_size(int32_t n) {
  return n <= 32768 ? 256 : n <= 65536 ? 1024 : kMaxSample;
}

// One run at a hashed place in the middle half of each equal part of the row: rising and falling
// rows then sample at their true quantiles, give or take a quarter of a part.
static inline int32_t take_sample(const Row &row, float *sample) {
  const int32_t runs = sample_size(row.n) / kRun;  // a power of two: dividing would take 4 us
  const int shift = __builtin_ctz(uint32_t(runs));
  uint32_t hash = 0x9e3779b9u;
  for (int32_t j = 0; j < runs; ++j) {
    const int64_t begin = (int64_t{row.n} * j) >> shift;
    const int64_t length = ((int64_t{row.n} * (j + 1)) >> shift) - begin;
    hash = hash * 1664525u + 1013904223u;
    const int64_t room = (length - kRun) / 2;
    const int64_t at = begin + room / 2 + int64_t((uint64_t{hash} * uint64_t(room + 1)) >> 32);
    read_scores(row, int32_t(at), kRun, sample + j * kRun);
  }
  return runs * kRun;
}

template <class V>
int32_t numbers(const float *values, int32_t n) {  // above -inf; values padded
  const auto lowest = V::set1(-__builtin_inff());
  int32_t count = 0;
  for (int32_t i = 0; i < n; i += V::kWidth) {
    count += __builtin_popcount(V::gt_bits(V::load(values + i), lowest));
  }
  return count;
}

template <class V>
int32_t reaching(const float *values, int32_t n, float bound) {
  const auto lanes = V::set1(bound);
  int32_t count = 0;
  for (int32_t i = 0; i < n; i += V::kWidth) {
    count += __builtin_popcount(V::ge_bits(V::load(values + i), lanes));
  }
  return count;
}

// The smallest score, now, of a previous selection. Nothing is asked of it: a bound that is too
// high is found out by counting.
static inline float previous_bound(const Row &row) {
  float lowest = __builtin_inff();
  for (int32_t j = 0; j < row.previous_count; ++j) {
    const uint32_t index = uint32_t(row.previous[j * row.previous_stride]);
    const int32_t at = int32_t(index - uint32_t(row.index_base));
    if (at < 0 || at >= row.n) continue;
    float score;
    read_scores(row, at, 1, &score);
    if (score < lowest) lowest = score;
  }
  return lowest;
}

// A score that at least k elements reach but for bad luck: 3 sigma below the expected rank in the
// sample, the second attempt at three times that rank. -inf: no such guess.
template <class V>
float guess(const Row &row, int attempt, float *sample) {
  const float floor = -__builtin_inff();
  if (attempt > 1 || row.n <= kShortRow || row.k >= row.n - row.n / 4) return floor;
  const int32_t m = take_sample(row, sample);
  pad_with_nan<V>(sample, m);
  const float expected = float(row.k) * float(m) / float(row.n);
  const float spread = expected < 1.0f ? 1.0f : __builtin_sqrtf(expected);
  int32_t rank = int32_t(expected + 3.0f * spread) + 1;
  if (attempt == 1) rank *= 3;
  if (rank >= numbers<V>(sample, m)) return floor;
  float bound = kth_by_bisection<V>(sample, m, rank, rank / 8).value;
  if (attempt == 1) return bound;
  // Hints: taken where they are the sharper bound and the sample does not speak against them.
  const int32_t least = int32_t(expected - 3.0f * spread);
  const float hints[2] = {row.has_bound ? row.bound : floor,
                          row.previous_count > 0 ? previous_bound(row) : floor};
  for (const float hint : hints) {
    if (hint > bound && reaching<V>(sample, m, hint) >= least) bound = hint;
  }
  return bound;
}

template <class V>
void feed_row(List &list, const Row &row, int32_t begin, int32_t end, void *scratch) {
  const auto index_of = [&](int32_t j) { return int32_t(uint32_t(row.index_base) + uint32_t(j)); };
  if (row.scores != nullptr) {
    feed<V>(list, row.scores + begin, end - begin, index_of(begin));
    return;
  }
  float *chunk = static_cast<float *>(scratch);
  for (int32_t j = begin; j < end;) {
    const int32_t n = end - j < kFetchChunk ? end - j : kFetchChunk;
    row.fetch(row.context, j, n, chunk);
    feed<V>(list, chunk, n, index_of(j));
    j += n;
  }
}

// The k-th largest of the maxima of disjoint groups: k elements reach it. Element j is in group
// j % groups, so that neighbours, which are alike, fall apart: with two groups for each of the k
// about 1.3 k elements survive. Returns -inf where fewer groups than k have a number.
template <class V, int32_t groups>
float bound_by_groups(const float *scores, int32_t n, int32_t k) {
  constexpr int kVectors = groups / V::kWidth;
  // At least four maxima that do not wait for each other: one takes 4 cycles.
  constexpr int kChains = kVectors < 4 ? 4 : kVectors;
  constexpr int kStep = kChains * V::kWidth;
  const auto lowest = V::set1(-__builtin_inff());
  typename V::F most[kChains];
  for (int v = 0; v < kChains; ++v) most[v] = lowest;
  int32_t j = 0;
  for (; n - j >= kStep; j += kStep) {
    for (int v = 0; v < kChains; ++v) {
      most[v] = V::max(V::load(scores + j + v * V::kWidth), most[v]);
    }
  }
  for (int v = kVectors; v < kChains; ++v) {
    most[v % kVectors] = V::max(most[v], most[v % kVectors]);
  }
  for (int v = 0; j < n; v = (v + 1) % kVectors, j += V::kWidth) {
    const int lanes = n - j < V::kWidth ? n - j : V::kWidth;
    const auto x = V::select(V::first_n(lanes), V::load_n(scores + j, lanes), lowest);
    most[v] = V::max(x, most[v]);
  }
  float maxima[groups + V::kWidth];
  for (int v = 0; v < kVectors; ++v) V::store(maxima + v * V::kWidth, most[v]);
  return kth_of_few<V>(maxima, groups, k, k / 8).value;
}

// The fewest groups, 8/5 k and more: the less there are, the quicker the k-th is found.
template <class V>
float proved_bound(const float *scores, int32_t n, int32_t k) {
  if (k <= 10 && n >= 32) return bound_by_groups<V, 16>(scores, n, k);
  if (k <= 20 && n >= 64) return bound_by_groups<V, 32>(scores, n, k);
  if (k <= 40 && n >= 128) return bound_by_groups<V, 64>(scores, n, k);
  if (k <= 80 && n >= 256) return bound_by_groups<V, 128>(scores, n, k);
  if (k <= 160 && n >= 512) return bound_by_groups<V, 256>(scores, n, k);
  return -__builtin_inff();
}

template <class V>
Cut select_short_row(const Row &row, const float *scores, void *memory, const Output &out) {
  const float bound = proved_bound<V>(scores, row.n, row.k);
  List list = make_list(memory, row.n, row.k, bound, row.select_neg_inf);
  // About one survivor in a step of the filter. (Rows of 1000 that do not repeat, k 10, Zen 5: 183
  // ns instead of 236; AVX2 220 instead of 340.)
  if (row.k <= row.n / 64) {
    feed<V, true>(list, scores, row.n, row.index_base);
  } else {
    feed<V>(list, scores, row.n, row.index_base);
  }
  return finish<V>(list, out);
}

template <class V>
Cut select_row(const Row &row, void *scratch, const Output &out) {
  if (row.n <= 0 || row.k <= 0) return {};
  float *buffer =
      reinterpret_cast<float *>(static_cast<char *>(scratch) + list_bytes(row.n, row.k));
  if (row.n <= kShortRow) {
    if (row.scores != nullptr) return select_short_row<V>(row, row.scores, scratch, out);
    row.fetch(row.context, 0, row.n, buffer);
    return select_short_row<V>(row, buffer, scratch, out);
  }
  for (int attempt = 0;; ++attempt) {
    const float bound = guess<V>(row, attempt, buffer);
    List list = make_list(scratch, row.n, row.k, bound, row.select_neg_inf);
    feed_row<V>(list, row, 0, row.n, buffer);
    if (list.size >= list.k || bound == -__builtin_inff()) return finish<V>(list, out);
  }
}

template <class V>
float guess_bound(const Row &row, void *scratch) {
  return guess<V>(row, 0, static_cast<float *>(scratch));
}

template <class V>
constexpr Tier make_tier(const char *name) {
  return {name,        select_row<V>, guess_bound<V>, feed<V>,
          feed_row<V>, append<V>,     finish<V>,      fetch_scores<V>};
}

}  // namespace
}  // namespace dsa::cpu::topk

// The r-th largest of an unordered array of f32, for the sample and for the survivors.
#pragma once

#include "cpu/topk/tier.h"

namespace dsa::cpu::topk {
namespace {

constexpr int32_t kAllEqual = INT32_MAX;

// The r largest are: everything above `value`, and the first `quota` equal to it.
struct Kth {
  float value;
  int32_t quota;
};

// Fills the lanes behind an array up to whole vectors; a NaN compares false with everything.
template <class V>
void pad_with_nan(float *values, int32_t n) {
  V::store(values + n, V::set1(__builtin_nanf("")));
}

// Maps floats to integers of the same order (-0 just below +0), and back: an involution on the
// negative half.
static inline int32_t ordered_int(float x) {
  const int32_t i = int32_t(f32_bits(x));
  return i ^ int32_t(uint32_t(i >> 31) >> 1);
}
static inline float ordered_float(int32_t i) {
  return f32_from_bits(uint32_t(i ^ int32_t(uint32_t(i >> 31) >> 1)));
}

// A value p with low ≤ p < high that leaves about `share` of the way between them above it. Every
// third one halves the ordered integers: that suits scores over many magnitudes, where the others
// hardly move, and bounds the steps at 96.
static inline float split_point(float low, float high, float share, int step) {
  if (step % 3 != 2) {
    const float p = high - (high - low) * share;
    if (p >= low && p < high) return p;
  }
  const int64_t sum = int64_t{ordered_int(low)} + ordered_int(high);
  const float p = ordered_float(int32_t(sum >> 1));
  return p >= low && p < high ? p : low;
}

// At most kVectors vectors, none of them NaN, padded by pad_with_nan: how many elements each has
// above it, by comparing all with all. Nothing waits and nothing is branched on: a whole row of
// 128, k 8, takes 59 ns with it and 83 with bisection (Zen 5).
template <class V, int kVectors>
Kth kth_by_ranks(const float *values, int32_t n, int32_t r) {
  typename V::F x[kVectors];
  typename V::I above[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    x[v] = V::load(values + v * V::kWidth);
    above[v] = V::set1i(0);
  }
  for (int32_t j = 0; j < n; ++j) {
    const auto other = V::set1(values[j]);
    for (int v = 0; v < kVectors; ++v) above[v] = V::count_gt(other, x[v], above[v]);
  }
  // The r-th largest is the lowest that has fewer than r above it.
  const auto infinite = V::set1(__builtin_inff());
  auto lowest = infinite;
  for (int v = 0; v < kVectors; ++v) {
    lowest = V::min(V::keep_below(above[v], V::set1i(r), x[v], infinite), lowest);
  }
  const float value = V::reduce_min(lowest);
  int32_t greater = 0;
  for (int v = 0; v < kVectors; ++v)
    greater += __builtin_popcount(V::gt_bits(x[v], V::set1(value)));
  return {value, r - greater};
}

// Bisection by counting, on actual elements: each step moves one end to an element, so clusters of
// nearly equal scores cost no more steps than spread ones. `values` is padded by pad_with_nan; of
// its numbers there are at least r. With slack > 0 any value that r … r + slack elements reach
// will do.
template <class V>
Kth kth_by_bisection(const float *values, int32_t n, int32_t r, int32_t slack) {
  const float kInf = __builtin_inff();
  auto low_lanes = V::set1(kInf);
  auto high_lanes = V::set1(-kInf);
  for (int32_t i = 0; i < n; i += V::kWidth) {
    const auto x = V::load(values + i);
    low_lanes = V::min(x, low_lanes);
    high_lanes = V::max(x, high_lanes);
  }
  float low = V::reduce_min(low_lanes);  // the answer is in [low, high], both elements
  float high = V::reduce_max(high_lanes);
  int32_t above = 0;  // elements > high
  int32_t reach = n;  // elements ≥ low, or more
  for (int step = 0; low < high; ++step) {
    // Interpolated by counts, but not above the middle: scores thin out upwards.
    const float part = (float(r - above) - 0.5f) / float(reach - above);
    const float share = part < 0.5f ? 0.5f : part;
    const auto pivot = V::set1(split_point(low, high, share, step));
    low_lanes = V::set1(kInf);
    high_lanes = V::set1(-kInf);
    int32_t count = 0;
    for (int32_t i = 0; i < n; i += V::kWidth) {
      const auto x = V::load(values + i);
      count += __builtin_popcount(V::gt_bits(x, pivot));
      low_lanes = V::min(V::keep_gt(x, pivot, low_lanes), low_lanes);
      high_lanes = V::max(V::keep_le(x, pivot, high_lanes), high_lanes);
    }
    if (count >= r) {
      low = V::reduce_min(low_lanes);
      reach = count;
      if (count <= r + slack) return {low, kAllEqual};
    } else {
      high = V::reduce_max(high_lanes);
      above = count;
      if (count + 1 == r) return {high, 1};
    }
  }
  return {low, r - above};
}

template <class V>
Kth kth_of_few(const float *values, int32_t n, int32_t r, int32_t slack) {
  if (V::kWidth > 1 && n <= V::kWidth) return kth_by_ranks<V, 1>(values, n, r);
  if (V::kWidth > 1 && n <= 2 * V::kWidth) return kth_by_ranks<V, 2>(values, n, r);
  return kth_by_bisection<V>(values, n, r, slack);
}

// Copies the elements that `keep` gives bits for, in order; `to` may be `from`: whole vectors are
// stored, never further than the one just read.
template <class V, class Keep>
int32_t compress_values(const float *from, int32_t n, float *to, Keep keep) {
  int32_t size = 0;
  for (int32_t i = 0; i < n; i += V::kWidth) {
    const auto x = V::load(from + i);
    const uint32_t bits = keep(x);
    const typename V::Compressor compress(bits);
    V::store(to + size, compress(x));
    size += __builtin_popcount(bits);
  }
  return size;
}

constexpr int32_t kBisect = 256;  // up to here plain bisection is the quicker one
constexpr int32_t kPivotSample = 128;

// Any n: two pivots around the wanted rank from a sample, then only what is between them (Floyd and
// Rivest, 1975), until little is left. Each round is proved by counting before anything is dropped,
// and drops at least one of the pivots. `spare` has room for n and a vector.
template <class V>
Kth kth_largest(const float *values, int32_t n, int32_t r, float *spare) {
  constexpr int kMaxRounds = 8;  // a row made to mislead the samples ends in plain bisection
  float sample[kPivotSample + V::kWidth];
  uint32_t hash = 0x9e3779b9u;
  for (int round = 0; n > kBisect && round < kMaxRounds; ++round) {
    const int32_t step = n / kPivotSample;
    for (int32_t j = 0; j < kPivotSample; ++j) {
      hash = hash * 1664525u + 1013904223u;
      sample[j] = values[j * step + int32_t((uint64_t{hash} * uint32_t(step)) >> 32)];
    }
    pad_with_nan<V>(sample, kPivotSample);
    const int32_t rank = int32_t(int64_t{r} * kPivotSample / n);
    const int32_t margin = rank < 16 || rank > kPivotSample - 16 ? 6 : 12;
    const int32_t high_rank = rank > margin ? rank - margin : 1;
    const int32_t low_rank = rank + margin < kPivotSample ? rank + margin : kPivotSample;
    const float high_pivot = kth_by_bisection<V>(sample, kPivotSample, high_rank, 0).value;
    const float low_pivot = kth_by_bisection<V>(sample, kPivotSample, low_rank, 0).value;
    const auto high = V::set1(high_pivot);
    const auto low = V::set1(low_pivot);

    int32_t above_high = 0;
    int32_t reach_high = 0;
    int32_t above_low = 0;
    for (int32_t i = 0; i < n; i += V::kWidth) {
      const auto x = V::load(values + i);
      above_high += __builtin_popcount(V::gt_bits(x, high));
      reach_high += __builtin_popcount(V::ge_bits(x, high));
      above_low += __builtin_popcount(V::gt_bits(x, low));
    }
    if (r <= above_high) {
      n = compress_values<V>(values, n, spare, [&](auto x) { return V::gt_bits(x, high); });
    } else if (r <= reach_high) {
      return {high_pivot, r - above_high};
    } else if (r <= above_low) {
      n = compress_values<V>(values, n, spare,
                             [&](auto x) { return V::gt_bits(x, low) & V::gt_bits(high, x); });
      r -= reach_high;
    } else {
      // At or below the low pivot; below it when both are the same, since then it was counted.
      const bool same = low_pivot == high_pivot;
      n = compress_values<V>(
          values, n, spare, [&](auto x) { return same ? V::gt_bits(low, x) : V::ge_bits(low, x); });
      r -= same ? reach_high : above_low;
    }
    pad_with_nan<V>(spare, n);
    values = spare;
  }
  return kth_of_few<V>(values, n, r, 0);
}

}  // namespace
}  // namespace dsa::cpu::topk

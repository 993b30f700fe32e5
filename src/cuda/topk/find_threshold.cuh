// The k-th largest score of a row that several threads hold, by counting how many reach a bound:
// first bounds around a guess, then one between two of them. It ends as soon as just k reach one,
// or all but one of them: that one is the next below.
#pragma once

#include <bit>

#include "cuda/topk/guess.cuh"
#include "cuda/topk/own_scores.cuh"

namespace dsa::cuda::topk {

// At least `low` are from_low scores, k or more; at least `high`, from_high, fewer. At first no
// such bounds are known: `low` is what no selected score is below, `high` NaN.
struct Bracket {
  float low, high = __builtin_nanf("");
  float from_low, from_high = 0;

  __device__ bool found(float k) const {
    return from_low == k || from_high >= k - 1 || low >= high;
  }
  __device__ bool open(float k, float lowest) const {
    return !found(k) && (low == lowest || high != high);
  }
  __device__ float middle() const { return 0.5f * low + 0.5f * high; }
  // Where the k-th largest is if the scores between the bounds are spread evenly. Beyond their
  // middle only where some score reaches `high`, which may be far from all.
  __device__ float interpolated(float k) const {
    const float share = __fdividef(from_low - k + 0.5f, from_low - from_high);
    return low + (high - low) * (from_high > 0 ? share : fminf(share, 0.5f));
  }
  // Of their keys' range, which is quicker where that of the scores spans magnitudes.
  __device__ float middle_of_keys() const {
    const uint32_t first = ordered_key(low);
    return score_of(first + (ordered_key(high) - first) / 2);
  }
  __device__ bool holds(float at) const { return low < at && !(at >= high); }
  // `low` is the k-th largest itself, however many reach it.
  __device__ void end_at_low(float k) { from_low = k; }

  __device__ void narrow(float at, float from_at, float k) {
    const bool enough = from_at >= k;
    low = enough ? at : low;
    from_low = enough ? from_at : from_low;
    high = enough ? high : at;
    from_high = enough ? from_high : from_at;
  }
};

// A bound to begin with, and about how far it is there from one score to the next.
struct Guess {
  float at, spacing;

  // Beyond the k-th largest, as far as this bound is from it, and some more.
  __device__ void move(float from_at, float k, float factor, float more, float lowest) {
    const float distance = from_at - k + 0.5f;
    at = fmaxf(at + (distance * factor + copysignf(more, distance)) * spacing, lowest);
  }
};

// Of rows with scores that are not finite, or shorter than they could be. Out of line, as all that
// is rare: the few microseconds of a call go by what is fetched, too.
template <class Row, class Own>
__device__ __noinline__ Guess guess_among_finite(const Row& row, Own own, float k) {
  float sum, largest, count;
  own.finite_summary(sum, largest, count);
  float threads = count > 0 ? 1.0f : 0.0f;
  if (count == 0) largest = 0;
  row.sum(sum, largest);
  row.sum(count, threads);
  const float mean = __fdividef(sum, count);
  const float doublings = __log2f(fmaxf(__fdividef(count, threads), 1.5f));
  const float deviation =
      __fdividef(__fdividef(largest, threads) - mean, deviations_of_largest(doublings));
  const NormalRank rank(k, fmaxf(count, k));
  return {mean + rank.place * deviation, rank.spacing * deviation};
}

// From the mean of all scores and that of each thread's largest: unlike squares they do not cancel.
template <class Row, class Own>
__device__ Guess guess_kth(const Row& row, const Own& own, float k, const NormalRank& rank) {
  constexpr float kOfThread = 1 / deviations_of_largest(std::bit_width(unsigned{Own::kCount}) - 1);
  float sum, largest;
  own.summary(sum, largest);
  row.sum(sum, largest);
  if (row.any(!(fabsf(sum) <= kLargestScore))) {
    return guess_among_finite(row, own, k);
  }
  const float mean = sum * rank.share_of_one;
  const float deviation = (largest * (1.0f / Row::kCount) - mean) * kOfThread;
  return {mean + rank.place * deviation, rank.spacing * deviation};
}

// Goes on where that takes long: in rows of many equal scores, or of scores that span magnitudes.
template <class Row, class Own>
__device__ __noinline__ Bracket narrow_any(const Row& row, Own own, float k, float lowest,
                                           Bracket b) {
  // The largest score below `high`, which many may equal.
  const auto take_next = [&](bool found) {
    const float below = fmaxf(row.largest(own.largest_below(b.high)), b.low);
    const float from_below = row.sum(own.count(below));
    if (found) return;
    if (from_below >= k) {
      b.low = below;
      b.end_at_low(k);
    } else {
      b.high = below;
      b.from_high = from_below;
    }
  };
  take_next(b.found(k));
  if (row.any(b.open(k, lowest))) {
    const float least = -row.largest(-own.least_from(lowest));
    const float from_least = row.sum(own.count(least));
    if (b.open(k, lowest)) {
      if (from_least >= k) {
        b.low = least;
        b.from_low = from_least;
      } else {  // all of them
        b.high = b.low;
        b.from_high = from_least;
      }
    }
  }
  int32_t idle = 0;  // steps for nothing
#pragma unroll 1
  for (int32_t step = 0;; ++step) {
    bool found = b.found(k);
    float at = b.middle();
    if (step % 3 == 0) at = b.interpolated(k);
    if (step % 3 == 2 || !(b.low < at && at < b.high)) {
      at = b.middle_of_keys();
      if (!found && !b.holds(at)) {
        b.end_at_low(k);
        found = true;
      }
    }
    if (!row.any(!found)) return b;
    if (step % 3 != 2 && row.any(!found && idle > 1)) {
      take_next(found);
      idle = 0;
    } else {
      const float from_at = row.sum(own.count(at));
      idle = from_at == b.from_low || from_at == b.from_high ? idle + 1 : 0;
      if (!found) b.narrow(at, from_at, k);
    }
  }
}

// Scores of a thread from which on a step saved is worth the arithmetic of a better bound.
inline constexpr int32_t kInterpolated = 32;

// The k-th largest of n scores, n > k, or anything between it and the next one below; `lowest`,
// which is the least that is selected, where fewer than k reach that.
template <class Row, class Own>
__device__ float find_threshold(const Row& row, const Own& own, float k, float n, float lowest,
                                const NormalRank& rank) {
  Guess guess = guess_kth(row, own, k, rank);
  Bracket b = {.low = lowest, .from_low = n};
  guess.at = fmaxf(guess.at, lowest);
  float from_at = row.sum(own.count(guess.at));
  b.narrow(guess.at, from_at, k);
  guess.move(from_at, k, 1.2f, 0.5f, lowest);
  from_at = row.sum(own.count(guess.at));
  b.narrow(guess.at, from_at, k);
  bool slow = false;
  if (row.any(b.open(k, lowest))) {
    slow = row.any(b.open(k, lowest) && fabsf(from_at - k) > 0.5f * k + 12);
    if (!slow) {
      guess.move(from_at, k, 3, 2, lowest);
      if (!b.open(k, lowest)) guess.at = b.middle();
      b.narrow(guess.at, row.sum(own.count(guess.at)), k);
      slow = row.any(b.open(k, lowest));
    }
  }
  if (!slow) {
    const float between = b.from_low - b.from_high;
    int32_t left = 7;
#pragma unroll 1
    while (row.any(!b.found(k))) {
      if (left % 4 == 0) {
        slow = left == 0 || row.any(!b.found(k) && b.from_low - b.from_high == between);
        if (slow) break;
      }
      --left;
      if constexpr (Own::kCount < kInterpolated) {
        const float at = b.middle();
        b.narrow(at, row.sum(own.count(at)), k);
      } else {
        float at = b.interpolated(k);
        if (!b.holds(at)) at = b.middle_of_keys();
        const float from_at = row.sum(own.count(at));
        if (b.holds(at)) {
          b.narrow(at, from_at, k);
        } else {  // no score is between the bounds
          b.end_at_low(k);
        }
      }
    }
  }
  if (slow) b = narrow_any(row, own, k, lowest, b);
  if (row.any(b.from_low != k)) {
    const float below = fmaxf(row.largest(own.largest_below(b.high)), lowest);
    if (b.from_low != k) b.low = below;
  }
  return b.low;
}

}  // namespace dsa::cuda::topk

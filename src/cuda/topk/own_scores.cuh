// A thread's part of a short row: neighbours, as the floats that they are. What is compared is what
// counts: NaN reaches no bound, and both zeros are equal.
#pragma once

#include "cuda/topk/key.cuh"
#include "cuda/topk/lanes.cuh"

namespace dsa::cuda::topk {

inline constexpr float kLargestScore = 0x1.fffffep127f;

// The next larger score; of the largest one NaN, which nothing reaches.
__device__ inline float next_score(float x) { return score_of(ordered_key(x) + 1); }

// A bit for each of a thread's M scores.
template <int M>
struct ScoreSet {
  static constexpr int32_t kWords = (M + 31) / 32;
  uint32_t words[kWords];

  __device__ int32_t count() const {
    int32_t sum = 0;
#pragma unroll
    for (int32_t w = 0; w < kWords; ++w) sum += __popc(words[w]);
    return sum;
  }
  __device__ ScoreSet with(const ScoreSet& other) const {
    ScoreSet set;
#pragma unroll
    for (int32_t w = 0; w < kWords; ++w) set.words[w] = words[w] | other.words[w];
    return set;
  }
  __device__ ScoreSet without(const ScoreSet& other) const {
    ScoreSet set;
#pragma unroll
    for (int32_t w = 0; w < kWords; ++w) set.words[w] = words[w] & ~other.words[w];
    return set;
  }
  // Without all but the first `kept`.
  __device__ void keep_first(int32_t kept) {
#pragma unroll
    for (int32_t w = 0; w < kWords; ++w) {
      const int32_t here = __popc(words[w]);
      if (here > kept) words[w] &= (1u << place_after(words[w], max(kept, 0))) - 1;
      kept -= here;
    }
  }
  // Stores number `first` + i for all i in the set, in order, as 16 bits in shared memory that ends
  // at `end`. By addresses: the compiler would work out a pointer's anew for each.
  __device__ void store_before(uint32_t end, int32_t first) const {
    asm volatile("" : "+r"(end));
    if constexpr (M <= 16) {  // sooner than as many rounds as the one of 32 threads that has most
#pragma unroll
      for (int32_t i = M - 1; i >= 0; --i) {
        asm volatile(
            "{\n .reg .pred p;\n setp.ne.u32 p, %1, 0;\n @p add.u32 %0, %0, -2;\n"
            " @p st.shared.u16 [%0], %2;\n}"
            : "+r"(end)
            : "r"(words[0] & 1u << i), "h"(static_cast<uint16_t>(first + i))
            : "memory");
      }
    } else {
#pragma unroll
      for (int32_t w = kWords - 1; w >= 0; --w) {
        uint32_t left = words[w];
        while (left != 0) {
          const int32_t i = 31 - __clz(left);
          left ^= 1u << i;
          end -= 2;
          asm volatile("st.shared.u16 [%0], %1;" ::"r"(end),
                       "h"(static_cast<uint16_t>(first + w * 32 + i))
                       : "memory");
        }
      }
    }
  }

 private:
  // The place after which the next bit would be one more than `kept`, of a word that has more.
  __device__ static int32_t place_after(uint32_t word, int32_t kept) {
    int32_t place = 0;
#pragma unroll
    for (int32_t step = 16; step > 0; step /= 2) {
      const int32_t here = __popc(word >> place & ((1u << step) - 1));
      if (here <= kept) {
        kept -= here;
        place += step;
      }
    }
    return place;
  }
};

// `Source` has kCount of them and calls f(i, score i) for each.
template <class Source>
struct OwnScores : Source {
  using Source::each;
  using Source::kCount;
  using Set = ScoreSet<kCount>;

  // A tally of those that are at least `bound`. Sums of a comparison's 1.0 or 0.0 are half of the
  // instructions that a predicate and a counter take, and not all of one pipe.
  __device__ float count(float bound) const {
    float sums[2] = {kTally, 0};
    each([&](int32_t i, float x) { sums[i % 2] += x >= bound ? 1.0f : 0.0f; });
    return sums[0] + sums[1];
  }
  // Sum and largest.
  __device__ void summary(float& sum, float& largest) const {
    float sums[2] = {0, 0}, most[2] = {-__builtin_inff(), -__builtin_inff()};
    each([&](int32_t i, float x) {
      sums[i % 2] = i < 2 ? x : sums[i % 2] + x;
      most[i % 2] = i < 2 ? x : fmaxf(most[i % 2], x);
    });
    sum = sums[0] + sums[1];
    largest = fmaxf(most[0], most[1]);
  }
  // The same of those that are finite, and their count.
  __device__ void finite_summary(float& sum, float& largest, float& count) const {
    sum = count = 0;
    largest = -__builtin_inff();
    each([&](int32_t, float x) {
      const bool finite = fabsf(x) <= kLargestScore;
      sum += finite ? x : 0.0f;
      count += finite ? 1.0f : 0.0f;
      largest = finite ? fmaxf(largest, x) : largest;
    });
  }
  // The largest of those that do not reach `bound`, or -infinity.
  __device__ float largest_below(float bound) const {
    float y = -__builtin_inff();
    each([&](int32_t, float x) { y = x >= bound ? y : fmaxf(y, x); });
    return y;
  }
  // The least of those that do, or infinity.
  __device__ float least_from(float bound) const {
    float y = __builtin_inff();
    each([&](int32_t, float x) { y = x >= bound ? fminf(y, x) : y; });
    return y;
  }
  // Which are at least `bound`. As in count.
  __device__ Set from(float bound) const {
    constexpr int32_t kSums = (kCount + 15) / 16;
    float sums[kSums][2];
#pragma unroll
    for (int32_t s = 0; s < kSums; ++s) sums[s][0] = kTally, sums[s][1] = 0;
    each([&](int32_t i, float x) {
      float& sum = sums[i / 16][i % 2];
      sum = fmaf(x >= bound ? 1.0f : 0.0f, static_cast<float>(1 << i % 16), sum);
    });
    Set set = {};
#pragma unroll
    for (int32_t s = 0; s < kSums; ++s) {
      set.words[s / 2] |= (__float_as_uint(sums[s][0] + sums[s][1]) & 0xffffu) << s % 2 * 16;
    }
    return set;
  }
  // The least of a set, and the last one equal to it.
  __device__ float least_of(const Set& set) const {
    float y = __builtin_inff();
    each([&](int32_t i, float x) {
      if (set.words[i / 32] >> i % 32 & 1) y = fminf(y, x);
    });
    return y;
  }
  __device__ int32_t last_equal(const Set& set, float score) const {
    int32_t last = -1;
    each([&](int32_t i, float x) {
      if ((set.words[i / 32] >> i % 32 & 1) && x == score) last = i;
    });
    return last;
  }
};

// In registers.
template <int M>
struct HeldScores {
  static constexpr int32_t kCount = M;
  float x[M];

  template <class F>
  __device__ void each(F f) const {
#pragma unroll
    for (int32_t i = 0; i < M; ++i) f(i, x[i]);
  }
};

}  // namespace dsa::cuda::topk

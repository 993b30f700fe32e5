// Timing on the wall clock: warm-up, batches long enough for the clock, order statistics.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

namespace bench {

struct TimingPlan {
  int warmup = 3;         // calls
  int repeats = 10;       // samples at least
  double min_time = 0.2;  // seconds of samples at least
  double max_time = 10;   // after this long, three samples are enough
};

struct Timing {  // seconds a call
  double median = 0, min = 0, p10 = 0, p90 = 0;
  int64_t samples = 0;
  int64_t calls = 0;  // in a sample
};

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline Timing summarize(std::vector<double> samples, int64_t calls) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&samples](double share) {  // linear between the two nearest samples
    const double place = share * double(samples.size() - 1);
    const size_t low = size_t(place), high = std::min(low + 1, samples.size() - 1);
    return samples[low] + (place - double(low)) * (samples[high] - samples[low]);
  };
  return {at(0.5), samples.front(), at(0.1), at(0.9), int64_t(samples.size()), calls};
}

// Calls in a sample: a sample of 50 us is measured to 0.1 % by a clock that ticks in 25 ns.
template <class F>
int64_t calls_a_sample(F&& f) {
  constexpr double kSampleSeconds = 50e-6;
  double best = 1e9;
  for (int i = 0; i < 3 && best > kSampleSeconds / 20; ++i) {
    const double begin = now();
    f();
    best = std::min(best, now() - begin);
    if (best > kSampleSeconds) return 1;
  }
  // Short calls are estimated by a hundred of them.
  const double begin = now();
  for (int i = 0; i < 100; ++i) f();
  const double one = std::max((now() - begin) / 100, 1e-10);
  return std::max<int64_t>(1, int64_t(std::ceil(kSampleSeconds / one)));
}

// Times several functions by turns, a sample of each at a time: what disturbs the machine for a
// while disturbs all of them.
template <class... F>
std::vector<Timing> measure_by_turns(const TimingPlan& plan, F&&... f) {
  (
      [&] {
        for (int i = 0; i < plan.warmup; ++i) f();
      }(),
      ...);
  const int64_t calls[] = {calls_a_sample(f)...};
  std::vector<double> samples[sizeof...(F)];
  const double begin = now();
  for (;;) {
    size_t which = 0;
    (
        [&] {
          const double start = now();
          for (int64_t i = 0; i < calls[which]; ++i) f();
          samples[which].push_back((now() - start) / double(calls[which]));
          ++which;
        }(),
        ...);
    const double spent = now() - begin;
    const int taken = int(samples[0].size());
    if (taken >= plan.repeats && spent >= plan.min_time) break;
    if (taken >= std::min(3, plan.repeats) && spent >= plan.max_time) break;
  }
  std::vector<Timing> timings;
  for (size_t i = 0; i < sizeof...(F); ++i) timings.push_back(summarize(samples[i], calls[i]));
  return timings;
}

template <class F>
Timing measure(const TimingPlan& plan, F&& f) {
  return measure_by_turns(plan, f)[0];
}

}  // namespace bench

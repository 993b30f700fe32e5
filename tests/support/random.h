// Random numbers that are the same everywhere for a seed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace support {

// splitmix64 (Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}

  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [low, high].
  int64_t between(int64_t low, int64_t high) {
    return low + int64_t(bits() % uint64_t(high - low + 1));
  }
  bool chance(double p) { return unit() < p; }
  double unit() { return double(bits() >> 11) * 0x1p-53; }  // [0, 1)
  // Bell-shaped, mean 0, deviation 1: enough of a normal distribution for scores and vectors.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += unit();
    return sum;
  }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[between(0, int64_t(values.size()) - 1)];
  }
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (int64_t i = int64_t(values.size()) - 1; i > 0; --i) {
      std::swap(values[size_t(i)], values[size_t(between(0, i))]);
    }
  }
  // Integers as devices hold them: mostly in [low, high], sometimes anything.
  int32_t integer(int64_t low, int64_t high, double wild) {
    if (!chance(wild)) return int32_t(between(low, high));
    switch (between(0, 4)) {
      case 0:
        return INT32_MIN;
      case 1:
        return INT32_MAX;
      case 2:
        return -1;
      case 3:
        return int32_t(high + 1);
      default:
        return int32_t(uint32_t(bits()));
    }
  }

 private:
  uint64_t state_;
};

}  // namespace support

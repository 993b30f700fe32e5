// Random numbers, dtypes and tensors with odd strides for the attention tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "cpu/simd/convert.h"
#include "dsa.h"

namespace {

using dsa::cpu::bf16_to_f32;
using dsa::cpu::e4m3_to_f32;
using dsa::cpu::f16_to_f32;
using dsa::cpu::f32_to_bf16;
using dsa::cpu::f32_to_f16;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

int bytes_of(int dtype) {
  if (dtype == DSA_F32 || dtype == DSA_I32) return 4;
  return dtype == DSA_F16 || dtype == DSA_BF16 ? 2 : 1;
}

double read(int dtype, const char *p) {
  if (dtype == DSA_F8_E4M3FN) return e4m3_to_f32(uint8_t(*p));
  if (dtype == DSA_F32) {
    float x;
    memcpy(&x, p, 4);
    return x;
  }
  uint16_t h;
  memcpy(&h, p, 2);
  return dtype == DSA_F16 ? f16_to_f32(h) : bf16_to_f32(h);
}

void put(int dtype, char *p, double x) {
  if (dtype == DSA_F8_E4M3FN) {
    int best = 0;
    for (int c = 0; c < 256 && !std::isnan(x); ++c) {
      if ((c & 0x7f) == 0x7f) continue;
      if (std::fabs(e4m3_to_f32(uint8_t(c)) - x) < std::fabs(e4m3_to_f32(uint8_t(best)) - x))
        best = c;
    }
    *p = char(std::isnan(x) ? 0x7f : best);
  } else if (dtype == DSA_F32) {
    const float f = float(x);
    memcpy(p, &f, 4);
  } else {
    const uint16_t h = dtype == DSA_F16 ? f32_to_f16(float(x)) : f32_to_bf16(float(x));
    memcpy(p, &h, 2);
  }
}

class Random {
 public:
  explicit Random(unsigned seed) : rng_(seed) {}
  int below(int n) { return int(rng_() % unsigned(n)); }
  int between(int low, int high) { return low + below(high - low + 1); }
  bool one_in(int n) { return below(n) == 0; }
  double normal() { return normal_(rng_); }
  int garbage() {
    const int values[] = {-1, INT32_MAX, INT32_MIN, -7, 1 << 20};
    return values[below(5)];
  }
  template <class T>
  T any(std::initializer_list<T> list) {
    return list.begin()[below(int(list.size()))];
  }

 private:
  std::mt19937 rng_;
  std::normal_distribution<double> normal_;
};

// A tensor with random gaps between its axes, so that every stride is exercised.
struct Tensor {
  dsa_tensor view{};
  std::vector<char> bytes;

  Tensor() = default;
  Tensor(Random &rng, int dtype, std::vector<int64_t> shape, bool adjacent = false) {
    view = dsa_tensor_make(nullptr, dtype, int(shape.size()), shape.data());
    int64_t step = !adjacent && rng.one_in(8) ? 2 : 1;
    for (int i = int(shape.size()) - 1; i >= 0; --i) {
      view.stride[i] = step;
      step = step * shape[i] + (adjacent ? 0 : rng.below(3));
    }
    bytes.assign(size_t(std::max<int64_t>(step, 1)) * bytes_of(dtype), char(0x5a));
    view.data = bytes.data();
  }
  Tensor(Tensor &&other) { *this = std::move(other); }
  Tensor &operator=(Tensor &&other) {
    view = other.view;
    bytes = std::move(other.bytes);
    if (view.ndim) view.data = bytes.data();
    return *this;
  }
  bool given() const { return view.ndim != 0; }
  char *at(std::initializer_list<int64_t> index) const {
    int64_t offset = 0;
    int i = 0;
    for (int64_t x : index) offset += x * view.stride[i++];
    return static_cast<char *>(view.data) + offset * bytes_of(view.dtype);
  }
  double get(std::initializer_list<int64_t> i) const { return read(view.dtype, at(i)); }
  void set(std::initializer_list<int64_t> i, double x) { put(view.dtype, at(i), x); }
  int32_t integer(std::initializer_list<int64_t> i) const {
    return *reinterpret_cast<const int32_t *>(at(i));
  }
  void set_integer(std::initializer_list<int64_t> i, int32_t x) {
    *reinterpret_cast<int32_t *>(at(i)) = x;
  }
};

}  // namespace

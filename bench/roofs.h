// What this machine can do at most, measured: the figures that others are held against.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "context.h"
#include "measure.h"

namespace bench {

struct Rate {
  std::string name;  // "fma.avx512.f32"
  double one = 0;    // one core, GFLOP/s or GB/s; of a GPU not measured
  double all = 0;    // all cores of the context; the GPU
  std::string unit;  // "GFLOP/s", "GB/s"
};

struct Roofs {
  bool gpu = false;
  int threads = 1;
  std::vector<Rate> rates;
  double memory_bytes = 0;  // of the buffer that bandwidth was measured on
  double maximum_us = 0;    // one core, a row of 131072 f32 that stays in L2
  const Rate* find(const std::string& name) const;
  // GFLOP/s that a kernel of this family ("avx512") can reach on `threads` threads; on a GPU for
  // products of this dtype.
  std::optional<double> flop_rate(const std::string& family, int used_threads,
                                  const std::string& dtype) const;
  // GB/s of reading memory.
  std::optional<double> read_rate(int used_threads) const;
  nlohmann::ordered_json json() const;
  void print() const;
};

// `seconds` for each of some fifteen loops.
Roofs measure_roofs(const Context& context, double seconds);

// The fastest vectorised maximum over a row that this machine can run; n a multiple of 256.
using Maximum = float (*)(const float*, int64_t);
Maximum best_maximum(const Context& context);

constexpr int64_t kMaximumRow = 131072;

}  // namespace bench

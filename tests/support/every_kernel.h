// Runs random calls on every kernel of an operation and has the oracle judge each.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "support/cases.h"
#include "support/kernels.h"
#include "support/seeds.h"

namespace support {

// Seconds a kernel may spend on random calls, and seeds to try at most; DSA_TEST_SEED starts
// elsewhere, DSA_TEST_SEEDS tries more.
struct SeedRange {
  uint64_t first = 1;
  uint64_t count;
  double seconds = 6;

  explicit SeedRange(uint64_t n) : count(seeds(n)) {
    if (const char* text = std::getenv("DSA_TEST_SEED")) first = std::strtoull(text, nullptr, 10);
    if (const char* text = std::getenv("DSA_TEST_SEEDS")) {
      count = std::strtoull(text, nullptr, 10);
      seconds = 1e9;
    }
  }
};

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// draw(seed) makes a case; judge(case, kernel) gives "" or what is wrong with the outputs of a run.
// Kernels that the machine cannot run are named and left out; scalar must run.
template <class Draw, class Judge>
void judge_every_kernel(int32_t operation, uint64_t seeds, Draw&& draw, Judge&& judge) {
  bool scalar = false;
  const std::vector<Kernel> kernels = kernels_of(operation);
  ASSERT_FALSE(kernels.empty());
  const SeedRange range(seeds);
  for (const Kernel& kernel : kernels) {
    if (!kernel.usable) {
      std::printf("[  SKIPPED ] %s: %s\n", kernel.name.c_str(), kernel.reason.c_str());
      continue;
    }
    ASSERT_TRUE(kernel.ctx) << kernel.name << ": " << dsa_last_error();
    uint64_t ran = 0, refused = 0;
    const double end = now() + range.seconds;
    for (uint64_t seed = range.first; seed < range.first + range.count && now() < end; ++seed) {
      const auto c = draw(seed);
      const uint64_t inputs = c->arena.input_hash();
      const dsa_status able = supports(kernel.ctx.get(), c->d);
      const std::string why = able == DSA_OK ? "" : dsa_last_error();
      const dsa_status status = run(kernel.ctx.get(), c->d);
      const std::string context =
          kernel.name + " seed " + std::to_string(seed) + ":" + describe(c->d) + "\n";
      if (able == DSA_ERROR_UNSUPPORTED && !kernel.complete()) {
        // A call without rows has nothing to do on any kernel.
        ASSERT_TRUE(status == able || status == DSA_OK) << context << dsa_last_error();
        ++refused;
        continue;
      }
      ASSERT_EQ(status, DSA_OK) << context << dsa_last_error();
      if (able == DSA_ERROR_UNSUPPORTED && !kernel.complete()) {
        ++refused;  // a call of no rows, for which no kernel is asked
        continue;
      }
      ASSERT_EQ(able, DSA_OK) << context << why;
      const std::string wrong = judge(*c, kernel);
      ASSERT_EQ(wrong, "") << context;
      ASSERT_EQ(c->arena.input_hash(), inputs) << context << "an input was changed";
      const std::string gaps = c->arena.check_gaps();
      ASSERT_EQ(gaps, "") << context;
      ++ran;
    }
    std::printf("[  JUDGED  ] %s: %llu calls, %llu refused\n", kernel.name.c_str(),
                static_cast<unsigned long long>(ran), static_cast<unsigned long long>(refused));
    // A share of the calls may hold none of the few shapes that a form is for.
    ASSERT_TRUE(ran > 0 || (!kernel.complete() && std::getenv("DSA_TEST_SHARE"))) << kernel.name;
    scalar = scalar || kernel.family == "scalar" || kernels.size() == 1;
  }
  ASSERT_TRUE(scalar || std::getenv("DSA_TEST_KERNELS")) << "the scalar kernel did not run";
}

}  // namespace support

// The row selection of every tier against a sort.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cpu/topk/tier.h"

namespace dsa::cpu::topk {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Expected {
  std::vector<int32_t> indices;
  std::vector<float> values;
  float cut_score = kInf;
  int32_t cut_index = -1;
};

// One sort answers for every k.
class Oracle {
 public:
  Oracle(const std::vector<float> &scores, bool select_neg_inf) : scores_(scores) {
    for (size_t j = 0; j < scores.size(); ++j) {
      if (std::isnan(scores[j]) || (scores[j] == -kInf && !select_neg_inf)) continue;
      order_.push_back(static_cast<int32_t>(j));
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
  }

  Expected expect(int32_t k, int32_t base) const {
    std::vector<int32_t> chosen = order_;
    if (chosen.size() > static_cast<size_t>(k)) chosen.resize(static_cast<size_t>(k));
    Expected e;
    if (!chosen.empty()) {
      e.cut_score = scores_[chosen.back()];
      e.cut_index = chosen.back() + base;
    }
    std::sort(chosen.begin(), chosen.end());
    for (int32_t j : chosen) {
      e.indices.push_back(j + base);
      e.values.push_back(scores_[j]);
    }
    return e;
  }

 private:
  const std::vector<float> &scores_;
  std::vector<int32_t> order_;
};

// Memory that ASan guards to the byte on both sides.
template <class T>
std::vector<T> exact(size_t n, T fill) {
  std::vector<T> v(n, fill);
  v.shrink_to_fit();
  return v;
}

struct Case {
  std::vector<float> scores;
  int32_t k = 1;
  bool select_neg_inf = false;
  bool by_fetch = false;
  bool has_bound = false;
  float bound = 0;
  std::vector<int32_t> previous;
};

void fetch_from_vector(const void *context, int32_t first, int32_t n, float *out) {
  std::memcpy(out, static_cast<const float *>(context) + first, sizeof(float) * size_t(n));
}

Row make_row(const Case &c, int32_t base) {
  Row row;
  if (c.by_fetch) {
    row.fetch = fetch_from_vector;
    row.context = c.scores.data();
  } else {
    row.scores = c.scores.data();
  }
  row.n = static_cast<int32_t>(c.scores.size());
  row.k = c.k;
  row.index_base = base;
  row.select_neg_inf = c.select_neg_inf;
  row.has_bound = c.has_bound;
  row.bound = c.bound;
  row.previous = c.previous.data();
  row.previous_count = static_cast<int32_t>(c.previous.size());
  return row;
}

struct Scratch {
  explicit Scratch(size_t bytes) : memory(bytes + 64, char(0xa5)) {}
  void *get() {
    auto at = reinterpret_cast<uintptr_t>(memory.data());
    return reinterpret_cast<void *>((at + 63) & ~uintptr_t{63});
  }
  std::vector<char> memory;
};

bool same_bits(const std::vector<float> &a, const float *b) {
  return a.empty() || std::memcmp(a.data(), b, a.size() * sizeof(float)) == 0;
}

void check_result(const Expected &e, const Cut &cut, const std::vector<int32_t> &indices,
                  const std::vector<float> &values) {
  ASSERT_EQ(cut.count, static_cast<int32_t>(e.indices.size()));
  ASSERT_EQ(std::memcmp(&cut.score, &e.cut_score, 4), 0) << cut.score << " " << e.cut_score;
  ASSERT_EQ(cut.index, e.cut_index);
  if (!indices.empty()) {
    ASSERT_TRUE(std::equal(e.indices.begin(), e.indices.end(), indices.begin()));
  }
  if (!values.empty()) {
    ASSERT_TRUE(same_bits(e.values, values.data()));
  }
}

void check_row(const Tier &tier, const Case &c, const Oracle &oracle) {
  constexpr int32_t kBase = 1000;
  const Row row = make_row(c, kBase);
  const Expected e = oracle.expect(c.k, kBase);
  const size_t width = std::min<size_t>(c.scores.size(), size_t(c.k));
  Scratch scratch(scratch_bytes(row.n, row.k));
  auto indices = exact<int32_t>(width, -7);
  auto values = exact<float>(width, -7.0f);
  check_result(e, tier.select_row(row, scratch.get(), {indices.data(), values.data()}), indices,
               values);
  check_result(e, tier.select_row(row, scratch.get(), {}), {}, {});
}

// The row in parts, each with its own list and the same first bound, appended in order.
void check_split(const Tier &tier, const Case &c, const Expected &e, int parts) {
  const Row row = make_row(c, 0);
  Scratch scratch(scratch_bytes(row.n, row.k));
  const float guess = tier.guess_bound(row, scratch.get());
  for (const float bound : {guess, -kInf}) {
    std::vector<std::vector<char>> memory;
    std::vector<List> lists;
    for (int p = 0; p < parts; ++p) {
      memory.emplace_back(list_bytes(row.n, row.k));
      lists.push_back(make_list(memory.back().data(), row.n, row.k, bound, c.select_neg_inf));
      tier.feed_row(lists[p], row, int32_t(int64_t{row.n} * p / parts),
                    int32_t(int64_t{row.n} * (p + 1) / parts), scratch.get());
      if (p > 0) tier.append(lists[0], lists[p]);
    }
    if (lists[0].size < lists[0].k && bound > -kInf) continue;
    auto indices = exact<int32_t>(e.indices.size(), -7);
    auto values = exact<float>(e.indices.size(), -7.0f);
    check_result(e, tier.finish(lists[0], {indices.data(), values.data()}), indices, values);
    return;
  }
}

const char *const kPatterns[] = {"randn",    "plateau",  "all-equal", "rising", "falling",
                                 "low-bits", "neg-inf",  "nan",       "zeros",  "spread",
                                 "outlier",  "denormal", "infinite",  "masked", "periodic"};

std::vector<float> make_scores(const std::string &pattern, size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> s = exact<float>(n, 0.0f);
  for (size_t j = 0; j < n; ++j) {
    const float x = normal(rng);
    if (pattern == "randn") s[j] = x;
    if (pattern == "plateau") s[j] = std::max(0.0f, std::round(x * 4) / 4);
    if (pattern == "all-equal") s[j] = 3.25f;
    if (pattern == "rising") s[j] = float(j) * 0.5f - 7.0f;
    if (pattern == "falling") s[j] = float(n - j) * 0.5f - 7.0f;
    if (pattern == "low-bits") {
      const uint32_t bits = 0x3f800000u + (rng() & 63u);
      std::memcpy(&s[j], &bits, 4);
    }
    if (pattern == "neg-inf") s[j] = rng() % 3 ? -kInf : x;
    if (pattern == "nan") s[j] = rng() % 3 ? kNan : rng() % 5 ? x : -kInf;
    if (pattern == "zeros") s[j] = rng() % 2 ? 0.0f : rng() % 4 ? -0.0f : x;
    if (pattern == "spread") s[j] = std::exp(20 * x) * (rng() % 2 ? 1.0f : -1.0f);
    if (pattern == "outlier") s[j] = rng() % 200 ? x * 1e-3f : 1e30f * x;
    if (pattern == "denormal") s[j] = (rng() % 2 ? 1.0f : -1.0f) * float(rng() % 9) * 1.4e-45f;
    if (pattern == "infinite") s[j] = rng() % 4 ? x : rng() % 2 ? kInf : -kInf;
    if (pattern == "masked") s[j] = j < n / 2 ? -kInf : x;
    if (pattern == "periodic") s[j] = float((j * 37) % 64) + (j % 64 == 0 ? 100.0f : 0.0f);
  }
  return s;
}

std::vector<int32_t> ks_for(int32_t n) {
  std::vector<int32_t> ks;
  if (n <= 40) {
    for (int32_t k = 1; k <= n + 3; ++k) ks.push_back(k);
  } else {
    ks = {1, 2, 7, 16, 33, n / 8 + 1, n / 4, n / 2, n - n / 4 - 1, n - 17, n - 1, n, n + 3};
    if (n > 4096) ks.insert(ks.end(), {64, 512, 2048});
  }
  return ks;
}

class TopkRow : public testing::TestWithParam<std::string> {
 protected:
  static const Tier *tier() {
    if (GetParam() == "scalar") return &tier_scalar();
#if defined(DSA_X86)
    __builtin_cpu_init();
    if (GetParam() == "avx2" && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      return &tier_avx2();
    }
    if (GetParam() == "avx512" && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
      return &tier_avx512();
    }
#endif
    return nullptr;
  }
  void SetUp() override {
    if (tier() == nullptr) GTEST_SKIP() << "this CPU has no " << GetParam();
  }
};

TEST_P(TopkRow, EveryShortLength) {
  for (int32_t n = 0; n <= 300; ++n) {
    for (const char *pattern : kPatterns) {
      Case c;
      c.scores = make_scores(pattern, size_t(n), uint32_t(n));
      const Oracle oracles[2] = {{c.scores, false}, {c.scores, true}};
      for (int32_t k : ks_for(n)) {
        if (k < 1) continue;
        c.k = k;
        c.select_neg_inf = (n + k) % 3 == 0;
        SCOPED_TRACE(std::string(pattern) + " n " + std::to_string(n) + " k " + std::to_string(k));
        ASSERT_NO_FATAL_FAILURE(check_row(*tier(), c, oracles[c.select_neg_inf]));
      }
    }
  }
}

TEST_P(TopkRow, LongRows) {
  for (int32_t n : {301, 511, 1024, 2047, 2049, 5000, 16384, 40001, 100000}) {
    for (const char *pattern : kPatterns) {
      Case c;
      c.scores = make_scores(pattern, size_t(n), uint32_t(n));
      const Oracle oracles[2] = {{c.scores, false}, {c.scores, true}};
      for (int32_t k : ks_for(n)) {
        c.k = k;
        c.select_neg_inf = k % 2 == 0;
        c.by_fetch = k % 3 == 0;
        SCOPED_TRACE(std::string(pattern) + " n " + std::to_string(n) + " k " + std::to_string(k));
        ASSERT_NO_FATAL_FAILURE(check_row(*tier(), c, oracles[c.select_neg_inf]));
      }
    }
  }
}

TEST_P(TopkRow, HintsChangeNothing) {
  std::mt19937 rng(5);
  for (const char *pattern : kPatterns) {
    for (int32_t n : {100, 1000, 30000}) {
      Case c;
      c.k = n / 20;
      c.scores = make_scores(pattern, size_t(n), 77);
      const Oracle oracle(c.scores, false);
      const Expected e = oracle.expect(c.k, 0);
      std::vector<std::vector<int32_t>> previous = {
          {},
          e.indices,
          std::vector<int32_t>(size_t(c.k), e.indices.empty() ? 0 : e.indices[0]),
          {-1, INT32_MIN, INT32_MAX, n}};
      for (int j = 0; j < 50; ++j) previous[3].push_back(int32_t(rng()));
      for (float bound : {-kInf, kInf, kNan, e.cut_score, std::nextafter(e.cut_score, kInf),
                          std::nextafter(e.cut_score, -kInf), 0.0f, 1e30f, -1e30f}) {
        for (const auto &p : previous) {
          c.has_bound = true;
          c.bound = bound;
          c.previous = p;
          SCOPED_TRACE(std::string(pattern) + " n " + std::to_string(n));
          ASSERT_NO_FATAL_FAILURE(check_row(*tier(), c, oracle));
        }
      }
    }
  }
}

TEST_P(TopkRow, SplitOverParts) {
  for (const char *pattern : kPatterns) {
    for (int32_t n : {0, 1, 50, 999, 20000, 70001}) {
      Case c;
      c.scores = make_scores(pattern, size_t(n), 3);
      const Oracle oracles[2] = {{c.scores, false}, {c.scores, true}};
      for (int32_t k : {1, 40, 512, 2048, 50000}) {
        c.k = k;
        c.by_fetch = k == 40;
        c.select_neg_inf = k == 512;
        SCOPED_TRACE(std::string(pattern) + " n " + std::to_string(n) + " k " + std::to_string(k));
        const Expected e = oracles[c.select_neg_inf].expect(k, 0);
        for (int parts : {1, 3, 16}) {
          ASSERT_NO_FATAL_FAILURE(check_split(*tier(), c, e, parts));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, TopkRow, testing::Values("scalar", "avx2", "avx512"),
                         [](const auto &info) { return info.param; });

}  // namespace
}  // namespace dsa::cpu::topk

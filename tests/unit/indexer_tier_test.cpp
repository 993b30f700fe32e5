// The indexer's tier kernels against a naive double sum, on every head count class, dim tail, type
// and stride; and that a score's bits do not depend on where the score is computed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "cpu/indexer/tier.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

using dsa::cpu::IndexerQuery;
using dsa::cpu::IndexerScore;
using dsa::cpu::IndexerTier;
using dsa::cpu::IndexerType;

#if defined(__x86_64__)
bool amx_usable() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  if (((d >> 22) & 1) == 0 || ((d >> 24) & 1) == 0) return false;  // AMX-BF16, AMX-TILE
  __get_cpuid(1, &a, &b, &c, &d);
  if (((c >> 27) & 1) == 0) return false;  // OSXSAVE
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 0x60000) != 0x60000) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

// The tier, or nullptr where this machine cannot run it.
const IndexerTier* find_tier(const std::string& name) {
  if (name == "scalar") return &dsa::cpu::indexer_tier_scalar();
#if defined(__x86_64__)
  if (name == "avx2") {
    const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return has ? &dsa::cpu::indexer_tier_avx2() : nullptr;
  }
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (name == "avx512") return avx512 ? &dsa::cpu::indexer_tier_avx512() : nullptr;
  if (name == "amx") return avx512 && amx_usable() ? &dsa::cpu::indexer_tier_amx() : nullptr;
#endif
  return nullptr;
}

uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

int bytes_of(IndexerType type) {
  return type == IndexerType::kF32 ? 4 : type == IndexerType::kE4m3 ? 1 : 2;
}

double decode_small(int exponent_bits, int mantissa_bits, bool has_inf, uint32_t code) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = int(code >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = int(code) & ((1 << mantissa_bits) - 1);
  const double sign = (code >> (exponent_bits + mantissa_bits)) & 1 ? -1 : 1;
  const int top = (1 << exponent_bits) - 1;
  if (has_inf && exponent == top) return mantissa ? NAN : sign * INFINITY;
  if (!has_inf && exponent == top && mantissa == (1 << mantissa_bits) - 1) return NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

// Elements of one type in memory of exactly their size.
struct Array {
  IndexerType type;
  std::vector<uint8_t> bytes;

  Array(IndexerType t, size_t n) : type(t), bytes(n * size_t(bytes_of(t))) {}
  void set_code(size_t i, uint32_t code) {
    memcpy(bytes.data() + i * size_t(bytes_of(type)), &code, size_t(bytes_of(type)));
  }
  const void* at(size_t i) const { return bytes.data() + i * size_t(bytes_of(type)); }
  double get(size_t i) const {
    uint32_t code = 0;
    memcpy(&code, at(i), size_t(bytes_of(type)));
    if (type == IndexerType::kF16) return decode_small(5, 10, true, code);
    if (type == IndexerType::kBf16) return decode_small(8, 7, true, code);
    if (type == IndexerType::kE4m3) return decode_small(4, 3, false, code);
    float x;
    memcpy(&x, &code, sizeof x);
    return x;
  }
  // A number of magnitude around 1, of either sign.
  void draw(size_t i, std::mt19937& rng) {
    const float x = std::normal_distribution<float>()(rng);
    const uint32_t u = bits_of(x);
    if (type == IndexerType::kF32) return set_code(i, u);
    if (type == IndexerType::kBf16) return set_code(i, u >> 16);
    const uint32_t sign = u >> 31;
    if (type == IndexerType::kE4m3) return set_code(i, sign << 7 | (rng() % 0x48));
    set_code(i, sign << 15 | (rng() % 0x4000));
  }
};

struct Case {
  int heads, dim, queries;
  IndexerType q_type, k_type, w_type;
  bool relu, with_w, with_q_scale, with_k_scale;
  int q_stride, k_stride;
};

void* aligned(std::vector<char>& buffer, size_t bytes) {
  buffer.assign(bytes + 64, char(0x7f));  // poisoned
  const size_t shift = (64 - reinterpret_cast<uintptr_t>(buffer.data()) % 64) % 64;
  return buffer.data() + shift;
}

struct Problem {
  Case c;
  int keys;
  Array q, k, w;
  std::vector<float> q_scale, k_scale;
  std::vector<bool> visible;

  Problem(const Case& c_, int keys_, uint32_t seed)
      : c(c_),
        keys(keys_),
        q(c.q_type, size_t(c.queries) * size_t(c.heads) * size_t(c.dim) * size_t(c.q_stride)),
        k(c.k_type, size_t(keys) * size_t(c.dim) * size_t(c.k_stride)),
        w(c.w_type, size_t(c.queries) * size_t(c.heads)) {
    std::mt19937 rng(seed);
    for (size_t i = 0; i < q.bytes.size() / size_t(bytes_of(q.type)); ++i) q.draw(i, rng);
    for (size_t i = 0; i < k.bytes.size() / size_t(bytes_of(k.type)); ++i) k.draw(i, rng);
    for (size_t i = 0; i < size_t(c.queries) * size_t(c.heads); ++i) w.draw(i, rng);
    std::normal_distribution<float> normal;
    for (int i = 0; i < c.queries * c.heads; ++i) q_scale.push_back(normal(rng));
    for (int i = 0; i < keys; ++i) k_scale.push_back(normal(rng));
    for (int i = 0; i < keys; ++i) visible.push_back(rng() % 8 != 0);
  }

  size_t q_index(int t, int h, int d) const {
    return ((size_t(t) * size_t(c.heads) + size_t(h)) * size_t(c.dim) + size_t(d)) *
           size_t(c.q_stride);
  }
  size_t k_index(int s, int d) const {
    return (size_t(s) * size_t(c.dim) + size_t(d)) * size_t(c.k_stride);
  }

  // Scores [queries, keys]; the keys in blocks that start at key `first`.
  std::vector<float> run(const IndexerTier& tier, int first = 0, int query_step = 1 << 20) const {
    const int block = tier.key_block;
    std::vector<float> out(size_t(c.queries) * size_t(keys), NAN);
    std::vector<char> query_buffer, key_buffer;
    const size_t query_bytes = tier.query_bytes(c.heads, c.dim);
    EXPECT_EQ(query_bytes % 64, 0u);
    char* queries = static_cast<char*>(aligned(query_buffer, query_bytes * size_t(c.queries)));
    for (int t = 0; t < c.queries; ++t) {
      IndexerQuery query{};
      query.q = q.at(q_index(t, 0, 0));
      query.q_type = c.q_type;
      query.q_head_stride = c.dim * c.q_stride;
      query.q_dim_stride = c.q_stride;
      query.q_scale = c.with_q_scale ? q_scale.data() + t * c.heads : nullptr;
      query.q_scale_stride = 1;
      query.w = c.with_w ? w.at(size_t(t) * size_t(c.heads)) : nullptr;
      query.w_type = c.w_type;
      query.w_stride = 1;
      tier.pack_query(query, c.heads, c.dim, queries + size_t(t) * query_bytes);
    }
    void* packed = aligned(key_buffer, tier.key_bytes(c.dim));
    std::vector<float> scores(size_t(c.queries) * size_t(block));
    tier.begin();
    for (int start = first - (first > 0 ? block : 0); start < keys; start += block) {
      std::vector<const void*> rows(static_cast<size_t>(block), nullptr);
      std::vector<float> scale(static_cast<size_t>(block), 1.0f);
      for (int i = 0; i < block; ++i) {
        const int s = start + i;
        if (s < 0 || s >= keys || !visible[size_t(s)]) continue;
        rows[size_t(i)] = k.at(k_index(s, 0));
        scale[size_t(i)] = k_scale[size_t(s)];
      }
      tier.pack_keys(rows.data(), c.k_type, c.k_stride, c.dim, packed);
      for (int t = 0; t < c.queries; t += query_step) {
        const int n = std::min(query_step, c.queries - t);
        IndexerScore args{};
        args.queries = queries + size_t(t) * query_bytes;
        args.num_queries = n;
        args.heads = c.heads;
        args.dim = c.dim;
        args.relu = c.relu;
        args.keys = packed;
        args.k_scale = c.with_k_scale ? scale.data() : nullptr;
        args.scores = scores.data() + t * block;
        args.scores_stride = block;
        tier.score(args);
      }
      for (int t = 0; t < c.queries; ++t) {
        for (int i = 0; i < block; ++i) {
          const float x = scores[size_t(t * block + i)];
          const int s = start + i;
          if (s >= 0 && s < keys && visible[size_t(s)]) {
            out[size_t(t) * size_t(keys) + size_t(s)] = x;
          } else {
            EXPECT_EQ(x, 0.0f);
          }
        }
      }
    }
    tier.end();
    return out;
  }

  void check(const std::vector<float>& scores) const {
    for (int t = 0; t < c.queries; ++t) {
      for (int s = 0; s < keys; ++s) {
        if (!visible[size_t(s)]) continue;
        double sum = 0, size = 0;
        for (int h = 0; h < c.heads; ++h) {
          const size_t th = size_t(t * c.heads + h);
          double dot = 0, dot_size = 0;
          for (int d = 0; d < c.dim; ++d) {
            const double x = q.get(q_index(t, h, d)) * k.get(k_index(s, d));
            dot += x, dot_size += std::fabs(x);
          }
          if (c.with_q_scale) dot *= double(q_scale[th]), dot_size *= std::fabs(q_scale[th]);
          if (c.relu && dot < 0) dot = 0;
          const double weight = c.with_w ? w.get(th) : 1;
          sum += weight * dot, size += std::fabs(weight) * dot_size;
        }
        const double scale = c.with_k_scale ? double(k_scale[size_t(s)]) : 1;
        const double bound = 2.0 * (c.dim + c.heads + 4) * 0x1p-24 * size * std::fabs(scale);
        const float got = scores[size_t(t) * size_t(keys) + size_t(s)];
        ASSERT_LE(std::fabs(got - sum * scale), bound + 1e-37)
            << "query " << t << " key " << s << " Hi " << c.heads << " Di " << c.dim << " q "
            << int(c.q_type) << " k " << int(c.k_type);
      }
    }
  }
};

class IndexerTierTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    tier = find_tier(GetParam());
    if (tier == nullptr) GTEST_SKIP() << "this machine has no " << GetParam();
  }
  Case plain(int heads, int dim, int queries) const {
    const IndexerType type = GetParam() == "amx" ? IndexerType::kBf16 : IndexerType::kF32;
    return {heads, dim, queries, type, type, IndexerType::kF32, true, true, false, true, 1, 1};
  }
  const IndexerTier* tier = nullptr;
};

TEST_P(IndexerTierTest, EveryHeadCount) {
  for (int heads = 1; heads <= 128; heads += heads < 40 ? 1 : 11) {
    const Problem p(plain(heads, 24, 9), tier->key_block + 5, uint32_t(heads));
    p.check(p.run(*tier));
    if (HasFatalFailure()) return;
  }
}

TEST_P(IndexerTierTest, EveryDim) {
  for (int dim = 1; dim <= 1024; dim += dim < 140 ? 1 : 221) {
    const Problem p(plain(5, dim, 2), tier->key_block * 2 - 1, uint32_t(dim));
    p.check(p.run(*tier));
    if (HasFatalFailure()) return;
  }
}

TEST_P(IndexerTierTest, TypesStridesFlags) {
  std::mt19937 rng(7);
  const IndexerType types[] = {IndexerType::kF32, IndexerType::kF16, IndexerType::kBf16,
                               IndexerType::kE4m3};
  int taken = 0;
  for (IndexerType q : types) {
    for (IndexerType k : types) {
      for (int flags = 0; flags < 16; ++flags) {
        Case c{};
        c.heads = 1 + int(rng() % 20);
        c.dim = 1 + int(rng() % 100);
        c.queries = 1 + int(rng() % 6);
        c.q_type = q, c.k_type = k;
        c.w_type = types[rng() % 3];
        c.relu = flags & 1, c.with_w = flags & 2, c.with_q_scale = flags & 4;
        c.with_k_scale = flags & 8;
        c.q_stride = 1 + int(rng() % 2), c.k_stride = 1 + int(rng() % 3 == 0);
        if (!tier->takes(q, k, c.with_q_scale)) continue;
        ++taken;
        const Problem p(c, tier->key_block + 3, rng());
        p.check(p.run(*tier));
        if (HasFatalFailure()) return;
      }
    }
  }
  EXPECT_GT(taken, 0);
}

TEST_P(IndexerTierTest, BitsDoNotDependOnPlace) {
  for (int heads : {1, 2, 3, 4, 8, 13, 16, 64}) {
    const Problem p(plain(heads, 40, 11), tier->key_block * 3 + 1, uint32_t(heads));
    const std::vector<float> scores = p.run(*tier);
    for (int first : {1, 7, tier->key_block - 1}) {
      for (int step : {1, 2, 3, 5, 8}) {
        const std::vector<float> again = p.run(*tier, first, step);
        for (size_t i = 0; i < scores.size(); ++i) {
          if (!p.visible[i % size_t(p.keys)]) continue;
          ASSERT_EQ(bits_of(scores[i]), bits_of(again[i])) << "Hi " << heads << " at " << i;
        }
      }
    }
  }
}

// Every code of the small formats survives packing: one head, one dim, q = 1.
TEST_P(IndexerTierTest, EveryCode) {
  for (IndexerType type : {IndexerType::kF16, IndexerType::kBf16, IndexerType::kE4m3}) {
    Case c = plain(1, 1, 1);
    c.k_type = type, c.relu = false, c.with_k_scale = false, c.with_w = false;
    c.q_type = GetParam() == "amx" ? IndexerType::kBf16 : IndexerType::kF32;
    if (!tier->takes(c.q_type, type, false)) continue;
    const int codes = 1 << (8 * bytes_of(type));
    Problem p(c, codes, 1);
    p.q.set_code(0, c.q_type == IndexerType::kF32 ? bits_of(1.0f) : bits_of(1.0f) >> 16);
    p.visible.assign(size_t(codes), true);
    for (int i = 0; i < codes; ++i) p.k.set_code(size_t(i), uint32_t(i));
    const std::vector<float> scores = p.run(*tier);
    for (int i = 0; i < codes; ++i) {
      const float want = float(p.k.get(size_t(i)));
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(scores[size_t(i)])) << "code " << i;
      } else if (GetParam() != "amx" || std::fabs(want) >= 0x1p-126f) {
        ASSERT_EQ(scores[size_t(i)], want) << "code " << i;
      }
    }
  }
}

TEST_P(IndexerTierTest, NanAndInf) {
  for (int heads : {1, 3, 8, 17}) {
    Problem p(plain(heads, 16, 3), 6, 3);
    p.visible.assign(6, true);
    const bool narrow = p.k.type == IndexerType::kBf16;
    const uint32_t inf = narrow ? 0x7f80 : 0x7f800000, nan = narrow ? 0x7fc0 : 0x7fc00000;
    const uint32_t one = narrow ? 0x3f80 : 0x3f800000;
    for (size_t i = 0; i < size_t(3 * heads * 16); ++i) p.q.set_code(i, one);
    for (size_t i = 0; i < size_t(3 * heads); ++i) p.w.set_code(i, bits_of(0.5f));
    for (size_t i = 0; i < 6; ++i) p.k_scale[i] = 1;
    for (size_t i = 0; i < 6 * 16; ++i) p.k.set_code(i, one);
    p.k.set_code(p.k_index(1, 15), nan);
    p.k.set_code(p.k_index(2, 0), inf);
    p.k.set_code(p.k_index(3, 9), inf | (narrow ? 0x8000 : 0x80000000));
    const std::vector<float> scores = p.run(*tier);
    for (size_t t = 0; t < 3; ++t) {
      const float* row = scores.data() + t * 6;
      EXPECT_EQ(row[0], 8.0f * float(heads));
      EXPECT_TRUE(std::isnan(row[1]));
      EXPECT_EQ(row[2], INFINITY);
      EXPECT_EQ(row[3], 0.0f);
      EXPECT_EQ(row[4], 8.0f * float(heads));
    }
  }
}

std::string tier_name(const testing::TestParamInfo<std::string>& info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(Tiers, IndexerTierTest, testing::Values("scalar", "avx2", "avx512", "amx"),
                         tier_name);

#if defined(__x86_64__)
TEST(IndexerTiers, Avx2AndAvx512AgreeBitForBit) {
  const IndexerTier* a = find_tier("avx2");
  const IndexerTier* b = find_tier("avx512");
  if (a == nullptr || b == nullptr) GTEST_SKIP() << "this machine has not both tiers";
  for (int heads : {1, 4, 7, 64}) {
    const Problem p({heads, 70, 3, IndexerType::kBf16, IndexerType::kE4m3, IndexerType::kF16, true,
                     true, true, true, 1, 1},
                    100, uint32_t(heads));
    const std::vector<float> x = p.run(*a), y = p.run(*b);
    for (size_t i = 0; i < x.size(); ++i) {
      if (!p.visible[i % size_t(p.keys)]) continue;
      ASSERT_EQ(bits_of(x[i]), bits_of(y[i])) << "Hi " << heads << " at " << i;
    }
  }
}
#endif

}  // namespace

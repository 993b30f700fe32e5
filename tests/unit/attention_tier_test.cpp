// Sparse attention's row kernels of every tier against a naive sum in double.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cpu/attention/tier.h"
#include "cpu/isa.h"
#include "cpu/simd/convert.h"

// The AMX kernel over modelled tiles. Its AVX-512 code is compiled here for this one test, in an
// anonymous namespace and without standard-library templates.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAVE_AMX_MODEL 1
#include <immintrin.h>

#include "attention_tiles_model.h"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")
#include "cpu/attention/amx.inl.h"
#include "cpu/simd/avx512.h"
namespace {
const dsa::cpu::AttnTier &amx_model_tier() {
  static constexpr dsa::cpu::AttnTier kTier =
      dsa::cpu::AmxAttention<dsa::cpu::avx512::Avx512, dsa::cpu::ModelTiles>::table();
  return kTier;
}
}  // namespace
#pragma GCC pop_options
#endif

namespace dsa::cpu {
namespace {

struct Tier {
  std::string name;
  const AttnTier *tier;
  bool bf16_only;
};

std::vector<Tier> tiers() {
  std::vector<Tier> list = {{"scalar", &attn_tier_scalar(), false}};
#if defined(__x86_64__)
  const Isa &isa = detect_isa();
  if (isa.tier >= CpuTier::kAvx2) list.push_back({"avx2", &attn_tier_avx2(), false});
  if (isa.tier >= CpuTier::kAvx512) list.push_back({"avx512", &attn_tier_avx512(), false});
  if (isa.tier >= CpuTier::kAmx) list.push_back({"amx", &attn_tier_amx(), true});
#endif
#if defined(HAVE_AMX_MODEL)
  if (isa.tier >= CpuTier::kAvx512 && isa.avx512_bf16) {
    list.push_back({"amx model", &amx_model_tier(), true});
  }
#endif
  return list;
}

// Memory whose last byte is followed by nothing: a heap block of the exact size, for ASan.
template <class T>
using Exact = std::unique_ptr<T[]>;

struct Aligned {
  void *p;
  explicit Aligned(size_t bytes) : p(std::aligned_alloc(64, (bytes + 63) / 64 * 64 + 64)) {
    memset(p, 0xa5, (bytes + 63) / 64 * 64 + 64);  // a NaN-free but absurd pattern
  }
  ~Aligned() { std::free(p); }
  Aligned(const Aligned &) = delete;
};

int bytes_of(AttnType t) { return t == AttnType::kF32 ? 4 : t == AttnType::kE4m3 ? 1 : 2; }

// Rounds x to the type, stores it, gives what it became.
double put(AttnType type, char *p, float x) {
  if (type == AttnType::kF32) {
    memcpy(p, &x, 4);
    return x;
  }
  if (type == AttnType::kE4m3) {
    // Nearest of all 256 codes: slow and plain.
    int best = 0;
    for (int c = 0; c < 256; ++c) {
      if ((c & 0x7f) == 0x7f) continue;
      if (std::fabs(e4m3_to_f32(uint8_t(c)) - x) < std::fabs(e4m3_to_f32(uint8_t(best)) - x))
        best = c;
    }
    *p = char(best);
    return e4m3_to_f32(uint8_t(best));
  }
  const uint16_t h = type == AttnType::kF16 ? f32_to_f16(x) : f32_to_bf16(x);
  memcpy(p, &h, 2);
  return type == AttnType::kF16 ? f16_to_f32(h) : bf16_to_f32(h);
}

struct Case {
  int heads = 1, d = 16, d2 = 0, dv = 16, n = 1;
  bool apart = false;  // V has rows of its own
  AttnType q = AttnType::kF32, k = AttnType::kF32;
  int groups = 0;
  int64_t stride = 1;
  bool few = false;
  bool even = false;  // rows lie evenly spaced
  int piece = 256;    // keys a state; the states are merged
  float scale = 0.3f;
  float spread = 1.0f;  // of the query: larger ones make the softmax sharper
};

struct Operand {
  int d;
  AttnType type;
  int64_t stride;
  int groups;
  std::vector<Exact<char>> rows;
  std::vector<Exact<float>> scales;
  Exact<char> block;
  std::vector<const void *> at;
  std::vector<const float *> scale_at;
  std::vector<std::vector<double>> value;

  Operand(std::mt19937 &rng, int n, int dim, AttnType t, int64_t s, int g, bool even)
      : d(dim), type(t), stride(s), groups(g) {
    std::normal_distribution<float> normal;
    const size_t bytes = size_t((d - 1) * stride + 1) * size_t(bytes_of(type));
    if (even) block = std::make_unique<char[]>(bytes * size_t(n));
    for (int j = 0; j < n; ++j) {
      char *p = even ? block.get() + bytes * size_t(j) : nullptr;
      if (!even) {
        rows.push_back(std::make_unique<char[]>(bytes));
        p = rows.back().get();
      }
      at.push_back(p);
      value.emplace_back(d);
      for (int i = 0; i < d; ++i) {
        value[j][i] = put(type, p + i * stride * bytes_of(type), normal(rng));
      }
      if (groups > 0) {
        scales.push_back(std::make_unique<float[]>(groups));
        for (int i = 0; i < groups; ++i) scales.back()[i] = 0.5f + float(rng() % 1000) * 1e-3f;
        for (int i = 0; i < d; ++i) value[j][i] *= scales.back()[i / (d / groups)];
        scale_at.push_back(scales.back().get());
      }
    }
  }
  AttnRows rows_of() const {
    AttnRows r;
    r.type = type;
    r.d = d;
    r.stride = stride;
    r.group = groups > 0 ? d / groups : 0;
    return r;
  }
};

struct Result {
  std::vector<float> max, sum, out;  // out [heads, dv]
};

// Runs the case on a tier; keys from a state of `piece` keys at a time, merged in order.
Result run(const Tier &t, const Case &c, const AttnShape &s, const AttnQuery &q, const Operand &k,
           const Operand *k2, const Operand *v) {
  const Aligned packed(t.tier->query_bytes(s)), scratch(t.tier->scratch_bytes(s));
  const int64_t heads = attn_padded(c.heads), ld = attn_padded(c.dv);
  const Aligned max0(heads * 4), sum0(heads * 4), out0(heads * ld * 4);
  const Aligned max1(heads * 4), sum1(heads * 4), out1(heads * ld * 4);
  AttnState total{0, static_cast<float *>(max0.p), static_cast<float *>(sum0.p),
                  static_cast<float *>(out0.p)};
  t.tier->pack_query(s, q, packed.p);
  for (int from = 0; from < c.n; from += c.piece) {
    AttnState part{0, static_cast<float *>(max1.p), static_cast<float *>(sum1.p),
                   static_cast<float *>(out1.p)};
    for (int j = from; j < c.n && j < from + c.piece; j += kAttnChunk) {
      AttnKeys keys;
      keys.n = std::min({kAttnChunk, c.n - j, from + c.piece - j});
      keys.k = k.at.data() + j;
      keys.k_scale = k.groups > 0 ? k.scale_at.data() + j : nullptr;
      keys.k2 = k2 ? k2->at.data() + j : nullptr;
      keys.v = v ? v->at.data() + j : nullptr;
      keys.v_scale = v && v->groups > 0 ? v->scale_at.data() + j : nullptr;
      t.tier->accumulate(s, packed.p, keys, part, scratch.p);
    }
    t.tier->merge(s, total, part);
  }
  EXPECT_EQ(total.keys, c.n);
  Result r;
  for (int h = 0; h < c.heads; ++h) {
    r.max.push_back(total.max[h]);
    r.sum.push_back(total.sum[h]);
    r.out.resize(size_t(h + 1) * c.dv);
    t.tier->write(AttnType::kF32, r.out.data() + h * c.dv, 1, total.out + h * ld, c.dv,
                  1.0f / total.sum[h]);
  }
  return r;
}

void check(const Case &c, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  const Operand k(rng, c.n, c.d, c.k, c.stride, c.groups, c.even);
  std::unique_ptr<Operand> k2, v;
  if (c.d2 > 0) k2 = std::make_unique<Operand>(rng, c.n, c.d2, c.k, 1, 0, c.even);
  if (c.apart) v = std::make_unique<Operand>(rng, c.n, c.dv, c.k, c.stride, 0, c.even);
  const int bytes = bytes_of(c.q);
  Exact<char> q(new char[size_t(c.heads * c.d * bytes)]);
  Exact<char> q2(new char[size_t(c.heads * c.d2 * bytes) + 1]);
  std::vector<double> query;  // [heads, d + d2]
  for (int h = 0; h < c.heads; ++h) {
    for (int i = 0; i < c.d; ++i) {
      query.push_back(put(c.q, q.get() + (h * c.d + i) * bytes, normal(rng) * c.spread));
    }
    for (int i = 0; i < c.d2; ++i) {
      query.push_back(put(c.q, q2.get() + (h * c.d2 + i) * bytes, normal(rng) * c.spread));
    }
  }
  AttnShape s;
  s.heads = c.heads;
  s.dv = c.dv;
  s.few_heads = c.few;
  s.scale = c.scale;
  s.k = k.rows_of();
  if (k2) s.k2 = k2->rows_of();
  if (v) s.v = v->rows_of();
  AttnQuery a;
  a.q = q.get();
  a.q2 = q2.get();
  a.type = a.type2 = c.q;
  a.head_stride = c.d;
  a.head_stride2 = c.d2;

  for (const Tier &t : tiers()) {
    const bool bf16 = c.q == AttnType::kBf16 && c.k == AttnType::kBf16 && c.stride == 1 &&
                      c.groups == 0 && !c.few;
    if (t.bf16_only && !bf16) continue;
    SCOPED_TRACE(t.name + ": " + std::to_string(c.heads) + " heads, d " + std::to_string(c.d) +
                 "+" + std::to_string(c.d2) + ", dv " + std::to_string(c.dv) + ", n " +
                 std::to_string(c.n) + ", k type " + std::to_string(int(c.k)));
    const Result r = run(t, c, s, a, k, k2.get(), v.get());
    const double weight_error = t.bf16_only ? std::ldexp(1.0, -8) : 0.0;
    for (int h = 0; h < c.heads; ++h) {
      std::vector<double> z(c.n);
      double max = -INFINITY, most = 0;
      for (int j = 0; j < c.n; ++j) {
        double dot = 0, magnitude = 0;
        for (int i = 0; i < c.d + c.d2; ++i) {
          const double x = query[size_t(h) * (c.d + c.d2) + i] *
                           (i < c.d ? k.value[j][i] : k2->value[j][i - c.d]);
          dot += x;
          magnitude += std::fabs(x);
        }
        z[j] = dot * c.scale;
        max = std::max(max, z[j]);
        most = std::max(most, magnitude * std::fabs(c.scale));
      }
      double sum = 0;
      for (int j = 0; j < c.n; ++j) sum += std::exp(z[j] - max);
      // A logit's own rounding: sequential sums of d products.
      const double logit_error = most * std::sqrt(c.d + c.d2) * 4 * std::ldexp(1.0, -24);
      ASSERT_NEAR(r.max[h], max, logit_error + 1e-30);
      ASSERT_NEAR(double(r.max[h]) + std::log(double(r.sum[h])), max + std::log(sum),
                  2 * logit_error + 4e-7 * std::sqrt(c.n) + 1e-6);
      for (int i = 0; i < c.dv; ++i) {
        double o = 0, weighted = 0;
        for (int j = 0; j < c.n; ++j) {
          const double value = v ? v->value[j][i] : k.value[j][i];
          const double p = std::exp(z[j] - max) / sum;
          o += p * value;
          weighted += p * std::fabs(value);
        }
        const double bound =
            (std::ldexp(1.0, -24) * (8 + 4 * std::sqrt(c.n)) + 2 * logit_error + weight_error) *
                weighted +
            1e-30;
        ASSERT_NEAR(r.out[size_t(h) * c.dv + i], o, bound) << "head " << h << " element " << i;
      }
    }
  }
}

TEST(AttentionTier, EveryHeadCountBothForms) {
  for (int heads = 1; heads <= 40; ++heads) {
    Case c;
    c.heads = heads;
    c.d = 40;
    c.dv = 24;
    c.n = 21;
    check(c, unsigned(heads));
    c.few = true;
    check(c, unsigned(heads));
    c.few = false;
    c.q = c.k = AttnType::kBf16;
    check(c, unsigned(heads));
  }
}

TEST(AttentionTier, EveryKeyCount) {
  for (int n = 1; n <= 140; ++n) {
    Case c;
    c.heads = 17;
    c.d = 24;
    c.dv = 20;
    c.n = n;
    c.q = c.k = AttnType::kBf16;
    check(c, unsigned(n));
    c.heads = 3;
    c.few = true;
    check(c, unsigned(n));
  }
}

TEST(AttentionTier, EveryDim) {
  for (int d = 1; d <= 70; ++d) {
    Case c;
    c.heads = 5;
    c.d = d;
    c.dv = 1 + d / 2;
    c.n = 9;
    c.q = c.k = AttnType::kBf16;
    check(c, unsigned(d));
    c.few = true;
    check(c, unsigned(d));
    c.few = false;
    c.apart = true;
    c.dv = d;
    c.d2 = d % 7;
    check(c, unsigned(d));
  }
}

TEST(AttentionTier, EveryType) {
  const AttnType types[] = {AttnType::kF32, AttnType::kF16, AttnType::kBf16, AttnType::kE4m3};
  for (AttnType q : types) {
    for (AttnType k : types) {
      for (int64_t stride : {1, 3}) {
        for (int groups : {0, 1, 2, 4, 36}) {
          Case c;
          c.heads = 9;
          c.d = 36;
          c.dv = 30;
          c.n = 70;
          c.q = q;
          c.k = k;
          c.stride = stride;
          c.groups = groups;
          c.d2 = 5;
          check(c, 7);
          c.few = true;
          check(c, 8);
        }
      }
    }
  }
}

TEST(AttentionTier, ModelShapes) {
  Case c;
  c.d = 576;
  c.dv = 512;
  c.q = c.k = AttnType::kBf16;
  c.scale = 0.0417f;
  c.n = 300;
  for (int heads : {1, 8, 16, 48, 64}) {
    c.heads = heads;
    check(c, 1);
  }
  c.d = 512;
  c.d2 = 64;
  check(c, 2);
  c.d = 1024;
  c.d2 = 0;
  c.dv = 1024;
  c.heads = 4;
  check(c, 3);
  c.d = 160;
  c.dv = 128;
  c.heads = 8;
  c.few = true;
  c.q = c.k = AttnType::kF32;
  c.even = true;
  check(c, 4);
}

TEST(AttentionTier, RowsInPlace) {
  for (int n : {1, 2, 3, 64, 65, 200}) {
    Case c;
    c.heads = 20;
    c.d = 32;
    c.dv = 32;
    c.n = n;
    c.even = true;
    check(c, 5);
    c.dv = 20;
    check(c, 6);
    c.apart = true;
    check(c, 7);
  }
}

TEST(AttentionTier, MergedStates) {
  for (int piece : {1, 7, 64, 100, 256, 512}) {
    Case c;
    c.heads = 18;
    c.d = 32;
    c.dv = 40;
    c.n = 600;
    c.piece = piece;
    c.apart = true;
    c.q = c.k = AttnType::kBf16;
    c.spread = 3;
    check(c, 9);
  }
}

TEST(AttentionTier, NegativeScaleAndLargeLogits) {
  Case c;
  c.heads = 18;
  c.d = 64;
  c.dv = 40;
  c.n = 200;
  c.scale = -0.5f;
  check(c, 10);
  c.spread = 60;  // logits of some thousands: weights underflow
  c.scale = 1;
  check(c, 11);
  c.few = true;
  check(c, 12);
}

// A head group of any size gives each head the same bits.
TEST(AttentionTier, HeadsDoNotSeeEachOther) {
  std::mt19937 rng(3);
  std::normal_distribution<float> normal;
  Case c;
  c.d = 64;
  c.dv = 48;
  c.n = 150;
  const int heads = 50;
  const Operand k(rng, c.n, c.d, AttnType::kBf16, 1, 0, false);
  std::vector<uint16_t> q(size_t(heads) * c.d);
  for (uint16_t &x : q) x = f32_to_bf16(normal(rng));
  AttnShape s;
  s.dv = c.dv;
  s.scale = 0.1f;
  s.k = k.rows_of();
  AttnQuery a;
  a.type = AttnType::kBf16;
  a.head_stride = c.d;
  for (const Tier &t : tiers())
    for (bool few : {false, true}) {
      SCOPED_TRACE(t.name);
      s.few_heads = few;
      c.heads = s.heads = heads;
      a.q = q.data();
      const Result all = run(t, c, s, a, k, nullptr, nullptr);
      for (int first = 0, step = 1; first < heads; first += c.heads, step = step % 16 + 1) {
        c.heads = s.heads = std::min(step, heads - first);
        a.q = q.data() + first * c.d;
        const Result part = run(t, c, s, a, k, nullptr, nullptr);
        EXPECT_EQ(memcmp(part.out.data(), all.out.data() + first * c.dv, part.out.size() * 4), 0);
        EXPECT_EQ(memcmp(part.max.data(), all.max.data() + first, part.max.size() * 4), 0);
        EXPECT_EQ(memcmp(part.sum.data(), all.sum.data() + first, part.sum.size() * 4), 0);
      }
    }
}

// NaN and infinities inside a key that is read; logits of -inf only.
TEST(AttentionTier, SpecialNumbers) {
  for (bool few : {false, true}) {
    for (const Tier &t : tiers()) {
      if (few && t.bf16_only) continue;
      SCOPED_TRACE(t.name);
      const int heads = 2, d = 4, n = 5;
      std::vector<uint16_t> q(heads * d, f32_to_bf16(1.0f)), rows(n * d, f32_to_bf16(0.5f));
      const auto result = [&](float *max, float *sum, float *out) {
        AttnShape s;
        s.heads = heads;
        s.dv = d;
        s.few_heads = few;
        s.k.type = AttnType::kBf16;
        s.k.d = d;
        AttnQuery a;
        a.q = q.data();
        a.type = AttnType::kBf16;
        a.head_stride = d;
        const Aligned packed(t.tier->query_bytes(s)), scratch(t.tier->scratch_bytes(s));
        const Aligned m(64), l(64), o(16 * 64);
        AttnState state{0, static_cast<float *>(m.p), static_cast<float *>(l.p),
                        static_cast<float *>(o.p)};
        const void *at[n];
        for (int j = 0; j < n; ++j) at[j] = rows.data() + j * d;
        AttnKeys keys;
        keys.n = n;
        keys.k = at;
        t.tier->pack_query(s, a, packed.p);
        t.tier->accumulate(s, packed.p, keys, state, scratch.p);
        *max = state.max[0];
        *sum = state.sum[0];
        *out = state.out[0];
      };
      float max, sum, out;
      rows[2 * d] = f32_to_bf16(-INFINITY);
      result(&max, &sum, &out);
      EXPECT_EQ(max, 2.0f);
      EXPECT_EQ(sum, 4.0f);
      EXPECT_TRUE(std::isnan(out));  // 0 times -inf
      rows[2 * d] = f32_to_bf16(NAN);
      result(&max, &sum, &out);
      EXPECT_TRUE(std::isnan(sum));
      EXPECT_TRUE(std::isnan(out));
      for (int j = 0; j < n; ++j) {
        rows[j * d] = f32_to_bf16(0.0f);
        rows[j * d + 3] = f32_to_bf16(-INFINITY);
      }
      result(&max, &sum, &out);
      EXPECT_EQ(max, -INFINITY);
      EXPECT_EQ(sum, 0.0f);
      EXPECT_EQ(out, 0.0f);
    }
  }
}

TEST(AttentionTier, Write) {
  std::vector<float> from(40);
  for (int i = 0; i < 40; ++i) from[i] = float(i) * 0.37f - 3;
  for (const Tier &t : tiers()) {
    for (AttnType type : {AttnType::kF32, AttnType::kF16, AttnType::kBf16}) {
      for (int64_t stride : {1, 2}) {
        for (int n = 1; n <= 40; ++n) {
          Exact<char> to(new char[size_t((n - 1) * stride + 1) * bytes_of(type)]);
          t.tier->write(type, to.get(), stride, from.data(), n, 0.7f);
          for (int i = 0; i < n; ++i) {
            char expected[4];
            put(type, expected, from[i] * 0.7f);
            ASSERT_EQ(memcmp(to.get() + i * stride * bytes_of(type), expected, bytes_of(type)), 0);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace dsa::cpu

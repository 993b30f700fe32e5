// The checkers of dsa_sparse_attn and dsa_merge_lse must refuse every kind of wrong result.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "oracle/attention.h"
#include "support/random.h"

namespace {

constexpr int kRows = 3, kHeads = 4, kDim = 16, kValue = 8, kKeys = 10, kK = 5;

// MLA attention in f32 over given indices; outputs as the flags ask.
struct Call {
  float q[kRows][kHeads][kDim], kv[kKeys][kDim], sink[kHeads];
  int32_t indices[kRows][kK] = {{0, 1, 2, 3, 4}, {9, 3, 3, 5, -1}, {0, 2, 4, 6, 8}};
  int32_t counts[kRows] = {5, 5, 4};
  int32_t row_end[kRows] = {10, 10, 7};
  float out[kRows][kHeads][kValue], lse[kRows][kHeads], max[kRows][kHeads];
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();

  Call() {
    support::Random random(11);
    for (auto& row : q) {
      for (auto& head : row) {
        for (float& v : head) v = float(random.normal());
      }
    }
    for (auto& key : kv) {
      for (float& v : key) v = float(random.normal());
    }
    for (float& v : sink) v = float(random.normal());
    d.k = kK;
    d.scale = 0.4f;
    d.q = dsa_tensor_3d(q, DSA_F32, kRows, kHeads, kDim);
    d.kv = dsa_tensor_2d(kv, DSA_F32, kKeys, kDim);
    d.indices = dsa_tensor_2d(indices, DSA_I32, kRows, kK);
    d.counts = dsa_tensor_1d(counts, DSA_I32, kRows);
    d.row_end = dsa_tensor_1d(row_end, DSA_I32, kRows);
    d.sink = dsa_tensor_1d(sink, DSA_F32, kHeads);
    d.out = dsa_tensor_3d(out, DSA_F32, kRows, kHeads, kValue);
    d.lse = dsa_tensor_2d(lse, DSA_F32, kRows, kHeads);
    d.max = dsa_tensor_2d(max, DSA_F32, kRows, kHeads);
    compute();
  }
  // `p_error`: relative, of the first key's P.
  void compute(float p_error = 0) {
    for (int t = 0; t < kRows; ++t) {
      for (int h = 0; h < kHeads; ++h) head(t, h, p_error);
    }
  }
  void head(int t, int h, float p_error) {
    float z[kK], most = -INFINITY, sum = 0, o[kValue] = {};
    int keys[kK], n = 0;
    for (int j = 0; j < counts[t]; ++j) {
      const int s = indices[t][j];
      if (s < 0 || s >= row_end[t]) continue;
      float dot = 0;
      for (int i = 0; i < kDim; ++i) dot += q[t][h][i] * kv[s][i];
      keys[n] = s;
      z[n++] = d.scale * dot;
      most = std::fmax(most, d.scale * dot);
    }
    for (int j = 0; j < n; ++j) {
      const float p = std::exp(z[j] - most) * (j == 0 ? 1 + p_error : 1);
      sum += p;
      for (int i = 0; i < kValue; ++i) o[i] += p * kv[keys[j]][i];
    }
    const float with_sink = sum + std::exp(sink[h] - most);
    for (int i = 0; i < kValue; ++i) out[t][h][i] = o[i] / with_sink;
    lse[t][h] = most + std::log(sum);
    max[t][h] = most;
  }
  std::string check(double p_unit = 0) const { return oracle::check_sparse_attn(d, p_unit); }
};

// Has the results of wrong inputs judged as if they came from the right ones.
template <class Break>
void expect_refused_from(Break&& make_wrong) {
  Call wrong, judged;
  make_wrong(wrong);
  wrong.compute();
  std::memcpy(judged.out, wrong.out, sizeof wrong.out);
  std::memcpy(judged.lse, wrong.lse, sizeof wrong.lse);
  std::memcpy(judged.max, wrong.max, sizeof wrong.max);
  EXPECT_NE(judged.check(), "");
}

template <class Break>
void expect_refused(Break&& make_wrong) {
  Call c;
  make_wrong(c);
  EXPECT_NE(c.check(), "");
}

TEST(AttentionChecker, AcceptsTheRightResult) {
  const Call c;
  EXPECT_EQ(c.check(), "");
}

TEST(AttentionChecker, RefusesADroppedKey) {
  expect_refused_from([](Call& c) { c.indices[0][2] = -1; });
  expect_refused_from([](Call& c) { c.counts[2] = 3; });
}
TEST(AttentionChecker, RefusesARepeatedKeyThatCountsOnce) {
  expect_refused_from([](Call& c) { c.indices[1][2] = -1; });
}
TEST(AttentionChecker, RefusesAPermutedHead) {
  expect_refused([](Call& c) { std::swap(c.out[1][0], c.out[1][1]); });
  expect_refused([](Call& c) { std::swap(c.lse[1][0], c.lse[1][1]); });
}
TEST(AttentionChecker, RefusesAStaleRow) {
  expect_refused([](Call& c) { std::memcpy(c.out[2], c.out[1], sizeof c.out[1]); });
}
TEST(AttentionChecker, RefusesVisibilityOffByOne) {
  expect_refused_from([](Call& c) { c.row_end[2] = 6; });  // key 6 is lost
}
TEST(AttentionChecker, RefusesLseOfAnotherBaseOrWithTheSink) {
  expect_refused([](Call& c) {
    for (auto& row : c.lse) {
      for (float& v : row) v *= 1.44269504f;
    }
  });
  expect_refused([](Call& c) { c.d.flags |= DSA_LSE_BASE2; });
  expect_refused([](Call& c) { c.d.flags |= DSA_LSE_WITH_SINK; });
}
TEST(AttentionChecker, RefusesAWrongSinkScaleOrMax) {
  expect_refused_from([](Call& c) { c.sink[1] = -INFINITY; });
  expect_refused_from([](Call& c) { c.d.scale = 0.4001f; });
  expect_refused([](Call& c) { c.max[0][3] += 1e-4f; });
}
TEST(AttentionChecker, AllowsARoundedPOnlyWhereTheKernelRoundsIt) {
  Call c;
  c.compute(1.0f / 600);
  std::memcpy(c.lse, Call().lse, sizeof c.lse);
  EXPECT_NE(c.check(), "");
  EXPECT_EQ(c.check(1.0 / 512), "");
}
TEST(AttentionChecker, RefusesAnEmptyRowThatIsNot) {
  expect_refused([](Call& c) { c.counts[1] = 0; });
  Call c;
  c.counts[1] = INT32_MIN;
  std::memset(c.out[1], 0, sizeof c.out[1]);
  for (int h = 0; h < kHeads; ++h) c.lse[1][h] = c.max[1][h] = -INFINITY;
  EXPECT_EQ(c.check(), "");
  c.max[1][2] = 0;
  EXPECT_NE(c.check(), "");
  c.max[1][2] = -INFINITY;
  c.lse[1][0] = -1e30f;
  EXPECT_NE(c.check(), "");
}

// Two parts of one row and two heads.
struct Merge {
  float part_out[2][1][2][2] = {{{{1, 2}, {3, 4}}}, {{{5, 6}, {7, 8}}}};
  float part_lse[2][1][2] = {{{0, 1}}, {{0, -INFINITY}}};
  float out[1][2][2] = {{{3, 4}, {3, 4}}};
  float lse[1][2] = {{0.693147181f, 1}};
  float sink[2] = {-INFINITY, -INFINITY};
  dsa_merge_lse_desc d = dsa_merge_lse_desc_init();
  Merge() {
    d.partial_out = dsa_tensor_4d(part_out, DSA_F32, 2, 1, 2, 2);
    d.partial_lse = dsa_tensor_3d(part_lse, DSA_F32, 2, 1, 2);
    d.sink = dsa_tensor_1d(sink, DSA_F32, 2);
    d.out = dsa_tensor_3d(out, DSA_F32, 1, 2, 2);
    d.lse = dsa_tensor_2d(lse, DSA_F32, 1, 2);
  }
  std::string check() const { return oracle::check_merge_lse(d); }
};

TEST(MergeChecker, TellsRightFromWrong) {
  EXPECT_EQ(Merge().check(), "");
  const auto refused = [](auto&& make_wrong) {
    Merge m;
    make_wrong(m);
    EXPECT_NE(m.check(), "");
  };
  refused([](Merge& m) { m.out[0][0][1] = 4.0001f; });
  refused([](Merge& m) {
    std::swap(m.out[0][0], m.out[0][1]);
    m.out[0][0][0] = 1;
  });
  refused([](Merge& m) { m.lse[0][0] = 1; });
  refused([](Merge& m) { m.sink[0] = 0; });
  refused([](Merge& m) { m.part_lse[1][0][1] = 0; });  // a part that was left out
  refused([](Merge& m) { m.d.flags |= DSA_LSE_BASE2; });
}

}  // namespace

// The checkers of dsa_indexer and dsa_indexer_topk must refuse every kind of wrong result.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "oracle/indexer.h"
#include "oracle/indexer_topk.h"
#include "oracle/topk.h"
#include "support/random.h"

namespace {

constexpr int kRows = 3, kHeads = 4, kDim = 16, kKeys = 10, kK = 4;

// Scores as an f32 program gives them.
struct Call {
  float q[kRows][kHeads][kDim], w[kRows][kHeads], keys[kKeys][kDim], scale[kKeys];
  float scores[kRows][kKeys];
  int32_t row_end[kRows] = {6, 9, 10};
  dsa_indexer_desc d = dsa_indexer_desc_init();

  explicit Call(bool relu = true) {
    support::Random random(7);
    const auto fill = [&](auto& values) {
      for (auto& row : values) {
        for (auto& v : row) v = float(random.normal());
      }
    };
    for (auto& row : q) fill(row);
    fill(w);
    fill(keys);
    for (float& v : scale) v = float(0.5 + random.unit());
    if (!relu) d.flags |= DSA_NO_RELU;
    d.q = dsa_tensor_3d(q, DSA_F32, kRows, kHeads, kDim);
    d.w = dsa_tensor_2d(w, DSA_F32, kRows, kHeads);
    d.keys = dsa_tensor_2d(keys, DSA_F32, kKeys, kDim);
    d.k_scale = dsa_tensor_1d(scale, DSA_F32, kKeys);
    d.row_end = dsa_tensor_1d(row_end, DSA_I32, kRows);
    d.scores = dsa_tensor_2d(scores, DSA_F32, kRows, kKeys);
    compute(relu);
  }
  void compute(bool relu) {
    for (int t = 0; t < kRows; ++t) {
      for (int s = 0; s < kKeys; ++s) scores[t][s] = s < row_end[t] ? score(t, s, relu) : -INFINITY;
    }
  }
  float score(int t, int s, bool relu) const {
    float sum = 0;
    for (int h = 0; h < kHeads; ++h) {
      float dot = 0;
      for (int i = 0; i < kDim; ++i) dot += q[t][h][i] * keys[s][i];
      sum += w[t][h] * (relu && dot < 0 ? 0 : dot);
    }
    return sum * scale[s];
  }
  std::string check() const { return oracle::check_indexer(d, 0); }
};

template <class Break>
void expect_refused(Break&& make_wrong) {
  Call c;
  make_wrong(c);
  EXPECT_NE(c.check(), "");
}

TEST(IndexerChecker, AcceptsTheRightResult) {
  EXPECT_EQ(Call().check(), "");
  EXPECT_EQ(Call(false).check(), "");
}

TEST(IndexerChecker, RefusesADroppedKey) {
  expect_refused([](Call& c) { c.scores[1][3] = -INFINITY; });
}
TEST(IndexerChecker, RefusesAPermutedHead) {
  expect_refused([](Call& c) { std::swap(c.w[1][0], c.w[1][2]); });
}
TEST(IndexerChecker, RefusesAStaleRow) {
  expect_refused([](Call& c) {
    for (int s = 0; s < 6; ++s) c.scores[1][s] = c.scores[0][s];
  });
}
TEST(IndexerChecker, RefusesVisibilityOffByOne) {
  expect_refused([](Call& c) { c.row_end[0] = 7; });
  expect_refused([](Call& c) { c.row_end[0] = 5; });
}
TEST(IndexerChecker, RefusesAMissingScaleOrRelu) {
  expect_refused([](Call& c) { c.scale[2] = 1.001f * c.scale[2]; });
  expect_refused([](Call& c) { c.compute(false); });
}
TEST(IndexerChecker, RefusesSmallErrors) {
  // 64 units in the last place of the largest score.
  expect_refused([](Call& c) {
    float most = 0;
    for (const float v : c.scores[2]) most = std::fmax(most, std::fabs(v));
    c.scores[2][1] += most * 64 * 0x1p-23f * 4;
  });
}
TEST(IndexerChecker, RefusesALostNan) {
  expect_refused([](Call& c) { c.keys[2][3] = NAN; });
}
TEST(IndexerChecker, RefusesTouchedColumnsWhereTheyAreKept) {
  Call c;
  c.d.flags |= DSA_KEEP_INVISIBLE;
  EXPECT_NE(c.check(), "");
  for (int s = 6; s < kKeys; ++s) c.scores[0][s] = 0;
  c.scores[1][9] = 0;
  EXPECT_EQ(c.check(), "");
}

// The fused call with the selection that the scores give.
struct FusedCall {
  Call inputs;
  int32_t indices[kRows][kK], counts[kRows], cut_index[kRows];
  float values[kRows][kK], cut_score[kRows];
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();

  FusedCall() {
    d.k = kK;
    d.q = inputs.d.q;
    d.w = inputs.d.w;
    d.keys = inputs.d.keys;
    d.k_scale = inputs.d.k_scale;
    d.row_end = inputs.d.row_end;
    d.indices = dsa_tensor_2d(indices, DSA_I32, kRows, kK);
    d.values = dsa_tensor_2d(values, DSA_F32, kRows, kK);
    d.counts = dsa_tensor_1d(counts, DSA_I32, kRows);
    d.cut_score = dsa_tensor_1d(cut_score, DSA_F32, kRows);
    d.cut_index = dsa_tensor_1d(cut_index, DSA_I32, kRows);
    for (int t = 0; t < kRows; ++t) {
      std::vector<oracle::Candidate> all;
      for (int s = 0; s < inputs.row_end[t]; ++s) all.push_back({s, inputs.scores[t][s], s});
      const oracle::Selected selected = oracle::select(all, kK, DSA_ORDER_INDEX);
      for (int j = 0; j < kK; ++j) {
        indices[t][j] = int32_t(selected.keys[size_t(j)].key);
        values[t][j] = float(selected.keys[size_t(j)].score);
      }
      counts[t] = kK;
      cut_score[t] = float(selected.cut_score);
      cut_index[t] = int32_t(selected.cut_index);
    }
  }
  int unselected(int t) const {
    for (int s = 0;; ++s) {
      bool found = false;
      for (const int32_t index : indices[t]) found = found || index == s;
      if (!found) return s;
    }
  }
  std::string check() const { return oracle::check_indexer_topk(d); }
};

TEST(IndexerTopkChecker, AcceptsTheRightResult) { EXPECT_EQ(FusedCall().check(), ""); }

TEST(IndexerTopkChecker, RefusesWrongResults) {
  const auto refused = [](auto&& make_wrong) {
    FusedCall c;
    make_wrong(c);
    EXPECT_NE(c.check(), "");
  };
  refused([](FusedCall& c) { c.counts[1] = kK - 1; });
  refused([](FusedCall& c) { c.indices[1][kK - 1] = -1; });
  refused([](FusedCall& c) { c.indices[0][1] = c.indices[0][0]; });
  refused([](FusedCall& c) { std::swap(c.indices[0][1], c.indices[0][2]); });
  refused([](FusedCall& c) { c.values[0][1] *= 1.001f; });
  refused([](FusedCall& c) { c.cut_score[2] *= 1.001f; });
  refused([](FusedCall& c) { c.cut_index[2] = c.unselected(2); });
  refused([](FusedCall& c) { c.inputs.row_end[2] = 3; });
  refused([](FusedCall& c) {  // the worst selected key gives way to a worse one
    c.d.order = DSA_ORDER_ANY;
    c.d.values = c.d.cut_index = c.d.cut_score = dsa_tensor{};
    for (int32_t& index : c.indices[1]) {
      if (index == c.cut_index[1]) index = c.unselected(1);
    }
  });
}

}  // namespace

// The checker of dsa_topk must refuse every kind of wrong result.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "oracle/topk.h"

namespace {

constexpr int kRows = 3, kColumns = 8, kK = 3;

// Three rows whose right selection of 3 is written out by hand.
struct Call {
  float scores[kRows][kColumns] = {{5, 1, 7, 1, 1, 9, 0, 2},          // 2, 5, 0
                                   {4, 4, 4, 4, 8, 4, 4, 4},          // ties: 0, 1, 4
                                   {-1, -2, -0.f, 0, -5, 3, 1, -9}};  // ends at 2: 0, 1
  int32_t row_end[kRows] = {8, 8, 2};
  int32_t table[1][8] = {{10, 11, 12, 13, 14, 15, 16, 17}};
  int32_t indices[kRows][kK] = {{0, 2, 5}, {0, 1, 4}, {0, 1, -1}};
  int32_t slots[kRows][kK] = {{10, 12, 15}, {10, 11, 14}, {10, 11, -1}};
  float values[kRows][kK] = {{5, 7, 9}, {4, 4, 8}, {-1, -2, -INFINITY}};
  int32_t counts[kRows] = {3, 3, 2};
  float cut_score[kRows] = {5, 4, -2};
  int32_t cut_index[kRows] = {0, 1, 1};
  dsa_topk_desc d = dsa_topk_desc_init();

  Call() {
    d.k = kK;
    d.slot_page_size = 1;
    d.scores = dsa_tensor_2d(scores, DSA_F32, kRows, kColumns);
    d.row_end = dsa_tensor_1d(row_end, DSA_I32, kRows);
    d.slot_table = dsa_tensor_2d(table, DSA_I32, 1, 8);
    d.indices = dsa_tensor_2d(indices, DSA_I32, kRows, kK);
    d.slots = dsa_tensor_2d(slots, DSA_I32, kRows, kK);
    d.values = dsa_tensor_2d(values, DSA_F32, kRows, kK);
    d.counts = dsa_tensor_1d(counts, DSA_I32, kRows);
    d.cut_score = dsa_tensor_1d(cut_score, DSA_F32, kRows);
    d.cut_index = dsa_tensor_1d(cut_index, DSA_I32, kRows);
  }
  std::string check() const { return oracle::check_topk(d); }
};

TEST(TopkChecker, AcceptsTheRightResult) { EXPECT_EQ(Call().check(), ""); }

template <class Break>
void expect_refused(Break&& make_wrong) {
  Call c;
  make_wrong(c);
  EXPECT_NE(c.check(), "");
}

TEST(TopkChecker, RefusesADroppedKey) {
  expect_refused([](Call& c) {
    c.indices[0][1] = 5;
    c.indices[0][2] = -1;
  });
  expect_refused([](Call& c) { c.counts[0] = 2; });
}

TEST(TopkChecker, RefusesSwappedTies) {
  expect_refused([](Call& c) { c.indices[1][1] = 2; });
  expect_refused([](Call& c) { c.cut_index[1] = 2; });
}

TEST(TopkChecker, RefusesAStaleRow) {
  expect_refused([](Call& c) { std::memcpy(c.indices[1], c.indices[0], sizeof c.indices[0]); });
  expect_refused([](Call& c) { c.counts[2] = c.counts[1]; });
}

TEST(TopkChecker, RefusesVisibilityOffByOne) {
  expect_refused([](Call& c) { c.row_end[2] = 3; });
  expect_refused([](Call& c) { c.row_end[2] = 1; });
  expect_refused([](Call& c) { c.row_end[0] = 5; });
}

TEST(TopkChecker, RefusesWrongOrder) {
  expect_refused([](Call& c) { std::swap(c.indices[0][0], c.indices[0][1]); });
  expect_refused([](Call& c) { c.d.order = DSA_ORDER_SCORE; });
}

TEST(TopkChecker, RefusesOtherWrongOutputs) {
  expect_refused([](Call& c) { c.values[0][0] = 4.9999995f; });
  expect_refused([](Call& c) { c.values[2][2] = 0; });
  expect_refused([](Call& c) { c.slots[1][2] = 4; });
  expect_refused([](Call& c) { c.slots[2][2] = 12; });
  expect_refused([](Call& c) { c.indices[2][2] = 2; });
  expect_refused([](Call& c) { c.cut_score[0] = 7; });
}

TEST(TopkChecker, FollowsAFreeChoiceButNoWrongOne) {
  Call c;
  c.d.ties = DSA_TIES_ANY;
  c.d.order = DSA_ORDER_ANY;
  c.d.cut_score = c.d.cut_index = dsa_tensor{};
  const int32_t other[kK] = {4, 6, 2};
  const int32_t other_slots[kK] = {14, 16, 12};
  const float other_values[kK] = {8, 4, 4};
  std::memcpy(c.indices[1], other, sizeof other);
  std::memcpy(c.slots[1], other_slots, sizeof other_slots);
  std::memcpy(c.values[1], other_values, sizeof other_values);
  EXPECT_EQ(c.check(), "");
  c.d.ties = DSA_TIES_SMALLER_INDEX;
  EXPECT_NE(c.check(), "");
  c.d.ties = DSA_TIES_ANY;
  c.indices[1][1] = 4;  // twice
  EXPECT_NE(c.check(), "");
  c.indices[1][1] = 6;
  c.indices[0][0] = 7;  // 2 instead of 5
  EXPECT_NE(c.check(), "");
}

}  // namespace

// Extents past what 16 or 31 bits count: more than 65,535 rows, elements past 2^31.
#include <algorithm>

#include "gpu_test.h"
#include "support/random.h"

using namespace support;

namespace {

// Row t has its k largest at columns that depend on t; all else is small and distinct.
TEST(Extent, TopkOfManyRows) {
  DSA_GPU_OR_SKIP(ctx);
  constexpr int64_t kRows = 150000, kColumns = 64;
  constexpr int32_t k = 5;
  DeviceArray<float> scores(DSA_F32, {kRows, kColumns});
  DeviceArray<int32_t> indices(DSA_I32, {kRows, k}), counts(DSA_I32, {kRows});
  std::vector<float> host(scores.size());
  const auto column = [](int64_t t, int32_t j) { return int32_t((t + j * 7) % kColumns); };
  for (int64_t t = 0; t < kRows; ++t) {
    for (int64_t s = 0; s < kColumns; ++s) host[size_t(t * kColumns + s)] = -float(s);
    for (int32_t j = 0; j < k; ++j) host[size_t(t * kColumns + column(t, j))] = float(1 + j);
  }
  scores.set(host);
  indices.fill(0x5a);
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = scores.tensor;
  d.k = k;
  d.indices = indices.tensor;
  d.counts = counts.tensor;
  ASSERT_EQ(dsa_topk(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
  const std::vector<int32_t> found = indices.get(), count = counts.get();
  for (int64_t t = 0; t < kRows; ++t) {
    std::vector<int32_t> want;
    for (int32_t j = 0; j < k; ++j) want.push_back(column(t, j));
    std::sort(want.begin(), want.end());
    ASSERT_EQ(count[size_t(t)], k);
    ASSERT_TRUE(std::equal(want.begin(), want.end(), found.begin() + t * k)) << "row " << t;
  }
}

// 34,000 rows of 65,536: the last ones lie past 2^31 elements (8.9 GB).
TEST(Extent, TopkPast31BitsOfElements) {
  DSA_GPU_OR_SKIP(ctx);
  constexpr int64_t kRows = 34000, kColumns = 65536;
  constexpr int32_t k = 3;
  DeviceBytes scores(size_t(kRows * kColumns) * 4);
  scores.fill(0);
  DeviceArray<int32_t> indices(DSA_I32, {kRows, k});
  const std::vector<int64_t> rows = {0, 32767, 32768, 33000, kRows - 1};
  for (const int64_t t : rows) {
    const float big = 3;
    scores.upload(&big, 4, size_t(t * kColumns + 65535) * 4);
    scores.upload(&big, 4, size_t(t * kColumns + t % 60000 + 5) * 4);
  }
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(scores.data(), DSA_F32, kRows, kColumns);
  d.scores.device = DSA_DEVICE_CUDA;
  d.k = k;
  d.indices = indices.tensor;
  ASSERT_EQ(dsa_topk(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
  const std::vector<int32_t> found = indices.get();
  for (int64_t t = 0; t < kRows; ++t) {
    const bool planted = std::find(rows.begin(), rows.end(), t) != rows.end();
    const std::vector<int32_t> want = planted
                                          ? std::vector<int32_t>{0, int32_t(t % 60000 + 5), 65535}
                                          : std::vector<int32_t>{0, 1, 2};
    ASSERT_TRUE(std::equal(want.begin(), want.end(), found.begin() + t * k)) << "row " << t;
  }
}

// A cache of 4.2 million rows of 576 bf16 (4.8 GB): the selected ones lie at its end. Key s is the
// constant 2 at element 0 where planted, else 0; V is its own first element.
TEST(Extent, AttentionPast31BitsOfElements) {
  DSA_GPU_OR_SKIP(ctx);
  constexpr int64_t kKeys = 4200000, kDim = 576, kValueDim = 512, kHeads = 16;
  DeviceBytes kv(size_t(kKeys * kDim) * 2);
  kv.fill(0);
  const uint16_t two = 0x4000;
  const std::vector<int32_t> planted = {int32_t(kKeys - 1), int32_t(kKeys - 7), 3800000, 5};
  for (const int32_t s : planted) kv.upload(&two, 2, size_t(s) * kDim * 2);
  DeviceArray<uint16_t> q(DSA_BF16, {1, kHeads, kDim});
  q.fill(0);
  DeviceArray<float> out(DSA_F32, {1, kHeads, kValueDim});
  DeviceArray<int32_t> indices(DSA_I32, {1, int64_t(planted.size())});
  indices.set(planted);
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.q = q.tensor;
  d.kv = dsa_tensor_2d(kv.data(), DSA_BF16, kKeys, kDim);
  d.kv.device = DSA_DEVICE_CUDA;
  d.indices = indices.tensor;
  d.k = int32_t(planted.size());
  d.scale = 1;
  d.out = out.tensor;
  ASSERT_EQ(dsa_sparse_attn(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
  const std::vector<float> o = out.get();
  for (int64_t h = 0; h < kHeads; ++h) {
    EXPECT_EQ(o[size_t(h * kValueDim)], 2.0f) << "head " << h;
    EXPECT_EQ(o[size_t(h * kValueDim + 1)], 0.0f) << "head " << h;
  }
}

// 70,000 queries of one head: more rows than a grid's y or z axis holds.
TEST(Extent, AttentionOfManyRows) {
  DSA_GPU_OR_SKIP(ctx);
  constexpr int64_t kRows = 70000, kDim = 64, kKeys = 1000;
  Random random(8);
  DeviceArray<float> q(DSA_F32, {kRows, 1, kDim}), kv(DSA_F32, {kKeys, kDim});
  DeviceArray<float> out(DSA_F32, {kRows, 1, kDim});
  DeviceArray<int32_t> indices(DSA_I32, {kRows, 1});
  q.fill(0);
  std::vector<float> keys(kv.size());
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = float(i / kDim);
  kv.set(keys);
  std::vector<int32_t> selected(kRows);
  for (int64_t t = 0; t < kRows; ++t) selected[size_t(t)] = int32_t(random.between(0, kKeys - 1));
  indices.set(selected);
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.q = q.tensor;
  d.kv = kv.tensor;
  d.indices = indices.tensor;
  d.k = 1;
  d.scale = 1;
  d.out = out.tensor;
  ASSERT_EQ(dsa_sparse_attn(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
  const std::vector<float> o = out.get();
  for (int64_t t = 0; t < kRows; ++t) {
    ASSERT_EQ(o[size_t(t * kDim + 63)], float(selected[size_t(t)])) << "row " << t;
  }
}

}  // namespace

// A call captured once and replayed with other contents and other lengths gives what eager calls
// give: kernels choose by what the host knows alone. Also the first call of a process.
#include "gpu_test.h"
#include "support/random.h"

using namespace support;

namespace {

std::vector<float> normals(Random& random, size_t n) {
  std::vector<float> v(n);
  for (float& x : v) x = float(random.normal());
  return v;
}

// Row ends of a call, as a device might hold them.
struct Lengths {
  int64_t rows, columns;
  // Some short, some of the full length, some out of range.
  std::vector<int32_t> draw(Random& random) const {
    std::vector<int32_t> v(static_cast<size_t>(rows));
    for (int32_t& x : v) {
      switch (random.between(0, 5)) {
        case 0:
          x = int32_t(columns);
          break;
        case 1:
          x = random.pick<int32_t>({0, -1, 1, INT32_MIN, INT32_MAX});
          break;
        case 2:
          x = int32_t(random.between(1, std::min<int64_t>(columns, 300)));
          break;
        default:
          x = int32_t(random.between(1, columns));
      }
    }
    return v;
  }
};

TEST(Graph, TopkReplayedWithOtherLengths) {
  DSA_GPU_OR_SKIP(ctx);
  Random random(1);
  for (const auto& [rows, columns, k] : {std::tuple<int64_t, int64_t, int32_t>{1, 4096, 512},
                                         {3, 16384, 2048},
                                         {70, 1000, 64},
                                         {20, 70000, 2048},
                                         {50, 66000, 2048},
                                         {300, 30000, 1024},
                                         {2000, 512, 32},
                                         {1, 300000, 2048}}) {
    DeviceArray<float> scores(DSA_F32, {rows, columns});
    DeviceArray<int32_t> end(DSA_I32, {rows}), indices(DSA_I32, {rows, k}), counts(DSA_I32, {rows});
    dsa_topk_desc d = dsa_topk_desc_init();
    d.scores = scores.tensor;
    d.row_end = end.tensor;
    d.k = k;
    d.indices = indices.tensor;
    d.counts = counts.tensor;
    uint64_t bytes = 0;
    ASSERT_EQ(dsa_workspace_size(ctx.get(), &d, &bytes), DSA_OK) << dsa_last_error();
    scores.fill(0);
    end.fill(0);
    CapturedCall captured(bytes,
                          [&](const dsa_exec* exec) { return dsa_topk(ctx.get(), &d, exec); });
    ASSERT_EQ(captured.status(), DSA_OK) << dsa_last_error();
    for (int round = 0; round < 4; ++round) {
      scores.set(normals(random, scores.size()));
      end.set(Lengths{rows, columns}.draw(random));
      indices.fill(0x5a);
      counts.fill(0x5a);
      captured.run();
      const std::vector<int32_t> replayed = indices.get(), replayed_counts = counts.get();
      indices.fill(0x5b);
      ASSERT_EQ(dsa_topk(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
      ASSERT_EQ(indices.get(), replayed) << rows << " x " << columns << " round " << round;
      ASSERT_EQ(counts.get(), replayed_counts);
    }
  }
}

TEST(Graph, IndexerTopkReplayedWithOtherLengths) {
  DSA_GPU_OR_SKIP(ctx);
  Random random(2);
  for (const auto& [rows, keys, k] :
       {std::tuple<int64_t, int64_t, int32_t>{1, 9000, 512}, {8, 20000, 2048}, {130, 3000, 256}}) {
    constexpr int64_t kHeads = 8, kDim = 64;
    DeviceArray<float> q(DSA_F32, {rows, kHeads, kDim}), key(DSA_F32, {keys, kDim});
    DeviceArray<float> w(DSA_F32, {rows, kHeads});
    DeviceArray<int32_t> end(DSA_I32, {rows}), indices(DSA_I32, {rows, k});
    dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
    d.q = q.tensor;
    d.keys = key.tensor;
    d.w = w.tensor;
    d.row_end = end.tensor;
    d.k = k;
    d.indices = indices.tensor;
    uint64_t bytes = 0;
    ASSERT_EQ(dsa_workspace_size(ctx.get(), &d, &bytes), DSA_OK) << dsa_last_error();
    ASSERT_LE(bytes, uint64_t{64} << 20);
    end.fill(0);
    CapturedCall captured(
        bytes, [&](const dsa_exec* exec) { return dsa_indexer_topk(ctx.get(), &d, exec); });
    ASSERT_EQ(captured.status(), DSA_OK) << dsa_last_error();
    for (int round = 0; round < 3; ++round) {
      q.set(normals(random, q.size()));
      key.set(normals(random, key.size()));
      w.set(normals(random, w.size()));
      end.set(Lengths{rows, keys}.draw(random));
      indices.fill(0x5a);
      captured.run();
      const std::vector<int32_t> replayed = indices.get();
      indices.fill(0x5b);
      ASSERT_EQ(dsa_indexer_topk(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
      ASSERT_EQ(indices.get(), replayed) << rows << " x " << keys << " round " << round;
    }
  }
}

TEST(Graph, SparseAttnReplayedWithOtherSelections) {
  DSA_GPU_OR_SKIP(ctx);
  Random random(3);
  for (const auto& [rows, heads, k] :
       {std::tuple<int64_t, int64_t, int32_t>{1, 16, 2048}, {5, 128, 512}, {200, 8, 100}}) {
    constexpr int64_t kKeys = 5000, kDim = 160, kValueDim = 128;
    DeviceArray<float> q(DSA_F32, {rows, heads, kDim}), kv(DSA_F32, {kKeys, kDim});
    DeviceArray<float> out(DSA_F32, {rows, heads, kValueDim}), lse(DSA_F32, {rows, heads});
    DeviceArray<int32_t> indices(DSA_I32, {rows, k}), counts(DSA_I32, {rows});
    q.set(normals(random, q.size()));
    kv.set(normals(random, kv.size()));
    dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
    d.q = q.tensor;
    d.kv = kv.tensor;
    d.indices = indices.tensor;
    d.counts = counts.tensor;
    d.k = k;
    d.scale = 0.1f;
    d.out = out.tensor;
    d.lse = lse.tensor;
    uint64_t bytes = 0;
    ASSERT_EQ(dsa_workspace_size(ctx.get(), &d, &bytes), DSA_OK) << dsa_last_error();
    indices.fill(0xff);
    counts.fill(0);
    CapturedCall captured(
        bytes, [&](const dsa_exec* exec) { return dsa_sparse_attn(ctx.get(), &d, exec); });
    ASSERT_EQ(captured.status(), DSA_OK) << dsa_last_error();
    for (int round = 0; round < 3; ++round) {
      std::vector<int32_t> selected(indices.size());
      for (int32_t& i : selected) {
        i = random.chance(0.1) ? random.pick<int32_t>({-1, INT32_MIN, INT32_MAX, kKeys})
                               : int32_t(random.between(0, kKeys - 1));
      }
      indices.set(selected);
      counts.set(Lengths{rows, k}.draw(random));
      out.fill(0x5a);
      captured.run();
      const std::vector<float> replayed = out.get(), replayed_lse = lse.get();
      out.fill(0x5b);
      ASSERT_EQ(dsa_sparse_attn(ctx.get(), &d, nullptr), DSA_OK) << dsa_last_error();
      // Bits: NaN would not equal itself, and must not be there.
      ASSERT_EQ(out.get(), replayed) << rows << " rows, " << heads << " heads, round " << round;
      ASSERT_EQ(lse.get(), replayed_lse);
    }
  }
}

// Without a workspace a captured call that needs one is refused, and nothing is captured.
TEST(Graph, CaptureWithoutWorkspaceIsRefused) {
  DSA_GPU_OR_SKIP(ctx);
  DeviceArray<float> q(DSA_F32, {4, 8, 64}), keys(DSA_F32, {5000, 64});
  DeviceArray<int32_t> indices(DSA_I32, {4, 64});
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  d.q = q.tensor;
  d.keys = keys.tensor;
  d.k = 64;
  d.indices = indices.tensor;
  uint64_t bytes = 0;
  ASSERT_EQ(dsa_workspace_size(ctx.get(), &d, &bytes), DSA_OK) << dsa_last_error();
  ASSERT_GT(bytes, 0u);
  const CapturedCall captured(
      0, [&](const dsa_exec* exec) { return dsa_indexer_topk(ctx.get(), &d, exec); });
  EXPECT_EQ(captured.status(), DSA_ERROR_CAPTURE);
  EXPECT_NE(std::string(dsa_last_error()).find("workspace"), std::string::npos);
}

}  // namespace

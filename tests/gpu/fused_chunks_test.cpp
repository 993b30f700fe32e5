// dsa_indexer_topk in more chunks of rows than one, and with more rows than 16 bits count: the same
// bits as dsa_indexer and dsa_topk on the whole score matrix.
#include <cstring>

#include "gpu_test.h"
#include "support/random.h"

using namespace support;

namespace {

struct Sizes {
  int64_t batch, rows, keys;  // rows of all requests, keys of one
  int64_t heads, dim;
  int32_t k;
};

// The outputs of a selection.
struct Outputs {
  DeviceArray<int32_t> indices, counts, cut_index;
  DeviceArray<float> values, cut_score;

  Outputs(int64_t rows, int64_t k)
      : indices(DSA_I32, {rows, k}),
        counts(DSA_I32, {rows}),
        cut_index(DSA_I32, {rows}),
        values(DSA_F32, {rows, k}),
        cut_score(DSA_F32, {rows}) {
    indices.fill(0x5a);
    values.fill(0x5a);
  }
  template <class Desc>
  void give(Desc& d) const {
    d.indices = indices.tensor;
    d.counts = counts.tensor;
    d.cut_index = cut_index.tensor;
    d.values = values.tensor;
    d.cut_score = cut_score.tensor;
  }
};

// The upper halves of f32 numbers.
std::vector<uint16_t> bf16_normals(Random& random, size_t n) {
  std::vector<uint16_t> v(n);
  for (uint16_t& x : v) {
    const float value = float(random.normal());
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    x = uint16_t(bits >> 16);
  }
  return v;
}

template <class To, class From>
void copy_fields(To& to, const From& from) {
  to.flags = from.flags;
  to.batch = from.batch;
  to.offset = from.offset;
}

void compare(dsa_ctx* ctx, dsa_ctx* any, const Sizes& n) {
  Random random(uint64_t(n.rows));
  DeviceArray<uint16_t> q(DSA_BF16, {n.rows, n.heads, n.dim});
  DeviceArray<uint16_t> keys(DSA_BF16, {n.batch, n.keys, n.dim});
  DeviceArray<uint16_t> w(DSA_BF16, {n.rows, n.heads});
  q.set(bf16_normals(random, q.size()));
  keys.set(bf16_normals(random, keys.size()));
  w.set(bf16_normals(random, w.size()));
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  d.key_layout = DSA_LAYOUT_BATCH;
  d.flags = DSA_CAUSAL;
  d.offset = n.keys - n.rows / n.batch;
  d.q = q.tensor;
  d.keys = keys.tensor;
  d.w = w.tensor;
  d.k = n.k;
  const Outputs fused(n.rows, n.k), steps(n.rows, n.k);
  fused.give(d);
  uint64_t bytes = 0;
  ASSERT_EQ(dsa_workspace_size(ctx, &d, &bytes), DSA_OK) << dsa_last_error();
  EXPECT_LE(bytes, uint64_t{64} << 20);
  ASSERT_EQ(dsa_indexer_topk(ctx, &d, nullptr), DSA_OK) << dsa_last_error();

  DeviceArray<float> scores(DSA_F32, {n.rows, n.keys});
  dsa_indexer_desc index = dsa_indexer_desc_init();
  copy_fields(index, d);
  index.key_layout = d.key_layout;
  index.q = d.q;
  index.keys = d.keys;
  index.w = d.w;
  index.scores = scores.tensor;
  ASSERT_EQ(dsa_indexer(ctx, &index, nullptr), DSA_OK) << dsa_last_error();
  dsa_topk_desc select = dsa_topk_desc_init();
  copy_fields(select, d);
  select.batch = n.batch;
  select.scores = scores.tensor;
  select.k = n.k;
  steps.give(select);
  ASSERT_EQ(dsa_topk(any, &select, nullptr), DSA_OK) << dsa_last_error();
  EXPECT_EQ(fused.indices.get(), steps.indices.get());
  EXPECT_EQ(fused.values.get(), steps.values.get());
  EXPECT_EQ(fused.counts.get(), steps.counts.get());
  EXPECT_EQ(fused.cut_index.get(), steps.cut_index.get());
  EXPECT_EQ(fused.cut_score.get(), steps.cut_score.get());
}

// Every family that this GPU can run.
void compare_families(const Sizes& n) {
  DSA_GPU_OR_SKIP(any);
  int families = 0;
  dsa_kernel_info info{};
  info.struct_size = sizeof info;
  for (int32_t i = 0; dsa_kernel_get(any.get(), i, &info) == DSA_OK; ++i) {
    if (info.operation != DSA_OP_INDEXER_TOPK || info.device != DSA_DEVICE_CUDA || !info.usable) {
      continue;
    }
    const std::string glob = std::string("cuda.indexer*.") + info.family;
    const Context ctx = make_gpu_context(glob.c_str());
    ASSERT_TRUE(ctx) << dsa_last_error();
    SCOPED_TRACE(glob);
    compare(ctx.get(), any.get(), n);
    ++families;
  }
  EXPECT_GT(families, 0);
}

// 2 x 1051 rows of 12,000 scores are 101 MB: chunks end inside a request.
TEST(FusedChunks, SeveralOfThem) { compare_families({2, 2102, 12000, 32, 64, 300}); }

TEST(FusedChunks, ManyRows) { compare_families({3, 150000, 70, 16, 32, 7}); }

}  // namespace

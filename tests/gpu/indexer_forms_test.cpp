// One call in every form that the indexer's kernels have for it: how rows are grouped, where keys
// lie, how they are copied. The bits of a score are the same in all of them, and the oracle's.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "gpu/gpu_test.h"
#include "oracle/indexer.h"
#include "support/draw_fields.h"
#include "support/every_kernel.h"
#include "support/seeds.h"

using namespace support;

namespace {

// 70 rows: many groups of rows, the last one not full. 2300 keys: more tiles than a ring holds.
constexpr int64_t kRows = 70;
constexpr int64_t kKeys = 2300;

struct Case {
  int32_t dtype;
  int64_t heads, dim;
  bool scaled;  // q_scale given
};

class Forms {
 public:
  Forms(dsa_ctx* ctx, Case c) : ctx_(ctx), case_(c), random_(uint64_t(c.heads * 1000 + c.dim)) {
    d_.q = dense(c.dtype, {kRows, c.heads, c.dim});
    d_.keys = dense(c.dtype, {kKeys, c.dim});
    d_.w = dense(DSA_F32, {kRows, c.heads});
    d_.k_scale = dense(DSA_F32, {kKeys});
    if (c.scaled) d_.q_scale = dense(DSA_F32, {kRows, c.heads});
    for (const dsa_tensor& t : {d_.q, d_.keys, d_.w}) fill(t, [&] { return random_.normal(); });
    fill(d_.k_scale, [&] { return 0.5 + random_.unit(); });
    if (c.scaled) fill(d_.q_scale, [&] { return random_.normal(); });
  }

  bool taken() const { return supports(ctx_, with_scores(d_, kRows, nullptr)) == DSA_OK; }

  std::vector<float> run_call(const dsa_indexer_desc& d) {
    const int64_t rows = d.q.shape[0];
    std::vector<float> out(size_t(rows * kKeys), 777.0f);
    EXPECT_EQ(run(ctx_, with_scores(d, rows, out.data())), DSA_OK) << dsa_last_error();
    return out;
  }
  void check_oracle(const Kernel& kernel) {
    dsa_indexer_desc d = slice(d_, kRows - 2, 2);
    std::vector<float> out = run_call(d);
    d = with_scores(d, 2, out.data());
    EXPECT_EQ(oracle::check_indexer(d, 0, kernel.product_unit(d)), "");
  }

  const dsa_indexer_desc& base() const { return d_; }

  // Rows [t, t + n) alone.
  static dsa_indexer_desc slice(dsa_indexer_desc d, int64_t t, int64_t n) {
    for (dsa_tensor* x : {&d.q, &d.w, &d.q_scale}) {
      if (x->ndim == 0) continue;
      x->data = static_cast<char*>(x->data) + t * x->stride[0] * dtype_bytes(x->dtype);
      x->shape[0] = n;
    }
    return d;
  }
  // Keys in pages in any order, scales apart.
  dsa_indexer_desc paged(int64_t page) {
    const int64_t pages = (kKeys + page - 1) / page;
    std::vector<int64_t> where(static_cast<size_t>(pages));
    std::iota(where.begin(), where.end(), 0);
    random_.shuffle(where);
    dsa_indexer_desc d = d_;
    d.key_layout = DSA_LAYOUT_PAGES;
    d.keys = dense(case_.dtype, {pages, page, case_.dim});
    d.k_scale = dense(DSA_F32, {pages, page});
    d.block_table = dense(DSA_I32, {1, pages});
    for (int64_t i = 0; i < pages; ++i) {
      store_i32(static_cast<char*>(d.block_table.data) + 4 * i, int32_t(where[size_t(i)]));
    }
    const int64_t row = case_.dim * dtype_bytes(case_.dtype);
    for (int64_t s = 0; s < kKeys; ++s) {
      const int64_t to = where[size_t(s / page)] * page + s % page;
      std::memcpy(static_cast<char*>(d.keys.data) + to * row,
                  static_cast<const char*>(d_.keys.data) + s * row, size_t(row));
      std::memcpy(static_cast<char*>(d.k_scale.data) + to * 4,
                  static_cast<const char*>(d_.k_scale.data) + s * 4, 4);
    }
    return d;
  }
  // Keys one element past a 16-byte boundary.
  dsa_indexer_desc misaligned() {
    dsa_indexer_desc d = d_;
    d.keys = dense(case_.dtype, {kKeys + 1, case_.dim});
    d.keys.data = static_cast<char*>(d.keys.data) + dtype_bytes(case_.dtype);
    d.keys.shape[0] = kKeys;
    std::memcpy(d.keys.data, d_.keys.data, size_t(kKeys * case_.dim * dtype_bytes(case_.dtype)));
    return d;
  }
  // The same keys for each of two requests.
  dsa_indexer_desc batch() {
    dsa_indexer_desc d = d_;
    d.key_layout = DSA_LAYOUT_BATCH;
    d.keys = dense(case_.dtype, {2, kKeys, case_.dim});
    d.k_scale = dense(DSA_F32, {2, kKeys});
    const size_t bytes = size_t(kKeys * case_.dim * dtype_bytes(case_.dtype));
    for (size_t r = 0; r < 2; ++r) {
      std::memcpy(static_cast<char*>(d.keys.data) + r * bytes, d_.keys.data, bytes);
      std::memcpy(static_cast<char*>(d.k_scale.data) + r * kKeys * 4, d_.k_scale.data, kKeys * 4);
    }
    return d;
  }
  dsa_tensor dense(int32_t dtype, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (const int64_t n : shape) count *= n;
    const size_t bytes = size_t(count * dtype_bytes(dtype));
    memory_.emplace_back(bytes + 256);
    char* data = memory_.back().data();
    data += (256 - reinterpret_cast<uintptr_t>(data) % 256) % 256;
    switch (shape.size()) {
      case 1:
        return dsa_tensor_1d(data, dtype, shape[0]);
      case 2:
        return dsa_tensor_2d(data, dtype, shape[0], shape[1]);
      default:
        return dsa_tensor_3d(data, dtype, shape[0], shape[1], shape[2]);
    }
  }

 private:
  static dsa_indexer_desc with_scores(dsa_indexer_desc d, int64_t rows, float* out) {
    d.scores = dsa_tensor_2d(out, DSA_F32, rows, kKeys);
    return d;
  }

  dsa_ctx* ctx_;
  Case case_;
  Random random_;
  std::vector<std::vector<char>> memory_;
  dsa_indexer_desc d_ = dsa_indexer_desc_init();
};

void expect_equal(const std::vector<float>& want, const std::vector<float>& got, size_t from,
                  const char* form) {
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(std::memcmp(&want[from + i], &got[i], 4), 0)
        << form << ": score " << from + i << " is " << got[i] << ", not " << want[from + i];
  }
}

// Under DSA_TEST_SHARE a few cases: racecheck takes 20 s for one.
bool all_cases() { return seeds(100) == 100; }

void check_forms(const Kernel& kernel, Case c) {
  Forms forms(kernel.ctx.get(), c);
  if (!forms.taken()) return;
  SCOPED_TRACE(kernel.name + " dtype " + std::to_string(c.dtype) + " Hi " +
               std::to_string(c.heads) + " Di " + std::to_string(c.dim));
  const std::vector<float> all = forms.run_call(forms.base());
  forms.check_oracle(kernel);
  for (const int64_t n : {1, 2, 3}) {
    expect_equal(all, forms.run_call(Forms::slice(forms.base(), 5, n)), size_t(5 * kKeys), "rows");
  }
  for (const int64_t page : {64, 48, 24, 5}) {
    expect_equal(all, forms.run_call(forms.paged(page)), 0, "pages");
  }
  expect_equal(all, forms.run_call(forms.misaligned()), 0, "misaligned keys");
  expect_equal(all, forms.run_call(forms.batch()), 0, "batch");
  // Rows of two requests in turns: a group of rows is one row.
  dsa_indexer_desc d = forms.batch();
  d.row_request = forms.dense(DSA_I32, {kRows});
  d.batch = 2;
  for (int64_t t = 0; t < kRows; ++t) {
    store_i32(static_cast<char*>(d.row_request.data) + 4 * t, int32_t(t % 2));
  }
  expect_equal(all, forms.run_call(d), 0, "requests in turns");
  expect_equal(all, forms.run_call(forms.base()), 0, "again");
}

TEST(IndexerForms, GiveTheSameBits) {
  int judged = 0;
  for (const Kernel& kernel : kernels_of(DSA_OP_INDEXER)) {
    if (!kernel.usable || kernel.on_cpu()) continue;
    for (const int32_t dtype : {DSA_F8_E4M3FN, DSA_BF16}) {
      for (const int64_t heads : {4, 16, 24, 32, 64, 100, 128}) {
        for (const int64_t dim : {128, 64, 33}) {
          if (dim != 128 && heads != 64) continue;
          if (!all_cases() && (heads != 32 || dim != 128)) continue;
          check_forms(kernel, {dtype, heads, dim, heads == 32 || dim == 64});
          if (testing::Test::HasFailure()) return;
          ++judged;
        }
      }
    }
    if (!all_cases()) continue;
    // Few heads of f32, and their misaligned keys, which go another way.
    for (const Case c :
         {Case{DSA_F32, 4, 32, true}, {DSA_F32, 3, 64, false}, {DSA_F32, 1, 16, true}}) {
      check_forms(kernel, c);
      if (testing::Test::HasFailure()) return;
      ++judged;
    }
  }
  std::printf("[ COMPARED ] %d cases\n", judged);
}

// Decoding: `n` rows of each request, keys in pages of a cache that all share, lengths of every
// kind, table entries that point outside.
void check_decoding(const Kernel& kernel, Case c, int64_t requests, int64_t n, int64_t page) {
  constexpr int64_t kPages = 24, kCapacity = 768;
  SCOPED_TRACE(kernel.name + " dtype " + std::to_string(c.dtype) + " Hi " +
               std::to_string(c.heads) + ", " + std::to_string(requests) + " x " +
               std::to_string(n) + " rows, pages of " + std::to_string(page));
  Forms forms(kernel.ctx.get(), c);
  Random random(uint64_t(requests * 10 + n));
  const int64_t rows = requests * n, of_request = kCapacity / page;
  dsa_indexer_desc d = dsa_indexer_desc_init();
  d.key_layout = DSA_LAYOUT_PAGES;
  d.batch = requests;
  d.next_n = int32_t(n);
  d.q = forms.dense(c.dtype, {rows, c.heads, c.dim});
  d.w = forms.dense(DSA_F32, {rows, c.heads});
  d.keys = forms.dense(c.dtype, {kPages, page, c.dim});
  d.k_scale = forms.dense(DSA_F32, {kPages, page});
  for (const dsa_tensor& t : {d.q, d.keys, d.w}) fill(t, [&] { return random.normal(); });
  fill(d.k_scale, [&] { return 0.5 + random.unit(); });
  d.block_table = forms.dense(DSA_I32, {requests, of_request});
  for (int64_t i = 0; i < requests * of_request; ++i) {
    store_i32(static_cast<char*>(d.block_table.data) + 4 * i, random.integer(0, kPages - 1, 0.1));
  }
  d.seq_lens = forms.dense(DSA_I32, {requests});
  for (int64_t r = 0; r < requests; ++r) {
    const int32_t lengths[] = {kCapacity, 0, 1, 63, 64, 65, 500, -3, kCapacity + 9, 129};
    store_i32(static_cast<char*>(d.seq_lens.data) + 4 * r, lengths[r % 10]);
  }
  const auto scores_of = [&](const dsa_indexer_desc& call) {
    std::vector<float> out(size_t(rows * kCapacity), 777.0f);
    dsa_indexer_desc with = call;
    with.scores = dsa_tensor_2d(out.data(), DSA_F32, rows, kCapacity);
    EXPECT_EQ(run(kernel.ctx.get(), with), DSA_OK) << dsa_last_error();
    return out;
  };
  const std::vector<float> few = scores_of(d);
  // Which request a row belongs to is not known on the host now.
  d.row_request = forms.dense(DSA_I32, {rows});
  for (int64_t t = 0; t < rows; ++t) {
    store_i32(static_cast<char*>(d.row_request.data) + 4 * t, int32_t(t / n));
  }
  expect_equal(scores_of(d), few, 0, "decoding");
}

TEST(IndexerForms, DecodingGivesTheSameBits) {
  int judged = 0;
  for (const Kernel& kernel : kernels_of(DSA_OP_INDEXER)) {
    if (!kernel.usable || kernel.on_cpu()) continue;
    for (const int32_t dtype : {DSA_F8_E4M3FN, DSA_BF16}) {
      const int64_t batches[][2] = {{1, 1}, {1, 2}, {2, 2}, {3, 4}, {33, 1}, {128, 1}, {130, 1}};
      for (const auto& [requests, n] : batches) {
        if (!all_cases() && (requests < 2 || requests > 3)) continue;
        const int64_t heads = requests < 4 ? 32 : 64;
        check_decoding(kernel, {dtype, heads, 128, false}, requests, n, n == 2 ? 128 : 64);
        if (testing::Test::HasFailure()) return;
        ++judged;
      }
      check_decoding(kernel, {dtype, 64, 128, false}, 9, 2, 64);
    }
  }
  std::printf("[ COMPARED ] %d cases\n", judged);
}

}  // namespace

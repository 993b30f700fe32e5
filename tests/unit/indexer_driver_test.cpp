// dsa_indexer's driver: layouts, visibility, masks, strides and output types against a naive sum,
// and score bits that do not depend on how the call is cut up. Random configurations from a seed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dsa.h"

namespace {

struct Context {
  dsa_ctx* ctx = nullptr;
  Context(const std::string& kernel, int threads) {
    setenv("DSA_KERNEL", kernel.c_str(), 1);
    dsa_ctx_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.num_threads = threads;
    EXPECT_EQ(dsa_ctx_create(&options, &ctx), DSA_OK) << dsa_last_error();
    unsetenv("DSA_KERNEL");
  }
  ~Context() { dsa_ctx_destroy(ctx); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  bool usable(const std::string& kernel) const {
    dsa_kernel_info info;
    info.struct_size = sizeof info;
    for (int32_t i = 0; dsa_kernel_get(ctx, i, &info) == DSA_OK; ++i) {
      if (info.name == kernel) return info.usable != 0;
    }
    return false;
  }
};

uint16_t to_bf16(float x) {  // x has few bits
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return uint16_t(u >> 16);
}
float from_bf16(uint16_t h) {
  const uint32_t u = uint32_t{h} << 16;
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
const float kE4m3[] = {0, 1, 2, -1, 0.5f, -0.5f, 1.5f, -2};
const uint8_t kE4m3Codes[] = {0x00, 0x38, 0x40, 0xb8, 0x30, 0xb0, 0x3c, 0xc0};

// Small values that every type holds.
struct Draw {
  std::mt19937 rng;
  explicit Draw(uint32_t seed) : rng(seed) {}
  int below(int n) { return int(rng() % uint32_t(n)); }
  bool coin() { return rng() & 1; }
  int code() { return below(8); }
};

struct Problem {
  int rows = 0, batch = 0, heads = 0, dim = 0, capacity = 0, columns = 0;
  std::vector<int> request, begin, end;
  std::vector<std::vector<int>> q_code, w_code;  // [rows][Hi * Di], [rows][Hi]
  // [request][position]: place in the pool of keys, or -1 (hidden by the table)
  std::vector<std::vector<int>> key;
  std::vector<std::vector<int>> k_code;     // [pool][Di]
  std::vector<float> k_scale;               // [pool]
  std::vector<std::vector<uint8_t>> shown;  // [rows][columns]
  bool relu = true, with_w = true, with_k_scale = true, from_begin = false;

  // NaN: not visible.
  double want(int t, int column) const {
    const size_t ut = size_t(t);
    const int s = from_begin ? begin[ut] + column : column;
    if (s < begin[ut] || s >= end[ut] || !shown[ut][size_t(column)]) return NAN;
    const int at = key[size_t(request[ut])][size_t(s)];
    if (at < 0) return NAN;
    double sum = 0;
    for (int h = 0; h < heads; ++h) {
      double dot = 0;
      for (int d = 0; d < dim; ++d) {
        dot +=
            double(kE4m3[q_code[ut][size_t(h * dim + d)]]) * kE4m3[k_code[size_t(at)][size_t(d)]];
      }
      if (relu && dot < 0) dot = 0;
      sum += (with_w ? double(kE4m3[w_code[ut][size_t(h)]]) : 1.0) * dot;
    }
    return with_k_scale ? sum * double(k_scale[size_t(at)]) : sum;
  }
};

// A tensor's memory, filled with a poison, whose elements are set by flat offset.
struct Memory {
  int32_t dtype;
  int bytes;
  std::vector<uint8_t> data;
  Memory(int32_t t, size_t n)
      : dtype(t),
        bytes(t == DSA_F32 || t == DSA_I32        ? 4
              : t == DSA_F8_E4M3FN || t == DSA_U8 ? 1
                                                  : 2),
        data(n * size_t(bytes) + 4, 0xff) {}
  void set(size_t i, int code) {
    const float x = kE4m3[code];
    if (dtype == DSA_F8_E4M3FN) data[i] = kE4m3Codes[code];
    if (dtype == DSA_F32) memcpy(&data[i * 4], &x, 4);
    const uint16_t b = to_bf16(x);
    if (dtype == DSA_BF16) memcpy(&data[i * 2], &b, 2);
    if (dtype == DSA_F16) {
      // 1, 2, 0.5 and 1.5 from their bf16 forms: sign, exponent - 112, 7 mantissa bits.
      const uint16_t h =
          uint16_t((b & 0x8000) | (b & 0x7fff ? ((b & 0x7fff) - (112 << 7)) << 3 : 0));
      memcpy(&data[i * 2], &h, 2);
    }
  }
};

dsa_tensor view(void* data, int32_t dtype, std::vector<int64_t> shape,
                std::vector<int64_t> stride) {
  dsa_tensor t = dsa_tensor_make(data, dtype, int32_t(shape.size()), shape.data());
  for (size_t i = 0; i < stride.size(); ++i) t.stride[i] = stride[i];
  return t;
}

constexpr uint32_t kPoison = 0x7fabcdef;

// Draws everything from the seed, calls, checks. Returns the scores' bits for comparisons.
void run_random(dsa_ctx* ctx, uint32_t seed, bool bf16_only) {
  Draw draw(seed);
  Problem p;
  const int32_t layout = draw.below(3);
  p.batch = 1 + draw.below(4);
  const int per_request = 1 + draw.below(draw.coin() ? 4 : 40);
  p.rows = p.batch * per_request;
  const int heads[] = {1, 2, 3, 4, 8, 13, 32};
  p.heads = heads[draw.below(7)];
  p.dim = draw.coin() ? 1 + draw.below(40) : 64;
  const int page = layout == DSA_LAYOUT_PAGES ? (draw.coin() ? 1 : 1 + draw.below(70)) : 1;
  const int table_pages = (1 + draw.below(300)) / page + 1;
  p.capacity = layout == DSA_LAYOUT_PAGES ? table_pages * page : draw.below(400);
  const int32_t types[] = {DSA_F32, DSA_F16, DSA_BF16, DSA_F8_E4M3FN};
  const bool packed = layout == DSA_LAYOUT_PAGES && !bf16_only && draw.below(3) == 0;
  if (packed) p.dim = (p.dim + 3) / 4 * 4;
  const int32_t q_type = bf16_only ? int32_t(DSA_BF16) : types[draw.below(4)];
  const int32_t k_type = packed      ? int32_t(DSA_F8_E4M3FN)
                         : bf16_only ? int32_t(DSA_BF16)
                                     : types[draw.below(4)];
  p.relu = draw.below(4) != 0;
  p.with_w = draw.below(4) != 0;
  p.with_k_scale = packed || draw.coin();
  dsa_indexer_desc d = dsa_indexer_desc_init();
  d.key_layout = layout;
  if (!p.relu) d.flags |= DSA_NO_RELU;

  // Requests and visible ranges.
  const bool mapped = draw.below(3) == 0;
  const int way = mapped ? 1 + draw.below(2) : draw.below(4);
  p.from_begin = way == 1 && draw.coin();
  std::vector<int32_t> row_request, row_begin, row_end, seq_lens;
  for (int t = 0; t < p.rows; ++t) {
    int r = t / per_request;
    if (mapped) {
      r = draw.coin() ? t % p.batch : draw.below(p.batch);
      row_request.push_back(draw.below(9) == 0 && r == 0 ? -7 : r);
    }
    p.request.push_back(r);
  }
  const int offset = draw.below(20) - 3;
  for (int r = 0; r < p.batch; ++r) seq_lens.push_back(draw.below(p.capacity + 20) - 3);
  for (int t = 0; t < p.rows; ++t) {
    int begin = 0, end = p.capacity;
    if (way == 1) {
      row_begin.push_back(draw.below(p.capacity + 10) - 5);
      row_end.push_back(draw.below(9) == 0 ? INT32_MAX : draw.below(p.capacity + 20) - 3);
      begin = row_begin.back(), end = row_end.back();
    } else if (way == 2) {
      end = seq_lens[size_t(p.request[size_t(t)])] - per_request + 1 + t % per_request;
    } else if (way == 3) {
      end = offset + t % per_request + 1;
    }
    begin = std::min(std::max(begin, 0), p.capacity);
    end = std::min(std::max(end, begin), p.capacity);
    p.begin.push_back(begin), p.end.push_back(end);
  }
  const auto i32 = [](std::vector<int32_t>& v) {
    return dsa_tensor_1d(v.data(), DSA_I32, int64_t(v.size()));
  };
  if (mapped) d.row_request = i32(row_request);
  if (way == 1) d.row_begin = i32(row_begin), d.row_end = i32(row_end);
  if (way == 2) d.seq_lens = i32(seq_lens), d.next_n = per_request;
  if (way == 3) d.flags |= DSA_CAUSAL, d.offset = offset;
  if (p.from_begin) d.flags |= DSA_COLUMNS_FROM_BEGIN;
  d.batch = p.batch;
  p.columns = draw.below(3) == 0 ? draw.below(p.capacity + 1) : p.capacity + draw.below(9);
  for (int t = 0; t < p.rows; ++t) {
    const size_t ut = size_t(t);
    const int last = p.from_begin ? p.begin[ut] + p.columns : p.columns;
    p.end[ut] = std::min(p.end[ut], last);
    p.begin[ut] = std::min(p.begin[ut], p.end[ut]);
  }

  // Keys.
  const int pool = layout == DSA_LAYOUT_ROWS    ? p.capacity
                   : layout == DSA_LAYOUT_BATCH ? p.batch * p.capacity
                                                : (p.batch * table_pages + 2) * page;
  for (int i = 0; i < pool; ++i) {
    p.k_code.emplace_back();
    for (int j = 0; j < p.dim; ++j) p.k_code.back().push_back(draw.code());
    p.k_scale.push_back(kE4m3[draw.code()]);
  }
  std::vector<int32_t> table;
  const int pages = pool / page;
  for (int r = 0; r < p.batch; ++r) {
    p.key.emplace_back(size_t(p.capacity), -1);
    for (int s = 0; s < p.capacity; ++s) {
      int& at = p.key.back()[size_t(s)];
      if (layout == DSA_LAYOUT_ROWS) at = s;
      if (layout == DSA_LAYOUT_BATCH) at = r * p.capacity + s;
      if (layout != DSA_LAYOUT_PAGES) continue;
      if (s % page == 0) {
        const int bad = draw.below(20);
        table.push_back(bad == 0   ? -1
                        : bad == 1 ? pages
                        : bad == 2 ? INT32_MIN
                                   : draw.below(pages));
      }
      const int entry = table.back();
      if (entry >= 0 && entry < pages) at = entry * page + s % page;
    }
  }
  if (layout == DSA_LAYOUT_PAGES) {
    d.block_table = dsa_tensor_2d(table.data(), DSA_I32, p.batch, table_pages);
  }
  const int element = packed || draw.below(4) != 0 ? 1 : 2;
  const int64_t row_stride = packed ? p.dim : p.dim * element + draw.below(3);
  const int64_t page_bytes = (int64_t{page} * (p.dim + 4) + 3) / 4 * 4 + 4 * draw.below(3);
  Memory keys(packed ? int32_t(DSA_U8) : k_type,
              packed ? size_t(pages * page_bytes) : size_t(pool * row_stride) + 1);
  std::vector<float> scales = p.k_scale;
  if (packed) keys.dtype = DSA_F8_E4M3FN;
  for (int i = 0; i < pool; ++i) {
    const size_t base =
        packed ? size_t(i / page * page_bytes + i % page * p.dim) : size_t(i * row_stride);
    for (int j = 0; j < p.dim; ++j) {
      keys.set(base + size_t(j * element), p.k_code[size_t(i)][size_t(j)]);
    }
    if (packed) {
      memcpy(&keys.data[size_t(i / page * page_bytes + page * p.dim + i % page * 4)],
             &p.k_scale[size_t(i)], 4);
    }
  }
  const int64_t inner = layout == DSA_LAYOUT_PAGES ? page : p.capacity;
  const int64_t outer = layout == DSA_LAYOUT_PAGES ? pages : p.batch;
  if (packed) {
    d.key_format = DSA_FORMAT_KEY_PAGE_132;
    d.page_size = page;
    d.keys = view(keys.data.data(), DSA_U8, {pages, page_bytes}, {page_bytes, 1});
  } else if (layout == DSA_LAYOUT_ROWS) {
    d.keys = view(keys.data.data(), k_type, {inner, p.dim}, {row_stride, element});
    if (p.with_k_scale) d.k_scale = dsa_tensor_1d(scales.data(), DSA_F32, inner);
  } else {
    d.keys = view(keys.data.data(), k_type, {outer, inner, p.dim},
                  {inner * row_stride, row_stride, element});
    if (p.with_k_scale) d.k_scale = dsa_tensor_2d(scales.data(), DSA_F32, outer, inner);
  }

  // Queries, head-major half of the time; weights.
  const bool head_major = draw.coin();
  Memory q(q_type, size_t(p.rows * p.heads * p.dim));
  Memory w(types[draw.below(3)], size_t(p.rows * p.heads));
  for (int t = 0; t < p.rows; ++t) {
    p.q_code.emplace_back(), p.w_code.emplace_back();
    for (int h = 0; h < p.heads; ++h) {
      p.w_code.back().push_back(draw.code());
      w.set(size_t(t * p.heads + h), p.w_code.back().back());
      for (int j = 0; j < p.dim; ++j) {
        p.q_code.back().push_back(draw.code());
        const int at = head_major ? (h * p.rows + t) * p.dim + j : (t * p.heads + h) * p.dim + j;
        q.set(size_t(at), p.q_code.back().back());
      }
    }
  }
  d.q = view(q.data.data(), q_type, {p.rows, p.heads, p.dim},
             head_major ? std::vector<int64_t>{p.dim, p.rows * p.dim, 1}
                        : std::vector<int64_t>{p.heads * p.dim, p.dim, 1});
  if (p.with_w) d.w = dsa_tensor_2d(w.data.data(), w.dtype, p.rows, p.heads);

  // Mask, scores.
  p.shown.assign(size_t(p.rows), std::vector<uint8_t>(size_t(p.columns), 1));
  std::vector<uint8_t> mask;
  if (draw.below(3) == 0) {
    for (auto& row : p.shown) {
      for (auto& x : row) mask.push_back(x = draw.below(4) != 0);
    }
    mask.push_back(0);
    d.mask = dsa_tensor_2d(mask.data(), DSA_U8, p.rows, p.columns);
  }
  const bool bf16_out = draw.below(3) == 0, keep = draw.below(3) == 0;
  const int64_t step = draw.below(4) == 0 ? 2 : 1;
  const int64_t out_row = p.columns * step + draw.below(5);
  std::vector<uint32_t> out(size_t(p.rows * out_row) + 1, kPoison);
  d.scores = view(out.data(), bf16_out ? int32_t(DSA_BF16) : int32_t(DSA_F32), {p.rows, p.columns},
                  {bf16_out ? 2 * out_row : out_row, bf16_out ? 2 * step : step});
  if (keep) d.flags |= DSA_KEEP_INVISIBLE;
  SCOPED_TRACE("seed " + std::to_string(seed) + " layout " + std::to_string(layout) + " way " +
               std::to_string(way) + " Hi " + std::to_string(p.heads) + " Di " +
               std::to_string(p.dim) + " rows " + std::to_string(p.rows) + " packed " +
               std::to_string(packed));
  ASSERT_EQ(dsa_indexer(ctx, &d, nullptr), DSA_OK) << dsa_last_error();

  for (int t = 0; t < p.rows; ++t) {
    for (int64_t i = 0; i < out_row; ++i) {
      const uint32_t bits = out[size_t(t * out_row + i)];
      const bool gap = i % step != 0 || i / step >= p.columns;
      const double want = gap ? NAN : p.want(t, int(i / step));
      if (gap || (keep && std::isnan(want))) {
        ASSERT_EQ(bits, kPoison) << "row " << t << " element " << i;
        continue;
      }
      float got;
      memcpy(&got, &bits, sizeof got);
      if (bf16_out) {
        ASSERT_EQ(bits >> 16, kPoison >> 16);
        got = from_bf16(uint16_t(bits));
      }
      const double expect = std::isnan(want) ? -INFINITY : want;
      // Sums of small multiples of 1/4 are exact in f32.
      if (bf16_out && std::isfinite(expect)) {
        ASSERT_NEAR(got, expect, std::fabs(expect) / 256) << "row " << t << " column " << i / step;
      } else {
        ASSERT_EQ(got, expect) << "row " << t << " column " << i / step;
      }
    }
  }
}

class IndexerDriverTest : public testing::TestWithParam<std::string> {};

TEST_P(IndexerDriverTest, RandomConfigurations) {
  const std::string name = "cpu.indexer." + GetParam();
  const Context one(name, 1), three(name, 3);
  if (!one.usable(name)) GTEST_SKIP() << name << " is not usable here";
  for (uint32_t seed = 0; seed < 300; ++seed) {
    run_random(seed % 2 ? one.ctx : three.ctx, seed, GetParam() == "amx");
    if (HasFatalFailure()) return;
  }
}

// The same rows and keys, cut up in other ways, give the same bits.
TEST_P(IndexerDriverTest, BitsDoNotDependOnTheCall) {
  const std::string name = "cpu.indexer." + GetParam();
  const Context ctx(name, 2);
  if (!ctx.usable(name)) GTEST_SKIP() << name << " is not usable here";
  constexpr int kRows = 70, kKeys = 3000, kHeads = 5, kDim = 48;
  std::mt19937 rng(3);
  std::vector<uint16_t> q(kRows * kHeads * kDim), k(kKeys * kDim);
  for (auto& x : q) x = to_bf16(std::normal_distribution<float>()(rng));
  for (auto& x : k) x = to_bf16(std::normal_distribution<float>()(rng));
  std::vector<float> all(kRows * kKeys), part(kRows * kKeys);
  const auto call = [&](int t0, int rows, int s0, int keys, std::vector<float>& out) {
    dsa_indexer_desc d = dsa_indexer_desc_init();
    d.q = dsa_tensor_3d(q.data() + t0 * kHeads * kDim, DSA_BF16, rows, kHeads, kDim);
    d.keys = dsa_tensor_2d(k.data() + s0 * kDim, DSA_BF16, keys, kDim);
    d.scores = view(out.data() + t0 * kKeys + s0, DSA_F32, {rows, keys}, {kKeys, 1});
    ASSERT_EQ(dsa_indexer(ctx.ctx, &d, nullptr), DSA_OK) << dsa_last_error();
  };
  call(0, kRows, 0, kKeys, all);
  for (const int rows : {1, 7, kRows}) {
    for (const int keys : {33, 1000, kKeys}) {
      part.assign(part.size(), 0.0f);
      for (int t = 0; t < kRows; t += rows) {
        for (int s = 0; s < kKeys; s += keys) {
          call(t, std::min(rows, kRows - t), s, std::min(keys, kKeys - s), part);
        }
      }
      ASSERT_EQ(memcmp(all.data(), part.data(), all.size() * sizeof(float)), 0)
          << rows << " rows and " << keys << " keys a call";
    }
  }
}

std::string tier_name(const testing::TestParamInfo<std::string>& info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(Tiers, IndexerDriverTest,
                         testing::Values("scalar", "avx2", "avx512", "amx"), tier_name);

}  // namespace

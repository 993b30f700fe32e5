// dsa_sparse_attn and dsa_merge_lse through the C interface: random calls over all selection modes,
// layouts, dtypes and flags, judged by a plain sum in double; the same bits on any thread count.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "attention_random_call.h"

namespace {

struct Context {
  dsa_ctx *ctx = nullptr;
  Context(const std::string &kernel, int threads) {
    setenv("DSA_KERNEL", kernel.c_str(), 1);
    dsa_ctx_options o{};
    o.struct_size = sizeof o;
    o.num_threads = threads;
    EXPECT_EQ(dsa_ctx_create(&o, &ctx), DSA_OK) << dsa_last_error();
    unsetenv("DSA_KERNEL");
  }
  ~Context() { dsa_ctx_destroy(ctx); }
  Context(const Context &) = delete;
};

std::vector<std::string> kernels() {
  dsa_ctx *ctx = nullptr;
  EXPECT_EQ(dsa_ctx_create(nullptr, &ctx), DSA_OK);
  std::vector<std::string> list;
  dsa_kernel_info info{};
  info.struct_size = sizeof info;
  for (int i = 0; dsa_kernel_get(ctx, i, &info) == DSA_OK; ++i) {
    if (info.operation == DSA_OP_SPARSE_ATTN && info.usable) list.push_back(info.name);
  }
  dsa_ctx_destroy(ctx);
  return list;
}

void judge(const Call &c, const Tensor &out, const Tensor &lse, const Tensor &max, bool amx) {
  const int d = c.cache[0].d, d2 = c.cache[0].d2, dv = c.cache[0].dv;
  const double unit = std::ldexp(1.0, -24);
  const int out_dtype = out.view.dtype;
  const double out_unit = out_dtype == DSA_F32 ? unit : out_dtype == DSA_F16 ? 0x1p-11 : 0x1p-8;
  for (int t = 0; t < c.rows; ++t) {
    for (int h = 0; h < c.heads; ++h) {
      std::vector<double> z;
      std::vector<std::pair<int, int>> key;  // scope, row
      double top = -kInf, most = 0;
      for (int scope = 0; scope < c.scopes; ++scope) {
        const Cache &k = c.cache[scope];
        const int kv_head = h / (c.heads / k.heads);
        for (int row : c.selected[scope][t]) {
          double dot = 0, magnitude = 0;
          for (int i = 0; i < d + d2; ++i) {
            double x = i < d ? c.q.get({t, h, i}) : c.q2.get({t, h, i - d});
            if (i < d && c.q_scale.given()) {
              x *= c.q_scale.view.ndim == 1 ? c.q_scale.get({0}) : c.q_scale.get({t, h});
            }
            x *= k.key(row, kv_head, i);
            dot += x;
            magnitude += std::fabs(x);
          }
          z.push_back(dot * c.desc.scale);
          key.push_back({scope, row});
          top = std::max(top, z.back());
          most = std::max(most, magnitude * std::fabs(c.desc.scale));
        }
      }
      double sum = 0;
      for (double x : z) sum += std::exp(x - top);
      const bool empty = z.empty();
      const double sink = c.sink.given() ? c.sink.get({h}) : -kInf;
      double expected = empty ? -kInf : top + std::log(sum);
      if (c.desc.flags & DSA_LSE_WITH_SINK) {
        const double high = std::max(expected, sink);
        if (std::isfinite(high)) {
          expected = high + std::log(std::exp(expected - high) + std::exp(sink - high));
        } else {
          expected = high;
        }
      }
      if (empty && (c.desc.flags & DSA_LSE_EMPTY_POS_INF)) expected = kInf;
      if (c.desc.flags & DSA_LSE_BASE2) expected /= std::log(2.0);
      const double logit_error = most * unit * 4 * (2 + std::sqrt(d + d2));
      const double tolerance = 2 * logit_error + unit * (20 + std::fabs(expected) * 4);
      if (std::isfinite(expected)) {
        ASSERT_NEAR(lse.get({t, h}), expected, tolerance) << "row " << t << " head " << h;
      } else {
        ASSERT_EQ(lse.get({t, h}), expected) << "row " << t << " head " << h;
      }
      if (empty) {
        ASSERT_EQ(max.get({t, h}), -kInf);
      } else {
        ASSERT_NEAR(max.get({t, h}), top, logit_error + 1e-30);
      }
      for (int i = 0; i < dv; ++i) {
        double o = 0, weighted = 0;
        for (size_t j = 0; j < z.size(); ++j) {
          const Cache &k = c.cache[key[j].first];
          const double p = std::exp(z[j] - top) / (sum + std::exp(sink - top));
          const double x = k.value(key[j].second, h / (c.heads / k.heads), i);
          o += p * x;
          weighted += p * std::fabs(x);
        }
        const double bound = (out_unit + (amx ? 0x1p-8 : 0) + 2 * logit_error +
                              unit * (8 + 4 * std::sqrt(double(z.size())))) *
                                 weighted +
                             (out_dtype == DSA_F16 ? 0x1p-24 : 1e-30);
        ASSERT_NEAR(out.get({t, h, i}), o, bound) << "row " << t << " head " << h << " d " << i;
      }
    }
  }
}

struct Outputs {
  Tensor out, lse, max;
  Outputs(unsigned seed, const Call &c) {
    Random rng(seed);
    out = Tensor(rng, rng.any<int>({DSA_F32, DSA_BF16, DSA_F16}), {c.rows, c.heads, c.cache[0].dv});
    lse = Tensor(rng, DSA_F32, {c.rows, c.heads});
    max = Tensor(rng, DSA_F32, {c.rows, c.heads});
  }
  dsa_sparse_attn_desc with(dsa_sparse_attn_desc d) const {
    d.out = out.view;
    d.lse = lse.view;
    d.max = max.view;
    return d;
  }
};

void fuzz(bool bf16_only, bool long_rows, unsigned seeds) {
  for (const std::string &name : kernels()) {
    const bool amx = name == "cpu.sparse_attn.amx";
    if (amx && !bf16_only) continue;
    Context one(name, 1), many(name, 7);
    for (unsigned seed = 0; seed < seeds; ++seed) {
      SCOPED_TRACE(name + " seed " + std::to_string(seed));
      Random rng(seed);
      const Call call(rng, bf16_only, long_rows);
      const Outputs a(seed, call), b(seed, call);
      const dsa_sparse_attn_desc da = a.with(call.desc), db = b.with(call.desc);
      ASSERT_EQ(dsa_sparse_attn(one.ctx, &da, nullptr), DSA_OK) << dsa_last_error();
      judge(call, a.out, a.lse, a.max, amx);
      if (testing::Test::HasFatalFailure()) return;
      // Exactly the workspace that was asked for, dirty.
      uint64_t bytes = 0;
      dsa_exec exec{};
      exec.struct_size = sizeof exec;
      ASSERT_EQ(dsa_workspace_size(many.ctx, &db, &bytes), DSA_OK);
      const std::unique_ptr<char, decltype(&std::free)> memory(
          static_cast<char *>(std::aligned_alloc(256, bytes)), &std::free);
      memset(memory.get(), 0xff, bytes);
      exec.workspace = memory.get();
      exec.workspace_size = bytes;
      ASSERT_EQ(dsa_sparse_attn(many.ctx, &db, &exec), DSA_OK) << dsa_last_error();
      ASSERT_EQ(a.out.bytes, b.out.bytes);
      ASSERT_EQ(a.lse.bytes, b.lse.bytes);
      ASSERT_EQ(a.max.bytes, b.max.bytes);
    }
  }
}

TEST(AttentionDriver, AnyCall) { fuzz(false, false, 150); }
TEST(AttentionDriver, LongSelections) { fuzz(false, true, 40); }
TEST(AttentionDriver, Bf16) { fuzz(true, false, 100); }
TEST(AttentionDriver, Bf16LongSelections) { fuzz(true, true, 30); }

// Heads that do not fit one task, few rows: the division into tasks must not be seen.
TEST(AttentionDriver, ManyHeadsSameBits) {
  const int heads = 200, d = 72, dv = 64, keys = 900, k = 700;
  Random rng(1);
  Tensor q(rng, DSA_BF16, {2, heads, d}, true), kv(rng, DSA_BF16, {keys, d}, true);
  Tensor indices(rng, DSA_I32, {2, k}, true);
  for (int t = 0; t < 2; ++t) {
    for (int h = 0; h < heads; ++h) {
      for (int i = 0; i < d; ++i) q.set({t, h, i}, rng.normal());
    }
    for (int j = 0; j < k; ++j) indices.set_integer({t, j}, rng.below(keys));
  }
  for (int s = 0; s < keys; ++s) {
    for (int i = 0; i < d; ++i) kv.set({s, i}, rng.normal());
  }
  for (const std::string &name : kernels()) {
    std::vector<char> first;
    for (int rows : {1, 2}) {
      for (int threads : {1, 2, 3, 16, 64}) {
        SCOPED_TRACE(name + ", threads " + std::to_string(threads));
        Context context(name, threads);
        Tensor out(rng, DSA_F32, {rows, heads, dv}, true);
        dsa_sparse_attn_desc desc = dsa_sparse_attn_desc_init();
        desc.scale = 0.1f;
        desc.k = k;
        desc.q = q.view;
        desc.q.shape[0] = rows;
        desc.kv = kv.view;
        desc.indices = indices.view;
        desc.indices.shape[0] = rows;
        desc.out = out.view;
        ASSERT_EQ(dsa_sparse_attn(context.ctx, &desc, nullptr), DSA_OK) << dsa_last_error();
        const size_t row = size_t(heads) * dv * 4;
        if (first.empty()) first.assign(out.bytes.begin(), out.bytes.begin() + ptrdiff_t(row));
        EXPECT_EQ(memcmp(first.data(), out.bytes.data(), row), 0);
      }
    }
  }
}

// Packed 656-byte rows give what the same numbers give as plain f32 rows, alone and beside a plain
// second scope.
TEST(AttentionDriver, Packed656) {
  const int heads = 16, keys = 50, k = 20, width = 576, dv = 512;
  Random rng(5);
  std::vector<unsigned char> packed(size_t(keys) * 656);
  Tensor plain(rng, DSA_F32, {keys, width}, true), second(rng, DSA_BF16, {keys, width}, true);
  for (int s = 0; s < keys; ++s) {
    unsigned char *row = packed.data() + s * 656;
    float scales[4];
    for (float &x : scales) x = float(0.1 + rng.below(100) * 0.003);
    memcpy(row + 512, scales, 16);
    for (int i = 0; i < width; ++i) {
      if (i < 512) {
        put(DSA_F8_E4M3FN, reinterpret_cast<char *>(row + i), rng.normal());
        plain.set({s, i}, double(e4m3_to_f32(row[i]) * scales[i / 128]));
      } else {
        char *at = reinterpret_cast<char *>(row + 528 + (i - 512) * 2);
        put(DSA_BF16, at, rng.normal());
        plain.set({s, i}, read(DSA_BF16, at));
      }
      second.set({s, i}, rng.normal());
    }
  }
  Tensor q(rng, DSA_BF16, {1, heads, width}, true), indices(rng, DSA_I32, {1, k}, true);
  for (int h = 0; h < heads; ++h) {
    for (int i = 0; i < width; ++i) q.set({0, h, i}, rng.normal());
  }
  for (int j = 0; j < k; ++j) indices.set_integer({0, j}, rng.below(keys));
  for (const std::string &name : kernels()) {
    if (name == "cpu.sparse_attn.amx") continue;
    Context context(name, 2);
    for (int scopes : {1, 2}) {
      SCOPED_TRACE(name + " scopes " + std::to_string(scopes));
      Tensor out[2], lse[2];
      for (int form : {0, 1}) {
        out[form] = Tensor(rng, DSA_F32, {1, heads, dv}, true);
        lse[form] = Tensor(rng, DSA_F32, {1, heads}, true);
        dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
        d.scale = 0.05f;
        d.k = k;
        d.q = q.view;
        d.indices = indices.view;
        d.kv = plain.view;
        if (form == 1) {
          d.key_format = DSA_FORMAT_KV_FP8_656;
          d.kv = dsa_tensor_2d(packed.data(), DSA_U8, keys, 656);
        }
        if (scopes == 2) {
          d.kv_b = second.view;
          d.selection_b = DSA_SELECTION_ALL;
        }
        d.out = out[form].view;
        d.lse = lse[form].view;
        ASSERT_EQ(dsa_sparse_attn(context.ctx, &d, nullptr), DSA_OK) << dsa_last_error();
      }
      for (int h = 0; h < heads; ++h) {
        ASSERT_NEAR(lse[0].get({0, h}), lse[1].get({0, h}), 1e-5);
        for (int i = 0; i < dv; ++i)
          ASSERT_NEAR(out[0].get({0, h, i}), out[1].get({0, h, i}), 2e-5);
      }
    }
  }
}

// lse and max alone are what they are beside out.
TEST(AttentionDriver, LseAlone) {
  for (const std::string &name : kernels()) {
    Context context(name, 2);
    for (unsigned seed = 0; seed < 40; ++seed) {
      SCOPED_TRACE(name + " seed " + std::to_string(seed));
      Random rng(seed);
      const bool amx = name == "cpu.sparse_attn.amx";
      const Call call(rng, amx, seed % 4 == 0);
      const Outputs a(seed, call), b(seed, call);
      dsa_sparse_attn_desc d = a.with(call.desc);
      ASSERT_EQ(dsa_sparse_attn(context.ctx, &d, nullptr), DSA_OK) << dsa_last_error();
      d = b.with(call.desc);
      d.out = dsa_tensor{};
      ASSERT_EQ(dsa_sparse_attn(context.ctx, &d, nullptr), DSA_OK) << dsa_last_error();
      EXPECT_EQ(a.lse.bytes, b.lse.bytes);
      EXPECT_EQ(a.max.bytes, b.max.bytes);
    }
  }
}

// Parts over disjoint keys, merged, are the attention over all of them.
TEST(MergeLse, PartsMakeTheWhole) {
  Context context("*", 3);
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Random rng(seed);
    const int rows = rng.between(1, 5), heads = rng.between(1, 9), dv = rng.between(1, 700);
    const int parts = rng.between(1, 5), keys = rng.between(parts, 40);
    Tensor q(rng, DSA_F32, {rows, heads, dv}), kv(rng, DSA_F32, {keys, dv});
    for (int s = 0; s < keys; ++s) {
      for (int i = 0; i < dv; ++i) kv.set({s, i}, rng.normal());
    }
    for (int t = 0; t < rows; ++t) {
      for (int h = 0; h < heads; ++h) {
        for (int i = 0; i < dv; ++i) q.set({t, h, i}, rng.normal());
      }
    }
    Tensor sink(rng, DSA_F32, {heads});
    for (int h = 0; h < heads; ++h)
      sink.set({h}, rng.one_in(5) ? rng.any<double>({-kInf, kInf}) : 0.3);
    const int dtype = rng.any<int>({DSA_F32, DSA_F32, DSA_BF16, DSA_F16});
    Tensor part_out(rng, dtype, {parts, rows, heads, dv});
    Tensor part_lse(rng, DSA_F32, {parts, rows, heads}),
        part_max(rng, DSA_F32, {parts, rows, heads});
    Tensor out[2], lse[2], max[2];
    for (int i : {0, 1}) {
      out[i] = Tensor(rng, DSA_F32, {rows, heads, dv});
      lse[i] = Tensor(rng, DSA_F32, {rows, heads});
      max[i] = Tensor(rng, DSA_F32, {rows, heads});
    }
    const uint64_t flags = rng.any<uint64_t>({0, DSA_LSE_BASE2, DSA_LSE_EMPTY_POS_INF});
    dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
    d.selection = DSA_SELECTION_ALL;
    d.scale = 0.2f;
    d.q = q.view;
    d.kv = kv.view;
    const auto part = [](const Tensor &x, int p) {
      dsa_tensor t = x.view;
      t.data = static_cast<char *>(t.data) + p * t.stride[0] * bytes_of(t.dtype);
      t.ndim -= 1;
      for (int i = 0; i < t.ndim; ++i) t.shape[i] = t.shape[i + 1], t.stride[i] = t.stride[i + 1];
      return t;
    };
    const int empty = rng.one_in(2) ? rng.below(parts) : -1;
    for (int p = 0; p < parts; ++p) {
      int from = keys * p / parts, to = keys * (p + 1) / parts;
      if (empty >= 0) from = to = 0;
      if (empty >= 0 && p != empty) {
        const int at = p - (p > empty ? 1 : 0), all = std::max(1, parts - 1);
        from = keys * at / all, to = keys * (at + 1) / all;
      }
      d.kv.shape[0] = to - from;
      d.kv.data = kv.at({from, 0});
      d.flags = flags;
      d.out = part(part_out, p), d.lse = part(part_lse, p), d.max = part(part_max, p);
      ASSERT_EQ(dsa_sparse_attn(context.ctx, &d, nullptr), DSA_OK) << dsa_last_error();
      for (int t = 0; p == empty && t < rows; ++t) {
        for (int h = 0; h < heads; ++h) {
          for (int i = 0; i < dv; ++i) part_out.set({p, t, h, i}, kNan);
        }
      }
    }
    d.kv = kv.view;
    if (empty >= 0 && parts == 1) d.kv.shape[0] = 0;
    d.sink = sink.view;
    d.out = out[0].view, d.lse = lse[0].view, d.max = max[0].view;
    ASSERT_EQ(dsa_sparse_attn(context.ctx, &d, nullptr), DSA_OK) << dsa_last_error();
    dsa_merge_lse_desc m = dsa_merge_lse_desc_init();
    m.flags = flags;
    m.partial_out = part_out.view, m.partial_lse = part_lse.view, m.partial_max = part_max.view;
    m.sink = sink.view;
    m.out = out[1].view, m.lse = lse[1].view, m.max = max[1].view;
    ASSERT_EQ(dsa_merge_lse(context.ctx, &m, nullptr), DSA_OK) << dsa_last_error();
    const double unit = dtype == DSA_F32 ? 1e-5 : dtype == DSA_F16 ? 0x1p-10 : 0x1p-7;
    for (int t = 0; t < rows; ++t) {
      for (int h = 0; h < heads; ++h) {
        if (std::isinf(lse[0].get({t, h}))) {
          ASSERT_EQ(lse[0].get({t, h}), lse[1].get({t, h}));
          ASSERT_EQ(max[0].get({t, h}), max[1].get({t, h}));
        } else {
          ASSERT_NEAR(lse[0].get({t, h}), lse[1].get({t, h}), 2e-5);
          ASSERT_EQ(max[0].get({t, h}), max[1].get({t, h}));
        }
        for (int i = 0; i < dv; ++i) {
          ASSERT_NEAR(out[0].get({t, h, i}), out[1].get({t, h, i}), 5 * unit);
        }
      }
    }
  }
}

}  // namespace

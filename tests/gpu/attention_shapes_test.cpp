// The attention kernels that want aligned rows against the oracle, over the shapes they take: head
// counts and head dims off every tile, both pieces, values in the keys and apart, pages, slots, two
// scopes. Random calls of tests/ops seldom have the alignment that these kernels need, or the
// shapes of a kernel that takes few.
#include <cmath>

#include "gpu_test.h"
#include "oracle/attention.h"
#include "support/arena.h"
#include "support/cases.h"
#include "support/draw_fields.h"
#include "support/poison.h"
#include "support/seeds.h"

using namespace support;

namespace {

// Multiply-adds of the oracle in a call: 64 heads of 576 get several tiles.
constexpr int64_t kWork = 2000000;

// What a kernel takes: rows in 16-byte units; f32 heads of up to 64 dims, one scope; up to 32 heads
// over keys of 512 or 576 elements, values in them.
enum class Shape { kAligned, kSmall, kFew };

Shape shape_of(const std::string& kernel) {
  if (kernel.find(".warp.") != std::string::npos) return Shape::kSmall;
  return kernel.find(".few_") != std::string::npos ? Shape::kFew : Shape::kAligned;
}

struct AlignedCall {
  Random random;
  Arena arena;
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  int32_t dtype = DSA_BF16;
  bool fp8 = false;
  int64_t rows = 1, heads = 1, dim = 576, dim2 = 0, value_dim = 512, kv_heads = 0;
  bool apart = false;
  int64_t work = kWork;

  AlignedCall(uint64_t seed, Shape shape) : random(seed), arena(random, 0.1) {
    const bool small = shape == Shape::kSmall;
    small ? draw_small_shape() : shape == Shape::kFew ? draw_few_shape() : draw_shape();
    const int64_t cost = rows * heads * (dim + dim2 + value_dim);
    const int64_t most = std::max<int64_t>(3, std::min<int64_t>(small ? 900 : 2500, work / cost));
    d.scale = float(random.pick({0.03, 0.1, 0.5}));
    d.q = query_part(fp8 ? 576 : dim, small);
    if (dim2 > 0) d.q2 = query_part(dim2, small);
    draw_scope(most, d.key_layout, d.key_format, d.kv, d.kv2, d.v, d.block_table, d.selection, d.k,
               d.indices);
    if (d.selection == DSA_SELECTION_ALL && random.chance(0.7)) {
      d.row_end = arena.input(DSA_I32, {rows}, {});
      fill_i32(d.row_end, -2, most + 2);
    }
    if (small && d.selection == DSA_SELECTION_INDICES && random.chance(0.5)) {
      d.flags |= DSA_CAUSAL;
      d.offset = random.between(-3, most);
    }
    if (d.indices.ndim > 0 && random.chance(0.3)) {
      d.counts = arena.input(DSA_I32, {rows}, {});
      fill_i32(d.counts, -1, d.k + 1);
    }
    if (!small && random.chance(0.3)) {
      draw_scope(std::min<int64_t>(most, 200), d.key_layout_b, d.key_format_b, d.kv_b, d.kv2_b,
                 d.v_b, d.block_table_b, d.selection_b, d.k_b, d.indices_b);
    }
    if (random.chance(0.4)) d.sink = input(DSA_F32, {heads}, 3);
    const int32_t out = random.pick({dtype, int32_t(DSA_F32)});
    if (random.chance(0.95)) d.out = arena.output(out, {rows, heads, value_dim});
    d.lse = arena.output(DSA_F32, {rows, heads});
    if (random.chance(0.5)) d.max = arena.output(DSA_F32, {rows, heads});
    if (random.chance(0.2)) d.flags |= DSA_LSE_BASE2;
    poison_unread(d);
  }

  void draw_small_shape() {
    dtype = DSA_F32;
    rows = random.pick<int64_t>({1, 3, 40});
    heads = random.pick<int64_t>({1, 2, 3, 4, 8});
    dim = random.between(1, 16) * 4;
    apart = random.chance(0.7);
    value_dim = apart ? random.between(1, 16) * 4 : random.between(1, dim / 4) * 4;
    kv_heads = heads;
    while (kv_heads % 2 == 0 && heads / kv_heads < 4 && random.chance(0.5)) kv_heads /= 2;
  }

  // Rows enough for the kernel not to leave them to another one; some calls with more of them than
  // the GPU has multiprocessors, of many tiles each.
  void draw_few_shape() {
    const bool many = random.chance(0.06);
    rows = many ? 150 : random.pick<int64_t>({1, 33, 40, 66});
    heads = random.pick<int64_t>({1, 2, 7, 8, 9, 16, 17, 24, 32});
    if (many) heads = random.pick<int64_t>({1, 2});
    work = (many ? 50 : 8) * kWork;
    dim = random.pick<int64_t>({512, 576, 576});
    if (random.chance(0.3)) {
      dim2 = random.pick<int64_t>({16, 48, 64, 256});
      dim -= dim2;
    }
    value_dim = std::min(random.pick<int64_t>({512, 512, 256, 100, 1}), dim);
  }

  void draw_shape() {
    rows = random.between(1, 5);
    heads = random.pick<int64_t>({1, 3, 8, 16, 17, 24, 32, 33, 48, 64, 128});
    fp8 = random.chance(0.35);
    if (fp8) {
      dim = 576;
      value_dim = random.pick<int64_t>({512, 512, 512, 256, 100, 1});
      return;
    }
    dtype = random.pick({int32_t(DSA_BF16), int32_t(DSA_F16)});
    dim = random.pick<int64_t>({8, 24, 64, 160, 192, 256, 512, 576});
    if (dim > 8 && random.chance(0.3)) {
      const int64_t unit = dim >= 32 && random.chance(0.8) ? 16 : 8;
      dim2 = random.between(1, dim / unit - 1) * unit;
      dim -= dim2;
    }
    apart = random.chance(0.35);
    value_dim = apart ? random.between(1, 64) * 8 : random.between(1, std::min<int64_t>(dim, 512));
    if (apart && random.chance(0.6)) {
      kv_heads = heads;
      while (kv_heads % 2 == 0 && random.chance(0.6)) kv_heads /= 2;
    }
  }

  dsa_tensor input(int32_t type, std::vector<int64_t> shape, double deviation,
                   Arena::Style style = {}) {
    const dsa_tensor t = arena.input(type, std::move(shape), style);
    fill(t, [&] { return random.normal() * deviation; });
    return t;
  }

  dsa_tensor query_part(int64_t width, bool small) {
    const bool aligned = small || random.chance(0.9);
    return input(dtype, {rows, heads, width}, 1,
                 {.last_dense = aligned, .align_elements = aligned ? 8 : 1});
  }

  dsa_tensor key_part(std::vector<int64_t> shape, int64_t width) {
    if (kv_heads > 0) shape.push_back(kv_heads);
    shape.push_back(width);
    const dsa_tensor t = arena.input(dtype, shape, {.last_dense = true, .align_elements = 8});
    fill(t, [&] { return random.normal(); });
    return t;
  }

  dsa_tensor packed(std::vector<int64_t> shape) {
    shape.push_back(656);
    const dsa_tensor t = arena.input(DSA_U8, shape, {.last_dense = true, .align_elements = 16});
    dsa_tensor tokens = t;
    tokens.shape[t.ndim - 1] = 1;
    each_element(tokens, [&](char* token, const int64_t*) {
      for (int i = 0; i < 512; ++i) store(token + i, DSA_F8_E4M3FN, random.normal() * 2);
      // Scales far from 1 too: products with them must not leave the range of P's type.
      const double size = random.chance(0.1) ? 1e4 : 1;
      for (int i = 0; i < 4; ++i) {
        store(token + 512 + 4 * i, DSA_F32, std::exp2(random.normal()) / size);
      }
      for (int i = 0; i < 64; ++i) store(token + 528 + 2 * i, DSA_BF16, random.normal());
    });
    return t;
  }

  void draw_scope(int64_t keys, int32_t& layout, int32_t& format, dsa_tensor& kv, dsa_tensor& kv2,
                  dsa_tensor& v, dsa_tensor& table, int32_t& selection, int32_t& k,
                  dsa_tensor& indices) {
    std::vector<int64_t> axes{keys};
    if (random.chance(0.5)) {
      layout = DSA_LAYOUT_PAGES;
      const int64_t page = random.pick<int64_t>({1, 16, 64});
      const int64_t pages = (keys + page - 1) / page;
      axes = {pages, page};
      keys = pages * page;
      table = arena.input(DSA_I32, {1, pages}, {});
      fill_i32(table, -1, pages);
    }
    if (fp8) {
      format = DSA_FORMAT_KV_FP8_656;
      kv = packed(axes);
    } else {
      kv = key_part(axes, dim);
      if (dim2 > 0) kv2 = key_part(axes, dim2);
      if (apart) v = key_part(axes, value_dim);
    }
    selection = random.pick(
        {int32_t(DSA_SELECTION_INDICES), int32_t(DSA_SELECTION_SLOTS), int32_t(DSA_SELECTION_ALL)});
    if (selection == DSA_SELECTION_ALL) return;
    k = int32_t(random.between(1, keys));
    indices = arena.input(DSA_I32, {rows, k}, {});
    const bool holes = random.chance(0.3);
    fill_i32(indices, holes ? -keys / 2 : 0, keys + (holes ? 5 : -1));
  }

  void fill_i32(const dsa_tensor& t, int64_t low, int64_t high) {
    each_element(
        t, [&](char* at, const int64_t*) { store_i32(at, int32_t(random.between(low, high))); });
  }
};

TEST(AttentionShapes, AgreeWithTheOracle) {
  DSA_GPU_OR_SKIP(all);
  for (const Kernel& kernel : kernels_of(DSA_OP_SPARSE_ATTN)) {
    if (kernel.on_cpu() || !kernel.usable) continue;
    int ran = 0, refused = 0;
    for (uint64_t seed = 1; seed <= seeds(150); ++seed) {
      const Shape shape = shape_of(kernel.name);
      AlignedCall c(seed, shape);
      const std::string context = kernel.name + " seed " + std::to_string(seed) + describe(c.d);
      const dsa_status status = run(kernel.ctx.get(), c.d);
      if (status == DSA_ERROR_UNSUPPORTED && kernel.name.find("mma.") != std::string::npos) {
        ++refused;
        continue;
      }
      ASSERT_EQ(status, DSA_OK) << context << dsa_last_error();
      ASSERT_EQ(oracle::check_sparse_attn(c.d, kernel.p_unit()), "") << context;
      ASSERT_EQ(c.arena.check_gaps(), "") << context;
      ++ran;
    }
    ASSERT_GT(ran, 0) << kernel.name;
    std::printf("[  JUDGED  ] %s: %d calls, %d refused\n", kernel.name.c_str(), ran, refused);
  }
}

}  // namespace

// Questions about arbitrary descriptors: no crash, no read of what `data` points to, the same
// answer from all three questions. And workspace that never shrinks when an extent grows.
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "support/bend.h"
#include "support/cases.h"
#include "support/kernels.h"
#include "support/seeds.h"

using namespace support;

namespace {

template <class Desc>
void bend_cases(std::unique_ptr<Case<Desc>> (*draw)(uint64_t), size_t first) {
  const Context ctx = make_context();
  ASSERT_TRUE(ctx);
  const uint64_t cases = seeds(100), bends = 100;
  uint64_t accepted = 0;
  for (uint64_t seed = 1; seed <= cases; ++seed) {
    Random random(seed * 977);
    const auto c = draw(seed);
    point_nowhere(random, c->d, first);
    ASSERT_EQ(ask(ctx.get(), c->d), DSA_OK) << "seed " << seed << dsa_last_error();
    for (uint64_t i = 0; i < bends; ++i) {
      Desc d = c->d;
      bend_descriptor(random, d, first);
      accepted += ask(ctx.get(), d) == DSA_OK ? 1 : 0;
      ASSERT_FALSE(::testing::Test::HasFailure())
          << "seed " << seed << " bend " << i << describe(d);
    }
  }
  EXPECT_GT(accepted, 0u);
  EXPECT_LT(accepted, cases * bends);
}

// Random bytes behind a plausible head.
template <class Desc>
void random_bytes(int32_t kind, size_t first) {
  const Context ctx = make_context();
  ASSERT_TRUE(ctx);
  const uint64_t rounds = seeds(4000);
  for (uint64_t seed = 1; seed <= rounds; ++seed) {
    Random random(seed * 31 + uint64_t(kind));
    Desc d;
    std::memset(static_cast<void*>(&d), 0, sizeof d);
    unsigned char* bytes = reinterpret_cast<unsigned char*>(&d);
    const double share = random.pick({0.01, 0.1, 0.5, 1.0});
    for (size_t i = 8; i < sizeof d; ++i) {
      if (random.chance(share)) bytes[i] = uint8_t(random.bits());
    }
    // Tensors that get past the first checks.
    for (size_t at = first; at < sizeof d; at += sizeof(dsa_tensor)) {
      if (random.chance(0.2)) continue;
      dsa_tensor t{};
      t.ndim = int32_t(random.between(0, 5));
      t.dtype = int32_t(random.between(1, 10));
      for (int i = 0; i < 5; ++i) {
        t.shape[i] = odd_number(random);
        t.stride[i] = odd_number(random);
      }
      std::memcpy(bytes + at, &t, sizeof t);
    }
    d.struct_size =
        random.chance(0.97) ? uint32_t(sizeof d) : uint32_t(random.between(0, sizeof d));
    d.kind = uint32_t(kind);
    ask(ctx.get(), d);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed << describe(d);
  }
}

}  // namespace

TEST(Fuzz, BentCases) {
  bend_cases<dsa_topk_desc>(draw_topk, offsetof(dsa_topk_desc, scores));
  bend_cases<dsa_indexer_desc>(draw_indexer, offsetof(dsa_indexer_desc, q));
  bend_cases<dsa_indexer_topk_desc>(draw_indexer_topk, offsetof(dsa_indexer_topk_desc, q));
  bend_cases<dsa_sparse_attn_desc>(draw_sparse_attn, offsetof(dsa_sparse_attn_desc, q));
  bend_cases<dsa_merge_lse_desc>(draw_merge_lse, offsetof(dsa_merge_lse_desc, partial_out));
}

TEST(Fuzz, RandomBytes) {
  random_bytes<dsa_topk_desc>(DSA_OP_TOPK, offsetof(dsa_topk_desc, scores));
  random_bytes<dsa_indexer_desc>(DSA_OP_INDEXER, offsetof(dsa_indexer_desc, q));
  random_bytes<dsa_indexer_topk_desc>(DSA_OP_INDEXER_TOPK, offsetof(dsa_indexer_topk_desc, q));
  random_bytes<dsa_sparse_attn_desc>(DSA_OP_SPARSE_ATTN, offsetof(dsa_sparse_attn_desc, q));
  random_bytes<dsa_merge_lse_desc>(DSA_OP_MERGE_LSE, offsetof(dsa_merge_lse_desc, partial_out));
}

namespace {

// Extents of a call, of which one grows.
struct Extents {
  enum Name { kT, kS, kH, kD, kD2, kDv, kK, kMaxKeys, kParts, kCount };
  int64_t n[kCount];
};

// What does not grow: one draw a pair of sizes.
struct Shape {
  uint64_t seed;
  dsa_tensor tensor(int32_t dtype, std::initializer_list<int64_t> shape) const {
    return dsa_tensor_make(nullptr, dtype, int32_t(shape.size()), shape.begin());
  }
  bool bit(int i) const { return seed >> i & 1; }
  int32_t dtype(int i) const { return (seed >> (8 + 2 * i) & 3) % 3 + 1; }
};

template <class Desc>
void set_selection(const Shape& s, const Extents& e, Desc& d, int32_t values) {
  d.k = int32_t(e.n[Extents::kK]);
  d.order = int32_t(s.seed >> 20 & 1);
  if (s.bit(0)) d.indices = s.tensor(DSA_I32, {e.n[Extents::kT], e.n[Extents::kK]});
  if (s.bit(1)) d.values = s.tensor(values, {e.n[Extents::kT], e.n[Extents::kK]});
  if (s.bit(2)) d.hint_indices = s.tensor(DSA_I32, {e.n[Extents::kT], e.n[Extents::kK]});
  d.counts = s.tensor(DSA_I32, {e.n[Extents::kT]});
  if (s.bit(3)) d.max_keys = e.n[Extents::kMaxKeys];
}

template <class Desc>
void set_index_inputs(const Shape& s, const Extents& e, Desc& d) {
  d.q = s.tensor(s.dtype(0), {e.n[Extents::kT], e.n[Extents::kH], e.n[Extents::kD]});
  d.keys = s.tensor(s.bit(4) ? s.dtype(0) : s.dtype(1), {e.n[Extents::kS], e.n[Extents::kD]});
  d.w = s.tensor(s.dtype(2), {e.n[Extents::kT], e.n[Extents::kH]});
  if (s.bit(5)) d.k_scale = s.tensor(DSA_F32, {e.n[Extents::kS]});
  if (s.bit(6)) d.mask = s.tensor(DSA_U8, {e.n[Extents::kT], e.n[Extents::kS]});
}

uint64_t bytes_of(dsa_ctx* ctx, const void* d, std::string& error) {
  uint64_t bytes = 0;
  if (dsa_workspace_size(ctx, d, &bytes) != DSA_OK) error = dsa_last_error();
  return bytes;
}

uint64_t workspace(dsa_ctx* ctx, int32_t operation, const Shape& s, const Extents& e,
                   std::string& error) {
  const int64_t rows = e.n[Extents::kT];
  if (operation == DSA_OP_TOPK) {
    dsa_topk_desc d = dsa_topk_desc_init();
    d.scores = s.tensor(s.dtype(0), {rows, e.n[Extents::kS]});
    if (s.bit(6)) d.mask = s.tensor(DSA_F32, {rows, e.n[Extents::kS]});
    set_selection(s, e, d, s.dtype(0));
    return bytes_of(ctx, &d, error);
  }
  if (operation == DSA_OP_INDEXER) {
    dsa_indexer_desc d = dsa_indexer_desc_init();
    set_index_inputs(s, e, d);
    if (s.bit(3)) d.max_keys = e.n[Extents::kMaxKeys];
    d.scores = s.tensor(s.bit(7) ? DSA_F32 : DSA_BF16, {rows, e.n[Extents::kS]});
    return bytes_of(ctx, &d, error);
  }
  if (operation == DSA_OP_INDEXER_TOPK) {
    dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
    set_index_inputs(s, e, d);
    set_selection(s, e, d, DSA_F32);
    const uint64_t bytes = bytes_of(ctx, &d, error);
    EXPECT_LE(bytes, uint64_t{64} << 20) << "rows " << rows << " keys " << e.n[Extents::kS];
    return bytes;
  }
  if (operation == DSA_OP_SPARSE_ATTN) {
    dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
    const int64_t heads = e.n[Extents::kH];
    d.scale = 1;
    d.q = s.tensor(s.dtype(0), {rows, heads, e.n[Extents::kD]});
    d.kv = s.tensor(s.bit(4) ? s.dtype(0) : s.dtype(1), {e.n[Extents::kS], e.n[Extents::kD]});
    const int64_t value_dim = e.n[s.bit(0) ? Extents::kDv : Extents::kD];
    d.out = s.tensor(s.dtype(2), {rows, heads, value_dim});
    if (s.bit(0)) d.v = s.tensor(s.dtype(1), {e.n[Extents::kS], value_dim});
    if (s.bit(5)) {
      d.q2 = s.tensor(s.dtype(0), {rows, heads, e.n[Extents::kD2]});
      d.kv2 = s.tensor(s.dtype(1), {e.n[Extents::kS], e.n[Extents::kD2]});
    }
    if (s.bit(6)) {
      d.selection = DSA_SELECTION_ALL;
      if (s.bit(3)) d.max_keys = e.n[Extents::kMaxKeys];
    } else {
      d.k = int32_t(e.n[Extents::kK]);
      d.indices = s.tensor(DSA_I32, {rows, e.n[Extents::kK]});
    }
    if (s.bit(7)) d.lse = s.tensor(DSA_F32, {rows, heads});
    return bytes_of(ctx, &d, error);
  }
  dsa_merge_lse_desc d = dsa_merge_lse_desc_init();
  const int64_t parts = e.n[Extents::kParts];
  d.partial_lse = s.tensor(DSA_F32, {parts, rows, e.n[Extents::kH]});
  d.partial_out = s.tensor(s.dtype(0), {parts, rows, e.n[Extents::kH], e.n[Extents::kDv]});
  d.out = s.tensor(s.dtype(1), {rows, e.n[Extents::kH], e.n[Extents::kDv]});
  return bytes_of(ctx, &d, error);
}

Extents draw_extents(Random& random) {
  static const int64_t kMost[Extents::kCount] = {1 << 17, 1 << 27, 512,     1024, 512,
                                                 512,     4096,    1 << 24, 64};
  Extents e;
  for (int i = 0; i < Extents::kCount; ++i) {
    // As many small as large ones.
    const double size = random.unit() * std::log2(double(kMost[i]));
    e.n[i] = std::max<int64_t>(1, int64_t(std::exp2(size)));
  }
  return e;
}

}  // namespace

TEST(Fuzz, WorkspaceNeverShrinks) {
  for (const int32_t operation :
       {DSA_OP_TOPK, DSA_OP_INDEXER, DSA_OP_INDEXER_TOPK, DSA_OP_SPARSE_ATTN, DSA_OP_MERGE_LSE}) {
    for (const int32_t threads : {1, 4, 64}) {
      for (const Kernel& kernel : kernels_of(operation, threads)) {
        if (!kernel.usable) continue;
        const uint64_t rounds = seeds(1500);
        for (uint64_t seed = 1; seed <= rounds; ++seed) {
          Random random(seed);
          const Shape shape{random.bits()};
          Extents small = draw_extents(random);
          Extents large = small;
          const int grown = int(random.between(0, Extents::kCount - 1));
          large.n[grown] = std::max(large.n[grown], draw_extents(random).n[grown]);
          if (random.chance(0.3)) large.n[grown] = small.n[grown] + 1;
          if (random.chance(0.2)) {
            const Extents other = draw_extents(random);
            for (int i = 0; i < Extents::kCount; ++i) large.n[i] = std::max(large.n[i], other.n[i]);
          }
          std::string refused;
          const uint64_t less = workspace(kernel.ctx.get(), operation, shape, small, refused);
          const uint64_t more = workspace(kernel.ctx.get(), operation, shape, large, refused);
          if (!refused.empty()) {
            ASSERT_TRUE(kernel.family == "amx") << refused;
            continue;
          }
          std::string sizes;
          for (int i = 0; i < Extents::kCount; ++i) {
            sizes += " " + std::to_string(small.n[i]) + "->" + std::to_string(large.n[i]);
          }
          ASSERT_LE(less, more) << kernel.name << " threads " << threads << " seed " << seed
                                << ": T S H D D2 Dv k max_keys parts" << sizes;
        }
      }
    }
  }
}

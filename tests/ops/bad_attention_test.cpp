// Mistakes in the fields of dsa_sparse_attn and dsa_merge_lse.
#include <cmath>

#include "support/mistakes.h"

using namespace support;

namespace {

using D = dsa_sparse_attn_desc;
using F = Field<D>;
constexpr int64_t kRows = 4, kBatch = 2, kHeads = 4, kDim = 8, kDim2 = 6, kPages = 5, kPageSize = 2,
                  kKeys = 7, kKvHeads = 2, kValueDim = 8;

void add_outputs(SparseAttnCase& c, int64_t value_dim) {
  c.d.out = c.arena.output(DSA_BF16, {kRows, kHeads, value_dim});
  c.d.lse = c.arena.output(DSA_F32, {kRows, kHeads});
  c.d.max = c.arena.output(DSA_F32, {kRows, kHeads});
}

// Pages, K and V apart with their heads, two pieces, and a second scope of rows.
std::unique_ptr<SparseAttnCase> attn_case() {
  auto c = std::make_unique<SparseAttnCase>(7, 0.0);
  Arena& arena = c->arena;
  D& d = c->d = dsa_sparse_attn_desc_init();
  d.scale = 0.5f;
  d.k = d.k_b = 3;
  d.key_layout = DSA_LAYOUT_PAGES;
  d.q = zeros(arena, DSA_F32, {kRows, kHeads, kDim});
  d.q2 = zeros(arena, DSA_F32, {kRows, kHeads, kDim2});
  d.q_scale = zeros(arena, DSA_F32, {kRows, kHeads});
  d.kv = zeros(arena, DSA_BF16, {kPages, kPageSize, kKvHeads, kDim});
  d.kv2 = zeros(arena, DSA_F16, {kPages, kPageSize, kKvHeads, kDim2});
  d.v = zeros(arena, DSA_BF16, {kPages, kPageSize, kKvHeads, kValueDim});
  d.kv_scale = zeros(arena, DSA_F32, {kPages, kPageSize, 2});
  d.v_scale = zeros(arena, DSA_F32, {kPages, kPageSize});
  d.block_table = zeros(arena, DSA_I32, {kBatch, 3});
  d.row_request = zeros(arena, DSA_I32, {kRows});
  d.row_begin = zeros(arena, DSA_I32, {kRows});
  d.row_end = zeros(arena, DSA_I32, {kRows});
  d.mask = zeros(arena, DSA_U8, {kRows, 6});
  d.index_base = zeros(arena, DSA_I32, {kRows});
  d.indices = zeros(arena, DSA_I32, {kRows, 3});
  d.counts = zeros(arena, DSA_I32, {kRows});
  d.sink = zeros(arena, DSA_F32, {kHeads});
  d.kv_b = zeros(arena, DSA_BF16, {kKeys, kKvHeads, kDim});
  d.kv2_b = zeros(arena, DSA_BF16, {kKeys, kKvHeads, kDim2});
  d.v_b = zeros(arena, DSA_BF16, {kKeys, kKvHeads, kValueDim});
  d.kv_scale_b = zeros(arena, DSA_F32, {kKeys});
  d.v_scale_b = zeros(arena, DSA_F32, {kKeys});
  d.row_begin_b = zeros(arena, DSA_I32, {kRows});
  d.row_end_b = zeros(arena, DSA_I32, {kRows});
  d.indices_b = zeros(arena, DSA_I32, {kRows, 3});
  d.counts_b = zeros(arena, DSA_I32, {kRows});
  add_outputs(*c, kValueDim);
  return c;
}

// One latent cache of rows, selected by a cut; the second scope paged, all of it.
std::unique_ptr<SparseAttnCase> cut_case() {
  auto c = std::make_unique<SparseAttnCase>(8, 0.0);
  Arena& arena = c->arena;
  D& d = c->d = dsa_sparse_attn_desc_init();
  d.scale = 0.5f;
  d.k = 3;
  d.selection = DSA_SELECTION_CUT;
  d.q = zeros(arena, DSA_F32, {kRows, kHeads, kDim});
  d.kv = zeros(arena, DSA_F32, {kKeys, kDim});
  d.seq_lens = zeros(arena, DSA_I32, {kBatch});
  d.scores = zeros(arena, DSA_F16, {kRows, kKeys});
  d.cut_score = zeros(arena, DSA_F32, {kRows});
  d.cut_index = zeros(arena, DSA_I32, {kRows});
  d.key_layout_b = DSA_LAYOUT_PAGES;
  d.selection_b = DSA_SELECTION_ALL;
  d.kv_b = zeros(arena, DSA_F32, {kPages, kPageSize, kDim});
  d.block_table_b = zeros(arena, DSA_I32, {kBatch, 3});
  add_outputs(*c, kDim - 2);
  return c;
}

std::unique_ptr<SparseAttnCase> packed_case() {
  auto c = std::make_unique<SparseAttnCase>(9, 0.0);
  Arena& arena = c->arena;
  D& d = c->d = dsa_sparse_attn_desc_init();
  d.scale = 0.5f;
  d.k = 3;
  d.page_size = 2;
  d.key_layout = DSA_LAYOUT_PAGES;
  d.key_format = DSA_FORMAT_KV_FP8_656;
  d.q = zeros(arena, DSA_BF16, {kRows, kHeads, 576});
  d.kv = zeros(arena, DSA_U8, {kPages, 2 * 656}, {.last_dense = true, .align_elements = 4});
  d.block_table = zeros(arena, DSA_I32, {1, 3});
  d.indices = zeros(arena, DSA_I32, {kRows, 3});
  add_outputs(*c, 512);
  return c;
}

std::function<void(D&)> number(int32_t D::*member, int32_t value) {
  return [=](D& d) { d.*member = value; };
}

std::function<void(D&)> extent(dsa_tensor D::*member, int axis, int64_t value) {
  return [=](D& d) { (d.*member).shape[axis] = value; };
}

std::function<void(D&)> wide_out(int64_t value_dim) {
  return [=](D& d) { d.out = dsa_tensor_3d(d.out.data, d.out.dtype, kRows, kHeads, value_dim); };
}

}  // namespace

TEST(BadAttention, Tensors) {
  const Context ctx = make_context();
  expect_tensor_mistakes<D>(ctx.get(), attn_case, "sparse_attn",
                            {{"q", &D::q, F::kFirst},
                             {"q2", &D::q2, F::kRows},
                             {"q_scale", &D::q_scale, F::kRows},
                             {"kv", &D::kv, F::kOther},
                             {"kv2", &D::kv2, F::kOther},
                             {"v", &D::v, F::kOther},
                             {"kv_scale", &D::kv_scale, F::kOther},
                             {"v_scale", &D::v_scale, F::kOther},
                             {"block_table", &D::block_table, F::kOther},
                             {"row_request", &D::row_request, F::kRows},
                             {"row_begin", &D::row_begin, F::kRows},
                             {"row_end", &D::row_end, F::kRows},
                             {"mask", &D::mask, F::kRows},
                             {"index_base", &D::index_base, F::kRows},
                             {"indices", &D::indices, F::kRows},
                             {"counts", &D::counts, F::kRows},
                             {"sink", &D::sink, F::kOther},
                             {"kv_b", &D::kv_b, F::kOther},
                             {"kv2_b", &D::kv2_b, F::kOther},
                             {"v_b", &D::v_b, F::kOther},
                             {"kv_scale_b", &D::kv_scale_b, F::kOther},
                             {"v_scale_b", &D::v_scale_b, F::kOther},
                             {"row_begin_b", &D::row_begin_b, F::kRows},
                             {"row_end_b", &D::row_end_b, F::kRows},
                             {"indices_b", &D::indices_b, F::kRows},
                             {"counts_b", &D::counts_b, F::kRows},
                             {"out", &D::out, F::kOutput},
                             {"lse", &D::lse, F::kOutput},
                             {"max", &D::max, F::kOutput}});
  expect_tensor_mistakes<D>(ctx.get(), cut_case, "sparse_attn",
                            {{"seq_lens", &D::seq_lens, F::kOther},
                             {"scores", &D::scores, F::kRows},
                             {"cut_score", &D::cut_score, F::kRows},
                             {"cut_index", &D::cut_index, F::kRows},
                             {"kv_b", &D::kv_b, F::kOther},
                             {"block_table_b", &D::block_table_b, F::kOther}});
  expect_tensor_mistakes<D>(ctx.get(), packed_case, "sparse_attn", {{"kv", &D::kv, F::kOther}});
}

TEST(BadAttention, Fields) {
  const Context ctx = make_context();
  expect_header_mistakes<D>(ctx.get(), attn_case, "sparse_attn",
                            DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN | DSA_SELECT_NEG_INF |
                                DSA_BLOCK_TAIL | DSA_LSE_BASE2 | DSA_LSE_WITH_SINK |
                                DSA_LSE_EMPTY_POS_INF);
  const auto scale = [](float value) { return [=](D& d) { d.scale = value; }; };
  const std::string op = "sparse_attn.";
  expect_mistakes<D>(
      ctx.get(), attn_case,
      {{scale(0), DSA_ERROR_INVALID, {op + "scale is 0"}},
       {scale(INFINITY), DSA_ERROR_INVALID, {op + "scale is inf"}},
       {scale(NAN), DSA_ERROR_INVALID, {op + "scale is"}},
       {number(&D::k, 0), DSA_ERROR_INVALID, {op + "k is 0", "DSA_SELECTION_ALL"}},
       {number(&D::k, -2), DSA_ERROR_INVALID, {op + "k is -2"}},
       {number(&D::k, 4), DSA_ERROR_INVALID, {op + "indices.shape[1] is 3", "k is 4"}},
       {number(&D::k_b, 0), DSA_ERROR_INVALID, {op + "k_b is 0"}},
       {number(&D::k_b, 9), DSA_ERROR_INVALID, {op + "indices_b.shape[1] is 3", "k_b is 9"}},
       {number(&D::selection, 4), DSA_ERROR_INVALID, {op + "selection is 4"}},
       {number(&D::selection, -1), DSA_ERROR_INVALID, {op + "selection is -1"}},
       {number(&D::selection, DSA_SELECTION_ALL), DSA_ERROR_INVALID, {op + "k is 3", "_ALL"}},
       {number(&D::selection, DSA_SELECTION_CUT), DSA_ERROR_INVALID, {op + "indices", "counts"}},
       {number(&D::selection, DSA_SELECTION_SLOTS), DSA_ERROR_INVALID, {op + "mask", "slots"}},
       {number(&D::selection_b, DSA_SELECTION_CUT), DSA_ERROR_INVALID, {op + "selection_b is 2"}},
       {number(&D::selection_b, 9), DSA_ERROR_INVALID, {op + "selection_b is 9"}},
       {number(&D::key_layout, 7), DSA_ERROR_INVALID, {"layout", "kv", "7"}},
       {number(&D::key_layout_b, 7), DSA_ERROR_INVALID, {"layout", "kv_b", "7"}},
       {number(&D::key_format, 1), DSA_ERROR_INVALID, {op + "key_format is 1"}},
       {number(&D::key_format, 3), DSA_ERROR_UNSUPPORTED, {op + "key_format is 3"}},
       {number(&D::key_format, 4), DSA_ERROR_UNSUPPORTED, {op + "key_format is 4"}},
       {number(&D::key_format_b, 3), DSA_ERROR_UNSUPPORTED, {op + "key_format_b is 3"}},
       {number(&D::key_format_b, 5), DSA_ERROR_INVALID, {op + "key_format_b is 5"}},
       {number(&D::page_size, 3), DSA_ERROR_INVALID, {op + "page_size is 3", "kv.shape[1] is 2"}},
       {number(&D::page_size, -3), DSA_ERROR_INVALID, {op + "page_size is -3"}},
       {number(&D::page_size_b, -3), DSA_ERROR_INVALID, {op + "page_size_b is -3"}},
       {number(&D::index_block, -1), DSA_ERROR_INVALID, {op + "index_block is -1"}},
       {number(&D::ratio, 3), DSA_ERROR_INVALID, {op + "ratio is 3"}},
       {number(&D::next_n, 1), DSA_ERROR_INVALID, {op + "next_n is 1"}},
       {[](D& d) { d.batch = 3; }, DSA_ERROR_INVALID, {"block_table.shape[0] is 2", "batch is 3"}},
       {[](D& d) { d.max_keys = -9; }, DSA_ERROR_INVALID, {op + "max_keys is -9"}},
       {[](D& d) { d.offset = 9; }, DSA_ERROR_INVALID, {op + "offset is 9"}},
       {[](D& d) { d.indices = {}; }, DSA_ERROR_INVALID, {op + "indices is needed"}},
       {[](D& d) { d.indices_b = {}; }, DSA_ERROR_INVALID, {op + "indices_b is needed"}},
       {[](D& d) { d.selection = DSA_SELECTION_ALL, d.k = 0; },
        DSA_ERROR_INVALID,
        {op + "indices"}},
       {[](D& d) { d.scores = d.q_scale; },
        DSA_ERROR_INVALID,
        {op + "scores", "DSA_SELECTION_CUT"}},
       {[](D& d) { d.cut_score = d.row_begin; }, DSA_ERROR_INVALID, {op + "cut_score"}},
       {[](D& d) { d.block_table = {}; }, DSA_ERROR_INVALID, {op + "block_table is needed"}},
       {[](D& d) { d.q = {}; }, DSA_ERROR_INVALID, {op + "q.ndim is 0"}},
       {[](D& d) { d.q2 = {}; }, DSA_ERROR_INVALID, {"q2 is not given", "kv2 is given"}},
       {[](D& d) { d.kv2 = {}; }, DSA_ERROR_INVALID, {"q2 is given", "kv2 is not given"}},
       {[](D& d) { d.kv2_b = {}; }, DSA_ERROR_INVALID, {"q2 is given", "kv2_b is not given"}},
       {[](D& d) { d.v = {}; }, DSA_ERROR_INVALID, {op + "v_scale", "without v"}},
       {[](D& d) { d.row_end = {}; }, DSA_ERROR_INVALID, {op + "row_begin", "row_end"}},
       {[](D& d) { d.row_end_b = {}; }, DSA_ERROR_INVALID, {op + "row_begin_b", "row_end_b"}},
       {[](D& d) { d.kv_b = {}; }, DSA_ERROR_INVALID, {"_b is given without kv_b"}},
       {[](D& d) { d.out = d.lse = d.max = {}; },
        DSA_ERROR_INVALID,
        {"no output", "out, lse, max"}},
       {[](D& d) { d.out.dtype = DSA_U8; }, DSA_ERROR_INVALID, {op + "out.dtype is 5"}},
       {[](D& d) { d.lse.dtype = DSA_BF16; }, DSA_ERROR_INVALID, {op + "lse.dtype is 3"}},
       {[](D& d) { d.max.dtype = DSA_F16; }, DSA_ERROR_INVALID, {op + "max.dtype is 2"}},
       {[](D& d) { d.kv.dtype = DSA_U8; }, DSA_ERROR_INVALID, {op + "kv.dtype is 5"}},
       {[](D& d) { d.sink.dtype = DSA_F16; }, DSA_ERROR_INVALID, {op + "sink.dtype is 2"}},
       {extent(&D::q, 1, 0), DSA_ERROR_INVALID, {op + "q.shape[1] is 0"}},
       {extent(&D::q, 1, 3), DSA_ERROR_INVALID, {op, "shape[1] is", "3", "4"}},
       {extent(&D::q, 1, 5000), DSA_ERROR_INVALID, {op + "q.shape[1] is 5000", "4096"}},
       {extent(&D::q, 2, 7), DSA_ERROR_INVALID, {op + "kv has a head dim of 8", "7"}},
       {extent(&D::q2, 2, 7), DSA_ERROR_INVALID, {op + "kv2 has a head dim of 6", "7"}},
       {extent(&D::q2, 1, 3), DSA_ERROR_INVALID, {op + "q2.shape[1] is 3", "4"}},
       {extent(&D::q_scale, 1, 3), DSA_ERROR_INVALID, {op + "q_scale.shape[1] is 3", "4"}},
       {extent(&D::kv, 2, 3), DSA_ERROR_INVALID, {op + "kv2 has 2 KV heads", "3"}},
       {extent(&D::kv2, 2, 1), DSA_ERROR_INVALID, {op + "kv2 has 1 KV heads", "2"}},
       {extent(&D::v, 2, 1), DSA_ERROR_INVALID, {op + "v has 1 KV heads", "2"}},
       {extent(&D::v, 3, 7), DSA_ERROR_INVALID, {op + "v has a value dim of 7", "8"}},
       {extent(&D::kv_scale, 2, 3), DSA_ERROR_INVALID, {op + "kv_scale.shape[2] is 3", "8"}},
       {extent(&D::kv_scale, 0, 4), DSA_ERROR_INVALID, {op + "kv_scale.shape[0] is 4", "5"}},
       {extent(&D::kv2, 0, 4), DSA_ERROR_INVALID, {op + "kv2.shape[0] is 4", "5"}},
       {extent(&D::v, 1, 1), DSA_ERROR_INVALID, {op + "v.shape[1] is 1", "2"}},
       {extent(&D::v_b, 0, 6), DSA_ERROR_INVALID, {op + "v_b.shape[0] is 6", "7"}},
       {extent(&D::sink, 0, 3), DSA_ERROR_INVALID, {op + "sink.shape[0] is 3", "4"}},
       {extent(&D::out, 1, 3), DSA_ERROR_INVALID, {op + "out.shape[1] is 3", "4"}},
       {extent(&D::out, 2, 0), DSA_ERROR_INVALID, {op + "out.shape[2]", "0"}},
       {extent(&D::lse, 1, 3), DSA_ERROR_INVALID, {op + "lse.shape[1] is 3", "4"}},
       {extent(&D::max, 1, 3), DSA_ERROR_INVALID, {op + "max.shape[1] is 3", "4"}}});
  for (dsa_tensor D::*in : {&D::q, &D::kv, &D::kv2, &D::v, &D::kv_b, &D::sink, &D::max}) {
    expect_mistake<D>(
        ctx.get(), attn_case,
        {[=](D& d) { d.lse.data = (d.*in).data; }, DSA_ERROR_INVALID, {op + "lse", "overlap"}},
        true);
  }
  // KV heads that do not divide the query's.
  expect_mistake<D>(ctx.get(), cut_case,
                    {[](D& d) {
                       d.kv = dsa_tensor_3d(d.kv.data, DSA_F32, kKeys, 3, kDim);
                       d.selection_b = 0, d.kv_b = d.block_table_b = {};
                     },
                     DSA_ERROR_INVALID,
                     {op + "kv has 3 KV heads", "4 query heads"}});
  // Indices for each KV head are reserved.
  expect_mistake<D>(ctx.get(), attn_case,
                    {[](D& d) {
                       d.indices.ndim = 3;
                       d.indices.shape[2] = d.indices.shape[1], d.indices.shape[1] = kKvHeads;
                       d.indices.stride[2] = 1, d.indices.stride[1] = 0;
                     },
                     DSA_ERROR_UNSUPPORTED,
                     {op + "indices", "KV head", "reserved"}});
}

TEST(BadAttention, CutAndSecondScope) {
  const Context ctx = make_context();
  const std::string op = "sparse_attn.";
  expect_mistakes<D>(
      ctx.get(), cut_case,
      {{[](D& d) { d.scores = {}; }, DSA_ERROR_INVALID, {op + "scores is needed"}},
       {[](D& d) { d.cut_score = {}; }, DSA_ERROR_INVALID, {op + "cut_score is needed"}},
       {[](D& d) { d.cut_index = {}; }, DSA_ERROR_INVALID, {op + "cut_index is needed"}},
       {[](D& d) { d.cut_score.dtype = DSA_BF16; },
        DSA_ERROR_INVALID,
        {op + "cut_score.dtype is 3"}},
       {[](D& d) { d.indices = d.cut_index; },
        DSA_ERROR_INVALID,
        {op + "indices", "selection is 2"}},
       {[](D& d) { d.flags |= DSA_BLOCK_TAIL; },
        DSA_ERROR_INVALID,
        {"DSA_BLOCK_TAIL", "selection"}},
       {number(&D::index_block, 2), DSA_ERROR_INVALID, {op + "index_block is 2", "selection"}},
       {number(&D::k_b, 1), DSA_ERROR_INVALID, {op + "k_b is 1", "DSA_SELECTION_ALL"}},
       {number(&D::next_n, 3), DSA_ERROR_INVALID, {op + "next_n is 3"}},
       {number(&D::page_size_b, 4),
        DSA_ERROR_INVALID,
        {op + "page_size_b is 4", "kv_b.shape[1] is 2"}},
       {[](D& d) {
          d.selection_b = DSA_SELECTION_SLOTS;
          d.k_b = 1, d.slot_page_size_b = 7, d.indices_b = d.cut_index;
          d.indices_b.ndim = 2, d.indices_b.shape[1] = 1;
        },
        DSA_ERROR_INVALID,
        {op + "slot_page_size_b is 7", "2"}},
       {extent(&D::block_table_b, 0, 3),
        DSA_ERROR_INVALID,
        {op + "block_table_b.shape[0] is 3", "2"}},
       {extent(&D::kv_b, 1, 0), DSA_ERROR_INVALID, {op + "kv_b has pages of 0 keys"}},
       {[](D& d) { d.block_table_b = {}; }, DSA_ERROR_INVALID, {op + "block_table_b is needed"}},
       {extent(&D::kv_b, 2, 7), DSA_ERROR_INVALID, {op + "kv_b has a head dim of 7", "8"}},
       {wide_out(9), DSA_ERROR_INVALID, {op + "out has a value dim of 9", "8"}}});
}

TEST(BadAttention, Slots) {
  const Context ctx = make_context();
  const std::string op = "sparse_attn.";
  const MakeCase<D> slots_case = [] {
    auto c = attn_case();
    c->d.selection = c->d.selection_b = DSA_SELECTION_SLOTS;
    c->d.mask = {};
    return c;
  };
  expect_mistakes<D>(
      ctx.get(), slots_case,
      {{number(&D::index_block, 4), DSA_ERROR_INVALID, {op + "index_block is 4"}},
       {number(&D::slot_page_size, -1), DSA_ERROR_INVALID, {op + "slot_page_size is -1"}},
       {number(&D::slot_page_stride, -1), DSA_ERROR_INVALID, {"slot_page_stride", "-1"}},
       {number(&D::slot_page_size, 3), DSA_ERROR_INVALID, {op + "slot_page_size is 3", "2 keys"}},
       {number(&D::slot_page_stride, 1), DSA_ERROR_INVALID, {op + "slot_page_stride is 1", "2"}},
       {number(&D::slot_page_size_b, -7), DSA_ERROR_INVALID, {op + "slot_page_size_b is -7"}},
       {[](D& d) { d.slot_page_size_b = 4, d.slot_page_stride_b = 3; },
        DSA_ERROR_INVALID,
        {op + "slot_page_stride_b is 3", "4"}},
       {[](D& d) { d.indices.dtype = DSA_F32; }, DSA_ERROR_INVALID, {op + "indices.dtype is 1"}}});
}

TEST(BadAttention, PackedRows) {
  const Context ctx = make_context();
  const std::string op = "sparse_attn.";
  expect_mistakes<D>(
      ctx.get(), packed_case,
      {{number(&D::page_size, 0), DSA_ERROR_INVALID, {op + "page_size is 0"}},
       {number(&D::page_size, 3),
        DSA_ERROR_INVALID,
        {op + "kv.shape[1] is 1312 bytes", "3 tokens", "1968"}},
       {extent(&D::q, 2, 575), DSA_ERROR_INVALID, {op + "q.shape[2] is 575", "576"}},
       {[](D& d) { d.kv2 = d.kv; }, DSA_ERROR_INVALID, {"kv2", "KV_FP8_656"}},
       {[](D& d) { d.q2 = d.q; }, DSA_ERROR_INVALID, {op + "q2", "KV_FP8_656"}},
       {[](D& d) { d.v = d.kv; }, DSA_ERROR_INVALID, {"KV_FP8_656"}},
       {[](D& d) { d.kv.dtype = DSA_F8_E4M3FN; }, DSA_ERROR_INVALID, {op + "kv.dtype is 4"}},
       {[](D& d) { d.kv.stride[0] = 1314; }, DSA_ERROR_INVALID, {op + "kv", "multiples of 4"}},
       {[](D& d) { d.kv.stride[1] = 2; }, DSA_ERROR_INVALID, {op + "kv", "adjacent"}},
       {wide_out(513), DSA_ERROR_INVALID, {"value dim of 513", "512"}}});
  expect_mistake<D>(ctx.get(), packed_case,
                    {[](D& d) { d.kv = dsa_tensor_3d(d.kv.data, DSA_U8, kPages, 2, 655); },
                     DSA_ERROR_INVALID,
                     {op + "kv.shape[2] is 655", "656"}});
  expect_mistake<D>(ctx.get(), packed_case,
                    {[](D& d) { d.kv.data = static_cast<char*>(d.kv.data) + 2; },
                     DSA_ERROR_INVALID,
                     {op + "kv", "multiples of 4"}},
                    true);
}

TEST(BadAttention, Merge) {
  const Context ctx = make_context();
  using M = dsa_merge_lse_desc;
  using MF = Field<M>;
  const MakeCase<M> merge_case = [] {
    auto c = std::make_unique<MergeLseCase>(7, 0.0);
    Arena& arena = c->arena;
    M& d = c->d = dsa_merge_lse_desc_init();
    d.partial_out = zeros(arena, DSA_BF16, {3, kRows, kHeads, 5});
    d.partial_lse = zeros(arena, DSA_F32, {3, kRows, kHeads});
    d.partial_max = zeros(arena, DSA_F32, {3, kRows, kHeads});
    d.sink = zeros(arena, DSA_F32, {kHeads});
    d.out = arena.output(DSA_F16, {kRows, kHeads, 5});
    d.lse = arena.output(DSA_F32, {kRows, kHeads});
    d.max = arena.output(DSA_F32, {kRows, kHeads});
    return c;
  };
  expect_tensor_mistakes<M>(ctx.get(), merge_case, "merge_lse",
                            {{"partial_out", &M::partial_out, MF::kOther},
                             {"partial_lse", &M::partial_lse, MF::kFirst},
                             {"partial_max", &M::partial_max, MF::kOther},
                             {"sink", &M::sink, MF::kOther},
                             {"out", &M::out, MF::kOutput},
                             {"lse", &M::lse, MF::kOutput},
                             {"max", &M::max, MF::kOutput}});
  expect_header_mistakes<M>(ctx.get(), merge_case, "merge_lse",
                            DSA_LSE_BASE2 | DSA_LSE_WITH_SINK | DSA_LSE_EMPTY_POS_INF);
  const auto extent = [](dsa_tensor M::*member, int axis, int64_t value) {
    return [=](M& d) { (d.*member).shape[axis] = value; };
  };
  expect_mistakes<M>(
      ctx.get(), merge_case,
      {{[](M& d) { d.out = d.lse = d.max = {}; }, DSA_ERROR_INVALID, {"no output"}},
       {[](M& d) { d.partial_out = {}; }, DSA_ERROR_INVALID, {"merge_lse.partial_out", "out"}},
       {[](M& d) { d.partial_max = {}; }, DSA_ERROR_INVALID, {"merge_lse.partial_max", "max"}},
       {[](M& d) { d.out = {}; }, DSA_ERROR_INVALID, {"merge_lse.partial_out", "out"}},
       {[](M& d) { d.partial_lse = {}; }, DSA_ERROR_INVALID, {"merge_lse.partial_lse.ndim is 0"}},
       {extent(&M::partial_lse, 0, 2), DSA_ERROR_INVALID, {"shape[0] is 3", "2"}},
       {extent(&M::partial_lse, 2, 3), DSA_ERROR_INVALID, {"shape[", "4", "3"}},
       {extent(&M::partial_out, 0, 4), DSA_ERROR_INVALID, {"merge_lse.partial_out.shape[0] is 4"}},
       {extent(&M::partial_out, 1, 3), DSA_ERROR_INVALID, {"merge_lse.partial_out.shape[", "is 3"}},
       {extent(&M::partial_out, 3, 4), DSA_ERROR_INVALID, {"merge_lse.partial_out.shape[3] is 4"}},
       {extent(&M::partial_max, 2, 3), DSA_ERROR_INVALID, {"merge_lse.partial_max.shape[2] is 3"}},
       {extent(&M::out, 2, 0), DSA_ERROR_INVALID, {"merge_lse", "shape["}},
       {extent(&M::out, 1, 3), DSA_ERROR_INVALID, {"merge_lse.out.shape[1] is 3", "4"}},
       {extent(&M::lse, 1, 3), DSA_ERROR_INVALID, {"merge_lse.lse.shape[1] is 3", "4"}},
       {extent(&M::sink, 0, 5), DSA_ERROR_INVALID, {"merge_lse.sink.shape[0] is 5", "4"}},
       {[](M& d) { d.lse.dtype = DSA_F16; }, DSA_ERROR_INVALID, {"merge_lse.lse.dtype is 2"}},
       {[](M& d) { d.partial_lse.dtype = DSA_BF16; },
        DSA_ERROR_INVALID,
        {"merge_lse.partial_lse.dtype is 3"}},
       {[](M& d) { d.partial_out.dtype = DSA_F8_E4M3FN; },
        DSA_ERROR_INVALID,
        {"merge_lse.partial_out.dtype is 4"}}});
  for (dsa_tensor M::*in : {&M::partial_lse, &M::partial_max, &M::partial_out, &M::sink}) {
    expect_mistake<M>(
        ctx.get(), merge_case,
        {[=](M& d) { d.lse.data = (d.*in).data; }, DSA_ERROR_INVALID, {"merge_lse.lse", "overlap"}},
        true);
  }
}

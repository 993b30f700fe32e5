// Mistakes in the fields of dsa_indexer and dsa_indexer_topk.
#include "support/mistakes.h"

using namespace support;

namespace {

constexpr int64_t kRows = 4, kBatch = 2, kHeads = 3, kDim = 8, kPages = 5, kPageSize = 2,
                  kTablePages = 3, kKeys = kTablePages * kPageSize;

// Paged keys, visibility by range, everything optional given.
template <class Desc>
std::unique_ptr<Case<Desc>> with_inputs(Desc init) {
  auto c = std::make_unique<Case<Desc>>(7, 0.0);
  Arena& arena = c->arena;
  Desc& d = c->d = init;
  d.key_layout = DSA_LAYOUT_PAGES;
  d.q = zeros(arena, DSA_F32, {kRows, kHeads, kDim});
  d.keys = zeros(arena, DSA_BF16, {kPages, kPageSize, kDim});
  d.w = zeros(arena, DSA_F16, {kRows, kHeads});
  d.q_scale = zeros(arena, DSA_F32, {kRows, kHeads});
  d.k_scale = zeros(arena, DSA_F32, {kPages, kPageSize});
  d.block_table = zeros(arena, DSA_I32, {kBatch, kTablePages});
  d.row_request = zeros(arena, DSA_I32, {kRows});
  d.row_begin = zeros(arena, DSA_I32, {kRows});
  d.row_end = zeros(arena, DSA_I32, {kRows});
  d.mask = zeros(arena, DSA_BF16, {kRows, kKeys});
  return c;
}

std::unique_ptr<IndexerCase> indexer_case() {
  auto c = with_inputs(dsa_indexer_desc_init());
  c->d.scores = c->arena.output(DSA_F32, {kRows, kKeys});
  return c;
}

std::unique_ptr<IndexerTopkCase> fused_case() {
  auto c = with_inputs(dsa_indexer_topk_desc_init());
  Arena& arena = c->arena;
  dsa_indexer_topk_desc& d = c->d;
  d.k = 2;
  d.index_base = zeros(arena, DSA_I32, {kRows});
  d.slot_table = zeros(arena, DSA_I32, {kBatch, 2});
  d.slot_page_size = 4;
  d.hint_indices = zeros(arena, DSA_I32, {kRows, 2});
  d.hint_bound = zeros(arena, DSA_F32, {kRows});
  d.indices = arena.output(DSA_I32, {kRows, 2});
  d.slots = arena.output(DSA_I32, {kRows, 2});
  d.values = arena.output(DSA_F32, {kRows, 2});
  d.counts = arena.output(DSA_I32, {kRows});
  d.cut_score = arena.output(DSA_F32, {kRows});
  d.cut_index = arena.output(DSA_I32, {kRows});
  return c;
}

std::unique_ptr<IndexerCase> packed_case() {
  auto c = indexer_case();
  dsa_indexer_desc& d = c->d;
  d.key_format = DSA_FORMAT_KEY_PAGE_132;
  d.page_size = kPageSize;
  d.k_scale = {};
  d.keys = zeros(c->arena, DSA_U8, {kPages, kPageSize * (kDim + 4)},
                 {.last_dense = true, .align_elements = 4});
  return c;
}

// Keys in slices, visibility by lengths.
std::unique_ptr<IndexerCase> batch_case() {
  auto c = indexer_case();
  dsa_indexer_desc& d = c->d;
  d.key_layout = DSA_LAYOUT_BATCH;
  d.block_table = d.row_request = d.row_begin = d.row_end = {};
  d.seq_lens = zeros(c->arena, DSA_I32, {kBatch});
  d.keys = zeros(c->arena, DSA_F16, {kBatch, kKeys, kDim});
  d.k_scale = zeros(c->arena, DSA_F32, {kBatch, kKeys});
  return c;
}

template <class Desc>
std::vector<Field<Desc>> input_fields() {
  using F = Field<Desc>;
  return {{"q", &Desc::q, F::kFirst},
          {"keys", &Desc::keys, F::kOther},
          {"w", &Desc::w, F::kRows},
          {"q_scale", &Desc::q_scale, F::kRows},
          {"k_scale", &Desc::k_scale, F::kOther},
          {"block_table", &Desc::block_table, F::kOther},
          {"row_request", &Desc::row_request, F::kRows},
          {"row_begin", &Desc::row_begin, F::kRows},
          {"row_end", &Desc::row_end, F::kRows},
          {"mask", &Desc::mask, F::kRows}};
}

// Mistakes in the fields that both operations have; `op` stands before each name.
template <class D>
std::vector<Mistake<D>> input_mistakes(const std::string& op) {
  const auto number = [](int32_t D::*member, int32_t value) {
    return [=](D& d) { d.*member = value; };
  };
  const auto extent = [](dsa_tensor D::*member, int axis, int64_t value) {
    return [=](D& d) { (d.*member).shape[axis] = value; };
  };
  return {
      {number(&D::key_layout, 3), DSA_ERROR_INVALID, {op, "layout", "keys", "3"}},
      {number(&D::key_layout, -1), DSA_ERROR_INVALID, {op, "layout", "keys", "-1"}},
      {number(&D::key_layout, DSA_LAYOUT_ROWS),
       DSA_ERROR_INVALID,
       {op + ".block_table", "layout is rows"}},
      {number(&D::key_layout, DSA_LAYOUT_BATCH), DSA_ERROR_INVALID, {op + ".", "shape[0] is 5"}},
      {number(&D::key_format, 2), DSA_ERROR_INVALID, {op + ".key_format is 2"}},
      {number(&D::key_format, 3), DSA_ERROR_INVALID, {op + ".key_format is 3"}},
      {number(&D::key_format, 4), DSA_ERROR_UNSUPPORTED, {op + ".key_format is 4"}},
      {number(&D::key_format, 5), DSA_ERROR_INVALID, {op + ".key_format is 5"}},
      {number(&D::page_size, -1), DSA_ERROR_INVALID, {op + ".page_size is -1"}},
      {number(&D::page_size, 3),
       DSA_ERROR_INVALID,
       {op + ".page_size is 3", op + ".keys.shape[1] is 2"}},
      {number(&D::shard_rank, 1), DSA_ERROR_UNSUPPORTED, {op + ".shard_rank is 1", "reserved"}},
      {number(&D::shard_ranks, 1), DSA_ERROR_UNSUPPORTED, {op + ".shard_ranks is 1"}},
      {number(&D::shard_interleave, 1), DSA_ERROR_UNSUPPORTED, {op + ".shard_interleave is 1"}},
      {number(&D::ratio, -2), DSA_ERROR_INVALID, {op + ".ratio is -2"}},
      {number(&D::next_n, -2), DSA_ERROR_INVALID, {op + ".next_n is -2"}},
      {[](D& d) { d.batch = -7; }, DSA_ERROR_INVALID, {op + ".batch is -7"}},
      {[](D& d) { d.batch = 5; },
       DSA_ERROR_INVALID,
       {op + ".block_table.shape[0] is 2", op + ".batch is 5"}},
      {[](D& d) { d.max_keys = -1; }, DSA_ERROR_INVALID, {op + ".max_keys is -1"}},
      {[](D& d) { d.offset = 3; }, DSA_ERROR_INVALID, {op + ".offset is 3", "DSA_CAUSAL"}},
      {[](D& d) { d.block_table = {}; }, DSA_ERROR_INVALID, {op + ".block_table", "PAGES"}},
      {[](D& d) { d.q = {}; }, DSA_ERROR_INVALID, {op + ".q.ndim is 0"}},
      {[](D& d) { d.keys = {}; }, DSA_ERROR_INVALID, {op + ".keys"}},
      {extent(&D::q, 1, 0), DSA_ERROR_INVALID, {op + ".q.shape[1] is 0"}},
      {extent(&D::q, 2, 0), DSA_ERROR_INVALID, {op + ".q.shape[2] is", "dim of 0"}},
      {extent(&D::q, 1, 5000), DSA_ERROR_INVALID, {op + ".q.shape[1] is", "5000", "1024"}},
      {extent(&D::q, 2, 5000), DSA_ERROR_INVALID, {op + ".q.shape[2] is", "5000", "1024"}},
      {extent(&D::q, 2, 4), DSA_ERROR_INVALID, {op + ".keys.shape[2] is 8", "q", "4"}},
      {extent(&D::w, 1, 2), DSA_ERROR_INVALID, {op + ".w.shape[1] is 2", "3"}},
      {extent(&D::q_scale, 1, 2), DSA_ERROR_INVALID, {op + ".q_scale.shape[1] is 2", "3"}},
      {[](D& d) { d.q_scale = dsa_tensor_1d(d.q_scale.data, DSA_F32, 2); },
       DSA_ERROR_INVALID,
       {op + ".q_scale.shape[0] is 2"}},
      {extent(&D::k_scale, 0, 4), DSA_ERROR_INVALID, {op + ".k_scale.shape[0] is 4", "5"}},
      {extent(&D::k_scale, 1, 1), DSA_ERROR_INVALID, {op + ".k_scale.shape[1] is 1", "2"}},
      {extent(&D::keys, 1, 0), DSA_ERROR_INVALID, {op + ".keys", "0 keys"}},
      {[](D& d) { d.q.dtype = DSA_U8; }, DSA_ERROR_INVALID, {op + ".q.dtype is 5"}},
      {[](D& d) { d.keys.dtype = DSA_U8; }, DSA_ERROR_INVALID, {op + ".keys.dtype is 5"}},
      {[](D& d) { d.w.dtype = DSA_F8_E4M3FN; }, DSA_ERROR_INVALID, {op + ".w.dtype is 4"}},
      {[](D& d) { d.k_scale.dtype = DSA_BF16; }, DSA_ERROR_INVALID, {op + ".k_scale.dtype is 3"}},
      {[](D& d) { d.mask.dtype = DSA_I32; }, DSA_ERROR_INVALID, {op + ".mask.dtype is 6"}},
      {[](D& d) { d.row_end = {}; }, DSA_ERROR_INVALID, {op + ".row_begin", "row_end"}},
      {[](D& d) { d.flags |= DSA_CAUSAL; }, DSA_ERROR_INVALID, {op, "row_end", "DSA_CAUSAL"}},
      {[](D& d) { d.row_request = {}, d.q.shape[0] = 3; }, DSA_ERROR_INVALID, {op, "3 query rows"}},
  };
}

}  // namespace

TEST(BadIndexer, Tensors) {
  const Context ctx = make_context();
  auto fields = input_fields<dsa_indexer_desc>();
  fields.push_back({"scores", &dsa_indexer_desc::scores, Field<dsa_indexer_desc>::kOutput});
  expect_tensor_mistakes<dsa_indexer_desc>(ctx.get(), indexer_case, "indexer", fields);
  expect_tensor_mistakes<dsa_indexer_desc>(
      ctx.get(), batch_case, "indexer",
      {{"keys", &dsa_indexer_desc::keys, Field<dsa_indexer_desc>::kOther},
       {"k_scale", &dsa_indexer_desc::k_scale, Field<dsa_indexer_desc>::kOther},
       {"seq_lens", &dsa_indexer_desc::seq_lens, Field<dsa_indexer_desc>::kOther}});
}

TEST(BadIndexer, Fields) {
  const Context ctx = make_context();
  using D = dsa_indexer_desc;
  expect_header_mistakes<D>(ctx.get(), indexer_case, "indexer",
                            DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN | DSA_KEEP_INVISIBLE | DSA_NO_RELU);
  expect_mistakes<D>(ctx.get(), indexer_case, input_mistakes<D>("indexer"));
  expect_mistakes<D>(
      ctx.get(), indexer_case,
      {{[](D& d) { d.scores = {}; }, DSA_ERROR_INVALID, {"indexer.scores.ndim is 0"}},
       {[](D& d) { d.scores.dtype = DSA_F16; }, DSA_ERROR_INVALID, {"indexer.scores.dtype is 2"}}});
  expect_mistake<D>(
      ctx.get(), indexer_case,
      {[](D& d) { d.scores.data = d.mask.data; }, DSA_ERROR_INVALID, {"indexer.scores", "overlap"}},
      true);
}

TEST(BadIndexer, PackedPages) {
  const Context ctx = make_context();
  using D = dsa_indexer_desc;
  expect_tensor_mistakes<D>(ctx.get(), packed_case, "indexer",
                            {{"keys", &D::keys, Field<D>::kOther}});
  expect_mistakes<D>(
      ctx.get(), packed_case,
      {{[](D& d) { d.page_size = 0; }, DSA_ERROR_INVALID, {"indexer.page_size is 0"}},
       {[](D& d) { d.page_size = 3; },
        DSA_ERROR_INVALID,
        {"indexer.keys.shape[1] is 24 bytes", "3 keys of 8", "36"}},
       {[](D& d) { d.keys.shape[1] = 23; },
        DSA_ERROR_INVALID,
        {"indexer.keys.shape[1] is 23", "24"}},
       {[](D& d) { d.keys.stride[1] = 2; }, DSA_ERROR_INVALID, {"indexer.keys.stride[1] is 2"}},
       {[](D& d) { d.keys.stride[0] = 26; }, DSA_ERROR_INVALID, {"indexer.keys", "stride[0]"}},
       {[](D& d) { d.keys.dtype = DSA_F8_E4M3FN; }, DSA_ERROR_INVALID, {"indexer.keys.dtype is 4"}},
       {[](D& d) { d.key_layout = DSA_LAYOUT_ROWS; },
        DSA_ERROR_INVALID,
        {"indexer.key_layout is 0"}},
       {[](D& d) { d.k_scale = d.q_scale; },
        DSA_ERROR_INVALID,
        {"indexer.k_scale", "KEY_PAGE_132"}}});
  expect_mistake<D>(ctx.get(), packed_case,
                    {[](D& d) { d.keys.data = static_cast<char*>(d.keys.data) + 1; },
                     DSA_ERROR_INVALID,
                     {"indexer.keys", "multiples of 4"}},
                    true);
}

TEST(BadIndexer, Layouts) {
  const Context ctx = make_context();
  using D = dsa_indexer_desc;
  expect_mistakes<D>(
      ctx.get(), batch_case,
      {{[](D& d) { d.batch = 3; },
        DSA_ERROR_INVALID,
        {"indexer.keys.shape[0] is 2", "indexer.batch is 3"}},
       {[](D& d) { d.key_layout = DSA_LAYOUT_ROWS; },
        DSA_ERROR_INVALID,
        {"indexer.keys.ndim is 3"}},
       {[](D& d) { d.keys.shape[2] = 7; }, DSA_ERROR_INVALID, {"indexer.keys.shape[2] is 7", "8"}},
       {[](D& d) { d.k_scale.shape[1] = 4; },
        DSA_ERROR_INVALID,
        {"indexer.k_scale.shape[1] is 4", "6"}},
       {[](D& d) { d.keys.shape[1] = int64_t{1} << 31, d.k_scale = {}; },
        DSA_ERROR_INVALID,
        {"indexer.keys", "2147483648"}}});
}

TEST(BadIndexer, Fused) {
  const Context ctx = make_context();
  using D = dsa_indexer_topk_desc;
  using F = Field<D>;
  auto fields = input_fields<D>();
  for (const F& f :
       {F{"index_base", &D::index_base, F::kRows}, F{"slot_table", &D::slot_table, F::kOther},
        F{"hint_indices", &D::hint_indices, F::kRows}, F{"hint_bound", &D::hint_bound, F::kRows},
        F{"indices", &D::indices, F::kOutput}, F{"slots", &D::slots, F::kOutput},
        F{"values", &D::values, F::kOutput}, F{"counts", &D::counts, F::kOutput},
        F{"cut_score", &D::cut_score, F::kOutput}, F{"cut_index", &D::cut_index, F::kOutput}}) {
    fields.push_back(f);
  }
  expect_tensor_mistakes<D>(ctx.get(), fused_case, "indexer_topk", fields);
  expect_header_mistakes<D>(ctx.get(), fused_case, "indexer_topk",
                            DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN | DSA_NO_RELU | DSA_SELECT_NEG_INF);
  expect_mistakes<D>(ctx.get(), fused_case, input_mistakes<D>("indexer_topk"));
  const auto number = [](int32_t D::*member, int32_t value) {
    return [=](D& d) { d.*member = value; };
  };
  expect_mistakes<D>(
      ctx.get(), fused_case,
      {{number(&D::k, 0), DSA_ERROR_INVALID, {"indexer_topk.k is 0", "DSA_SELECTION_ALL"}},
       {number(&D::k, 3), DSA_ERROR_INVALID, {"indexer_topk.indices.shape[1] is 2, k is 3"}},
       {number(&D::order, 7), DSA_ERROR_INVALID, {"indexer_topk.order is 7"}},
       {number(&D::ties, -1), DSA_ERROR_INVALID, {"indexer_topk.ties is -1"}},
       {number(&D::ties, DSA_TIES_ANY), DSA_ERROR_INVALID, {"cut_score", "DSA_TIES_ANY"}},
       {number(&D::slot_page_size, -1), DSA_ERROR_INVALID, {"indexer_topk.slot_page_size is -1"}},
       {number(&D::slot_page_stride, 3),
        DSA_ERROR_INVALID,
        {"indexer_topk.slot_page_stride is 3", "4"}},
       {number(&D::force_first, 1), DSA_ERROR_UNSUPPORTED, {"indexer_topk.force_first is 1"}},
       {number(&D::force_last, 1), DSA_ERROR_UNSUPPORTED, {"indexer_topk.force_last is 1"}},
       {number(&D::select_block, 1), DSA_ERROR_UNSUPPORTED, {"indexer_topk.select_block is 1"}},
       {[](D& d) { d.candidates = d.hint_indices; },
        DSA_ERROR_UNSUPPORTED,
        {"indexer_topk.candidates"}},
       {[](D& d) { d.candidate_blocks = d.hint_indices; },
        DSA_ERROR_UNSUPPORTED,
        {"indexer_topk.candidate_blocks"}},
       {[](D& d) { d.values.dtype = DSA_BF16; },
        DSA_ERROR_INVALID,
        {"indexer_topk.values.dtype is 3"}},
       {[](D& d) { d.slot_table.shape[0] = 3; },
        DSA_ERROR_INVALID,
        {"indexer_topk.slot_table.shape[0] is 3", "2"}},
       {[](D& d) { d.indices = d.slots = d.values = d.counts = d.cut_score = d.cut_index = {}; },
        DSA_ERROR_INVALID,
        {"indexer_topk", "no output"}}});
  for (dsa_tensor D::*other : {&D::keys, &D::hint_bound, &D::cut_index}) {
    expect_mistake<D>(ctx.get(), fused_case,
                      {[=](D& d) { d.counts.data = (d.*other).data; },
                       DSA_ERROR_INVALID,
                       {"indexer_topk.counts", "overlap"}},
                      true);
  }
}

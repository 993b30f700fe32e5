// Wrong fields of dsa_topk, dsa_indexer and dsa_indexer_topk.
#include "ops/bad_input.h"

using namespace bad_input;

namespace {

using TopkCall = Call<dsa_topk_desc>;
using IndexerCall = Call<dsa_indexer_desc>;
using FusedCall = Call<dsa_indexer_topk_desc>;
constexpr dsa_status kInvalid = DSA_ERROR_INVALID;
constexpr dsa_status kUnsupported = DSA_ERROR_UNSUPPORTED;

template <class Desc>
void set_outputs(Call<Desc>& c, int64_t rows, int64_t k) {
  c.d.k = int32_t(k);
  c.d.indices = dsa_tensor_2d(c.memory.take(), DSA_I32, rows, k);
  c.d.values = dsa_tensor_2d(c.memory.take(), DSA_F32, rows, k);
  c.d.slots = dsa_tensor_2d(c.memory.take(), DSA_I32, rows, k);
  c.d.counts = dsa_tensor_1d(c.memory.take(), DSA_I32, rows);
  c.d.cut_score = dsa_tensor_1d(c.memory.take(), DSA_F32, rows);
  c.d.cut_index = dsa_tensor_1d(c.memory.take(), DSA_I32, rows);
  for (dsa_tensor* t :
       {&c.d.indices, &c.d.values, &c.d.slots, &c.d.counts, &c.d.cut_score, &c.d.cut_index}) {
    c.is_output(*t);
  }
  c.d.slot_table = dsa_tensor_2d(c.tables.data(), DSA_I32, 2, 20);
  c.d.slot_page_size = 1;
}

std::unique_ptr<TopkCall> topk() {
  auto c = std::make_unique<TopkCall>();
  c->d = dsa_topk_desc_init();
  c->d.batch = 2;
  c->d.scores = dsa_tensor_2d(c->memory.take(1), DSA_F32, 4, 20);
  c->d.row_end = dsa_tensor_1d(c->tables.data(), DSA_I32, 4);
  c->d.mask = dsa_tensor_2d(c->memory.take(1), DSA_F32, 4, 20);
  c->d.index_base = dsa_tensor_1d(c->memory.take(), DSA_I32, 4);
  c->d.hint_indices = dsa_tensor_2d(c->memory.take(), DSA_I32, 4, 3);
  c->d.hint_bound = dsa_tensor_1d(c->memory.take(), DSA_F32, 4);
  set_outputs(*c, 4, 5);
  return c;
}

template <class Desc>
void set_index_inputs(Call<Desc>& c) {
  c.d.batch = 2;
  c.d.key_layout = DSA_LAYOUT_PAGES;
  c.d.q = dsa_tensor_3d(c.memory.take(1), DSA_F32, 4, 8, 16);
  c.d.keys = dsa_tensor_3d(c.memory.take(1), DSA_F32, 6, 4, 16);
  c.d.w = dsa_tensor_2d(c.memory.take(1), DSA_F32, 4, 8);
  c.d.q_scale = dsa_tensor_2d(c.memory.take(1), DSA_F32, 4, 8);
  c.d.k_scale = dsa_tensor_2d(c.memory.take(1), DSA_F32, 6, 4);
  c.d.block_table = dsa_tensor_2d(c.memory.take(), DSA_I32, 2, 3);
  c.d.seq_lens = dsa_tensor_1d(c.memory.take(), DSA_I32, 2);
}

std::unique_ptr<IndexerCall> indexer() {
  auto c = std::make_unique<IndexerCall>();
  c->d = dsa_indexer_desc_init();
  set_index_inputs(*c);
  c->d.scores = dsa_tensor_2d(c->memory.take(), DSA_F32, 4, 12);
  c->is_output(c->d.scores);
  return c;
}

std::unique_ptr<FusedCall> fused() {
  auto c = std::make_unique<FusedCall>();
  c->d = dsa_indexer_topk_desc_init();
  set_index_inputs(*c);
  set_outputs(*c, 4, 5);
  return c;
}

TEST(BadSelect, RightCallsRun) {
  const support::Context ctx = support::make_context();
  EXPECT_EQ(support::run(ctx.get(), topk()->d), DSA_OK) << dsa_last_error();
  EXPECT_EQ(support::run(ctx.get(), indexer()->d), DSA_OK) << dsa_last_error();
  EXPECT_EQ(support::run(ctx.get(), fused()->d), DSA_OK) << dsa_last_error();
}

TEST(BadSelect, Headers) {
  expect_header_errors(topk, "topk", DSA_BLOCK_TAIL);
  expect_header_errors(indexer, "indexer", DSA_SELECT_NEG_INF);
  expect_header_errors(fused, "indexer_topk", DSA_KEEP_INVISIBLE);
  expect_larger_structs(topk);
  expect_larger_structs(indexer);
  expect_larger_structs(fused);
}

#define MEMBER(field) [](auto& d) -> dsa_tensor& { return d.field; }

TEST(BadSelect, TopkTensors) {
  expect_tensor_errors(topk, MEMBER(scores), "topk.scores", false);
  expect_tensor_errors(topk, MEMBER(row_end), "topk.row_end", false);
  expect_tensor_errors(topk, MEMBER(index_base), "topk.index_base", false);
  expect_tensor_errors(topk, MEMBER(slot_table), "topk.slot_table", false);
  expect_tensor_errors(topk, MEMBER(hint_indices), "topk.hint_indices", false);
  expect_tensor_errors(topk, MEMBER(hint_bound), "topk.hint_bound", false);
  expect_tensor_errors(topk, MEMBER(indices), "topk.indices", true);
  expect_tensor_errors(topk, MEMBER(slots), "topk.slots", true);
  expect_tensor_errors(topk, MEMBER(values), "topk.values", true);
  expect_tensor_errors(topk, MEMBER(counts), "topk.counts", true);
  expect_tensor_errors(topk, MEMBER(cut_score), "topk.cut_score", true);
  expect_tensor_errors(topk, MEMBER(cut_index), "topk.cut_index", true);
}

TEST(BadSelect, IndexerTensors) {
  expect_tensor_errors(indexer, MEMBER(q), "indexer.q", false);
  expect_tensor_errors(indexer, MEMBER(keys), "indexer.keys", false);
  expect_tensor_errors(indexer, MEMBER(w), "indexer.w", false);
  expect_tensor_errors(indexer, MEMBER(q_scale), "indexer.q_scale", false);
  expect_tensor_errors(indexer, MEMBER(k_scale), "indexer.k_scale", false);
  expect_tensor_errors(indexer, MEMBER(block_table), "indexer.block_table", false);
  expect_tensor_errors(indexer, MEMBER(seq_lens), "indexer.seq_lens", false);
  expect_tensor_errors(indexer, MEMBER(scores), "indexer.scores", true);
  expect_tensor_errors(fused, MEMBER(keys), "indexer_topk.keys", false);
  expect_tensor_errors(fused, MEMBER(indices), "indexer_topk.indices", true);
}

#undef MEMBER

// Fields of a selection, in both operations that have them.
template <class Desc, class Make>
void expect_select_errors(Make&& make, const std::string& op) {
  const auto bad = [&](auto&& change, dsa_status status,
                       std::initializer_list<const char*> needles) {
    expect_error(
        make, [&](Desc& d) { change(d); }, status, needles);
  };
  const std::string k = op + ".k is 0", indices = op + ".indices.shape[1] is 5, k is 6";
  bad([](Desc& d) { d.k = 0; }, kInvalid, {k.c_str(), "DSA_SELECTION_ALL"});
  bad([](Desc& d) { d.k = -3; }, kInvalid, {".k is -3"});
  bad([](Desc& d) { d.k = 6; }, kInvalid, {indices.c_str()});
  bad([](Desc& d) { d.order = 3; }, kInvalid, {".order is 3"});
  bad([](Desc& d) { d.order = -1; }, kInvalid, {".order is -1"});
  bad([](Desc& d) { d.ties = 2; }, kInvalid, {".ties is 2"});
  bad([](Desc& d) { d.ties = DSA_TIES_ANY; }, kInvalid, {"cut_score", "DSA_TIES_ANY"});
  bad([](Desc& d) { d.slot_page_size = -1; }, kInvalid, {"slot_page_size is -1"});
  bad([](Desc& d) { d.slot_page_stride = -7; }, kInvalid, {"slot_page_stride is -7"});
  bad([](Desc& d) { d.slot_page_size = 4, d.slot_page_stride = 3; }, kInvalid,
      {"slot_page_stride is 3", "4"});
  bad([](Desc& d) { d.slot_table.shape[0] = 3; }, kInvalid, {"slot_table.shape[0] is 3", "2"});
  bad([](Desc& d) { d.force_first = 1; }, kUnsupported, {"force_first is 1", "reserved"});
  bad([](Desc& d) { d.force_last = 4; }, kUnsupported, {"force_last is 4"});
  bad([](Desc& d) { d.select_block = 64; }, kUnsupported, {"select_block is 64"});
  bad([](Desc& d) { d.shard_rank = 1; }, kUnsupported, {"shard_rank is 1"});
  bad([](Desc& d) { d.shard_ranks = 2; }, kUnsupported, {"shard_ranks is 2"});
  bad([](Desc& d) { d.shard_interleave = 8; }, kUnsupported, {"shard_interleave is 8"});
  bad([](Desc& d) { d.candidates = d.indices; }, kUnsupported, {"candidates"});
  bad([](Desc& d) { d.candidate_blocks = d.indices; }, kUnsupported, {"candidate_blocks"});
  bad(
      [](Desc& d) {
        d.indices = d.slots = d.values = d.counts = d.cut_score = d.cut_index = dsa_tensor{};
      },
      kInvalid, {"no output"});
  bad([](Desc& d) { d.values.dtype = DSA_BF16; }, kInvalid, {"values", "bf16"});
  bad([](Desc& d) { d.indices.dtype = DSA_F32; }, kInvalid, {"indices", "f32"});
  bad([](Desc& d) { d.counts.shape[0] = 3; }, kInvalid, {"counts", "3", "4"});
  bad([](Desc& d) { d.hint_bound = dsa_tensor_1d(d.slot_table.data, DSA_F32, 5); }, kInvalid,
      {"hint_bound", "5", "4"});
  expect_error(
      make, [](Desc& d) { d.cut_index.data = d.counts.data; }, kInvalid, {"overlap"}, true);
}

TEST(BadSelect, Selection) {
  expect_select_errors<dsa_topk_desc>(topk, "topk");
  expect_select_errors<dsa_indexer_topk_desc>(fused, "indexer_topk");
}

// Rows, requests and visibility.
TEST(BadSelect, Rows) {
  using D = dsa_topk_desc;
  const auto bad = [&](auto&& change, std::initializer_list<const char*> needles) {
    expect_error(
        topk, [&](D& d) { change(d); }, kInvalid, needles);
  };
  static int32_t lengths[8];
  bad([](D& d) { d.batch = -1; }, {"topk.batch is -1"});
  bad([](D& d) { d.batch = 3; }, {"3"});
  bad(
      [](D& d) {
        d.batch = 3;
        d.slots = d.slot_table = dsa_tensor{};
      },
      {"4 query rows", "3"});
  bad([](D& d) { d.seq_lens = dsa_tensor_1d(lengths, DSA_I32, 2); }, {"row_end", "seq_lens"});
  bad([](D& d) { d.flags |= DSA_CAUSAL; }, {"row_end", "DSA_CAUSAL"});
  bad(
      [](D& d) {
        d.row_begin = d.row_end;
        d.row_end = dsa_tensor{};
      },
      {"row_begin", "row_end"});
  bad([](D& d) { d.ratio = -1; }, {"ratio is -1"});
  bad([](D& d) { d.ratio = 4; }, {"ratio is 4"});
  bad([](D& d) { d.next_n = -1; }, {"next_n is -1"});
  bad([](D& d) { d.next_n = 2; }, {"next_n is 2"});
  bad([](D& d) { d.offset = 1; }, {"offset is 1"});
  bad([](D& d) { d.max_keys = -5; }, {"max_keys is -5"});
  bad(
      [](D& d) {
        d.row_end = dsa_tensor{};
        d.next_n = 3;
        d.seq_lens = dsa_tensor_1d(lengths, DSA_I32, 2);
      },
      {"next_n is 3", "4"});
  bad(
      [](D& d) {
        d.row_end = dsa_tensor{};
        d.seq_lens = dsa_tensor_1d(lengths, DSA_I32, 4);
      },
      {"seq_lens.shape[0] is 4", "2"});
  bad(
      [](D& d) {
        d.row_end = dsa_tensor{};
        d.flags |= DSA_CAUSAL;
        d.row_request = dsa_tensor_1d(lengths, DSA_I32, 4);
      },
      {"DSA_CAUSAL", "row_request"});
  bad([](D& d) { d.row_request = dsa_tensor_1d(lengths, DSA_I32, 5); },
      {"row_request.shape[0] is 5", "4"});
  bad([](D& d) { d.mask.shape[0] = 2; }, {"mask", "2", "4"});
  bad([](D& d) { d.mask.dtype = DSA_I32; }, {"mask", "i32"});
  bad([](D& d) { d.page_size = -2; }, {"page_size is -2"});
  bad([](D& d) { d.scores.dtype = DSA_F8_E4M3FN; }, {"scores", "e4m3fn"});
}

TEST(BadSelect, IndexInputs) {
  using D = dsa_indexer_desc;
  const auto bad = [&](auto&& change, dsa_status status,
                       std::initializer_list<const char*> needles) {
    expect_error(
        indexer, [&](D& d) { change(d); }, status, needles);
  };
  bad([](D& d) { d.key_layout = 3; }, kInvalid, {"layout", "3"});
  bad([](D& d) { d.key_layout = -1; }, kInvalid, {"layout", "-1"});
  bad([](D& d) { d.key_layout = DSA_LAYOUT_ROWS; }, kInvalid, {"indexer."});
  bad([](D& d) { d.key_layout = DSA_LAYOUT_BATCH; }, kInvalid, {"indexer."});
  bad([](D& d) { d.key_format = DSA_FORMAT_KV_FP8_656; }, kInvalid, {"key_format is 2"});
  bad([](D& d) { d.key_format = DSA_FORMAT_KV_FP8_528; }, kUnsupported, {"key_format is 4"});
  bad([](D& d) { d.key_format = 9; }, kInvalid, {"key_format is 9"});
  bad([](D& d) { d.key_format = DSA_FORMAT_KEY_PAGE_132; }, kInvalid, {"k_scale"});
  bad(
      [](D& d) {
        d.key_format = DSA_FORMAT_KEY_PAGE_132;
        d.k_scale = dsa_tensor{};
      },
      kInvalid, {"indexer.keys"});
  bad([](D& d) { d.page_size = 5; }, kInvalid, {"page_size is 5", "4"});
  bad([](D& d) { d.page_size = -1; }, kInvalid, {"page_size is -1"});
  bad([](D& d) { d.block_table = dsa_tensor{}; }, kInvalid, {"block_table"});
  bad([](D& d) { d.block_table.shape[0] = 3; }, kInvalid, {"block_table.shape[0] is 3", "2"});
  bad([](D& d) { d.q.shape[2] = 15; }, kInvalid, {"16", "15"});
  bad([](D& d) { d.q.shape[1] = 0; }, kInvalid, {"q.shape[1] is 0"});
  bad([](D& d) { d.q.shape[2] = 0; }, kInvalid, {"q.shape[2]", "0"});
  bad([](D& d) { d.w.shape[1] = 7; }, kInvalid, {"w.shape[1] is 7", "8"});
  bad([](D& d) { d.w.dtype = DSA_F8_E4M3FN; }, kInvalid, {"w", "e4m3fn"});
  bad([](D& d) { d.q_scale.shape[1] = 7; }, kInvalid, {"q_scale.shape[1] is 7", "8"});
  bad([](D& d) { d.q_scale = dsa_tensor_1d(d.w.data, DSA_F32, 2); }, kInvalid,
      {"q_scale.shape[0] is 2"});
  bad([](D& d) { d.k_scale.shape[0] = 5; }, kInvalid, {"k_scale.shape[0] is 5", "6"});
  bad([](D& d) { d.k_scale.dtype = DSA_BF16; }, kInvalid, {"k_scale", "bf16"});
  bad([](D& d) { d.scores.dtype = DSA_F16; }, kInvalid, {"scores", "f16"});
  bad([](D& d) { d.scores.shape[0] = 3; }, kInvalid, {"scores", "3", "4"});
  bad([](D& d) { d.scores = dsa_tensor{}; }, kInvalid, {"scores"});
  bad([](D& d) { d.q = dsa_tensor{}; }, kInvalid, {"indexer.q"});
  bad([](D& d) { d.keys = dsa_tensor{}; }, kInvalid, {"indexer.keys"});
  bad([](D& d) { d.shard_ranks = 2; }, kUnsupported, {"shard_ranks is 2"});
  expect_error(
      indexer, [](D& d) { d.scores.data = d.q.data; }, kInvalid, {"overlap"}, true);
}

// A packed page: room, alignment, adjacency.
TEST(BadSelect, PackedPages) {
  using D = dsa_indexer_desc;
  const auto packed = [] {
    auto c = indexer();
    c->d.key_format = DSA_FORMAT_KEY_PAGE_132;
    c->d.page_size = 4;
    c->d.k_scale = dsa_tensor{};
    c->d.keys = dsa_tensor_2d(c->memory.take(), DSA_U8, 6, 4 * 20);
    return c;
  };
  const support::Context ctx = support::make_context();
  EXPECT_EQ(support::run(ctx.get(), packed()->d), DSA_OK) << dsa_last_error();
  const auto bad = [&](auto&& change, std::initializer_list<const char*> needles) {
    expect_error(
        packed, [&](D& d) { change(d); }, kInvalid, needles);
  };
  bad([](D& d) { d.page_size = 0; }, {"page_size"});
  bad([](D& d) { d.page_size = 5; }, {"80", "100"});
  bad([](D& d) { d.keys.shape[1] = 79; }, {"79", "80"});
  bad([](D& d) { d.keys.stride[0] = 82; }, {"multiples of 4"});
  bad([](D& d) { d.keys.stride[1] = 2; }, {"stride[1] is 2"});
  bad([](D& d) { d.keys.dtype = DSA_F8_E4M3FN; }, {"keys", "e4m3fn"});
  bad([](D& d) { d.key_layout = DSA_LAYOUT_ROWS; }, {"indexer."});
}

}  // namespace

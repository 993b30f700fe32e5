// What all operations share in refusing: dsa_topk's fields, exec, contexts, questions.
#include <cmath>
#include <cstdlib>

#include "support/mistakes.h"

using namespace support;

namespace {

constexpr int64_t kRows = 4, kBatch = 2, kColumns = 9;
using TopkField = Field<dsa_topk_desc>;
using TopkMistake = Mistake<dsa_topk_desc>;

// All fields that go together: keys by range, slots through the pages' own table.
std::unique_ptr<TopkCase> topk_case() {
  auto c = std::make_unique<TopkCase>(7, 0.0);
  Arena& arena = c->arena;
  dsa_topk_desc& d = c->d = dsa_topk_desc_init();
  d.k = 3;
  d.page_size = 4;
  d.scores = zeros(arena, DSA_F32, {kRows, kColumns});
  d.block_table = zeros(arena, DSA_I32, {kBatch, 3});
  d.row_request = zeros(arena, DSA_I32, {kRows});
  d.row_begin = zeros(arena, DSA_I32, {kRows});
  d.row_end = zeros(arena, DSA_I32, {kRows});
  d.mask = zeros(arena, DSA_U8, {kRows, kColumns});
  d.index_base = zeros(arena, DSA_I32, {kRows});
  d.hint_indices = zeros(arena, DSA_I32, {kRows, 2});
  d.hint_bound = zeros(arena, DSA_F32, {kRows});
  d.indices = arena.output(DSA_I32, {kRows, 3});
  d.slots = arena.output(DSA_I32, {kRows, 3});
  d.values = arena.output(DSA_F32, {kRows, 4});
  d.counts = arena.output(DSA_I32, {kRows});
  d.cut_score = arena.output(DSA_F32, {kRows});
  d.cut_index = arena.output(DSA_I32, {kRows});
  return c;
}

// Visibility by lengths, slots through a table of their own.
std::unique_ptr<TopkCase> topk_by_lengths() {
  auto c = topk_case();
  dsa_topk_desc& d = c->d;
  d.row_request = d.row_begin = d.row_end = d.block_table = dsa_tensor{};
  d.seq_lens = zeros(c->arena, DSA_I32, {kBatch});
  d.slot_table = zeros(c->arena, DSA_I32, {kBatch, 3});
  return c;
}

Context context() { return make_context(); }

}  // namespace

TEST(BadInput, TopkTensors) {
  const Context ctx = context();
  expect_tensor_mistakes<dsa_topk_desc>(
      ctx.get(), topk_case, "topk",
      {{"scores", &dsa_topk_desc::scores, TopkField::kFirst},
       {"block_table", &dsa_topk_desc::block_table, TopkField::kOther},
       {"row_request", &dsa_topk_desc::row_request, TopkField::kRows},
       {"row_begin", &dsa_topk_desc::row_begin, TopkField::kRows},
       {"row_end", &dsa_topk_desc::row_end, TopkField::kRows},
       {"mask", &dsa_topk_desc::mask, TopkField::kRows},
       {"index_base", &dsa_topk_desc::index_base, TopkField::kRows},
       {"hint_indices", &dsa_topk_desc::hint_indices, TopkField::kRows},
       {"hint_bound", &dsa_topk_desc::hint_bound, TopkField::kRows},
       {"indices", &dsa_topk_desc::indices, TopkField::kOutput},
       {"slots", &dsa_topk_desc::slots, TopkField::kOutput},
       {"values", &dsa_topk_desc::values, TopkField::kOutput},
       {"counts", &dsa_topk_desc::counts, TopkField::kOutput},
       {"cut_score", &dsa_topk_desc::cut_score, TopkField::kOutput},
       {"cut_index", &dsa_topk_desc::cut_index, TopkField::kOutput}});
  expect_tensor_mistakes<dsa_topk_desc>(
      ctx.get(), topk_by_lengths, "topk",
      {{"seq_lens", &dsa_topk_desc::seq_lens, TopkField::kOther},
       {"slot_table", &dsa_topk_desc::slot_table, TopkField::kOther}});
}

TEST(BadInput, TopkFields) {
  const Context ctx = context();
  using D = dsa_topk_desc;
  expect_header_mistakes<D>(ctx.get(), topk_case, "topk",
                            DSA_CAUSAL | DSA_COLUMNS_FROM_BEGIN | DSA_SELECT_NEG_INF);
  const auto field = [](int32_t D::*member, int32_t value) {
    return [=](D& d) { d.*member = value; };
  };
  std::vector<TopkMistake> list = {
      {field(&D::k, 0), DSA_ERROR_INVALID, {"topk.k is 0", "DSA_SELECTION_ALL"}},
      {field(&D::k, -5), DSA_ERROR_INVALID, {"topk.k is -5"}},
      {field(&D::k, 4), DSA_ERROR_INVALID, {"topk.indices.shape[1] is 3, k is 4"}},
      {field(&D::order, 3), DSA_ERROR_INVALID, {"topk.order is 3"}},
      {field(&D::order, -1), DSA_ERROR_INVALID, {"topk.order is -1"}},
      {field(&D::ties, 2), DSA_ERROR_INVALID, {"topk.ties is 2"}},
      {field(&D::ties, 1), DSA_ERROR_INVALID, {"cut_score", "DSA_TIES_ANY"}},
      {field(&D::ratio, -1), DSA_ERROR_INVALID, {"topk.ratio is -1"}},
      {field(&D::ratio, 2), DSA_ERROR_INVALID, {"topk.ratio is 2", "seq_lens", "DSA_CAUSAL"}},
      {field(&D::next_n, -1), DSA_ERROR_INVALID, {"topk.next_n is -1"}},
      {field(&D::next_n, 2), DSA_ERROR_INVALID, {"topk.next_n is 2", "seq_lens"}},
      {field(&D::page_size, -4), DSA_ERROR_INVALID, {"topk.page_size is -4"}},
      {field(&D::page_size, 0), DSA_ERROR_INVALID, {"topk.slot_page_size is 0"}},
      {field(&D::slot_page_size, -1), DSA_ERROR_INVALID, {"topk.slot_page_size is -1"}},
      {field(&D::slot_page_size, 5), DSA_ERROR_INVALID, {"topk.slot_page_size is 5", "4"}},
      {field(&D::slot_page_stride, -1), DSA_ERROR_INVALID, {"topk.slot_page_stride is -1"}},
      {field(&D::slot_page_stride, 3), DSA_ERROR_INVALID, {"topk.slot_page_stride is 3", "4"}},
      {field(&D::force_first, 1), DSA_ERROR_UNSUPPORTED, {"topk.force_first is 1", "reserved"}},
      {field(&D::force_last, 1), DSA_ERROR_UNSUPPORTED, {"topk.force_last is 1", "reserved"}},
      {field(&D::select_block, 4), DSA_ERROR_UNSUPPORTED, {"topk.select_block is 4", "reserved"}},
      {field(&D::shard_rank, 1), DSA_ERROR_UNSUPPORTED, {"topk.shard_rank is 1", "reserved"}},
      {field(&D::shard_ranks, 2), DSA_ERROR_UNSUPPORTED, {"topk.shard_ranks is 2", "reserved"}},
      {field(&D::shard_interleave, 2), DSA_ERROR_UNSUPPORTED, {"topk.shard_interleave is 2"}},
      {[](D& d) { d.candidates = d.hint_indices; }, DSA_ERROR_UNSUPPORTED, {"topk.candidates"}},
      {[](D& d) { d.candidate_blocks = d.hint_indices; },
       DSA_ERROR_UNSUPPORTED,
       {"topk.candidate_blocks"}},
      {[](D& d) { d.batch = -1; }, DSA_ERROR_INVALID, {"topk.batch is -1"}},
      {[](D& d) { d.batch = 3; },
       DSA_ERROR_INVALID,
       {"topk.block_table.shape[0] is 2", "topk.batch is 3"}},
      {[](D& d) { d.max_keys = -1; }, DSA_ERROR_INVALID, {"topk.max_keys is -1"}},
      {[](D& d) { d.offset = 1; }, DSA_ERROR_INVALID, {"topk.offset is 1", "DSA_CAUSAL"}},
      {[](D& d) { d.flags |= DSA_CAUSAL; }, DSA_ERROR_INVALID, {"row_end", "DSA_CAUSAL"}},
      {[](D& d) { d.row_end = {}; }, DSA_ERROR_INVALID, {"topk.row_begin", "row_end"}},
      {[](D& d) { d.row_begin = d.row_end = {}, d.flags |= DSA_CAUSAL; },
       DSA_ERROR_INVALID,
       {"DSA_CAUSAL", "row_request"}},
      {[](D& d) { d.block_table = {}; }, DSA_ERROR_INVALID, {"topk.slots", "block_table"}},
      {[](D& d) { d.scores = {}; }, DSA_ERROR_INVALID, {"topk.scores.ndim is 0"}},
      {[](D& d) { d.values.dtype = DSA_BF16; }, DSA_ERROR_INVALID, {"topk.values.dtype is 3"}},
      {[](D& d) { d.indices.dtype = DSA_F32; }, DSA_ERROR_INVALID, {"topk.indices.dtype is 1"}},
      {[](D& d) { d.scores.dtype = DSA_F8_E4M3FN; }, DSA_ERROR_INVALID, {"topk.scores.dtype is 4"}},
      {[](D& d) { d.indices = d.slots = d.values = d.counts = d.cut_score = d.cut_index = {}; },
       DSA_ERROR_INVALID,
       {"no output", "indices", "slots", "values", "counts", "cut_score", "cut_index"}},
      {[](D& d) { d.batch = 3, d.row_request = d.block_table = d.slots = {}; },
       DSA_ERROR_INVALID,
       {"4 query rows", "batch 3", "row_request"}},
  };
  expect_mistakes<D>(ctx.get(), topk_case, list);
  list = {
      {field(&D::next_n, 3), DSA_ERROR_INVALID, {"topk.next_n is 3", "batch 2", "4 query rows"}},
      {[](D& d) { d.row_end = d.index_base; }, DSA_ERROR_INVALID, {"2 ways", "row_end, seq_lens"}},
      {[](D& d) { d.flags |= DSA_CAUSAL; }, DSA_ERROR_INVALID, {"seq_lens", "DSA_CAUSAL"}},
      {[](D& d) { d.row_request = d.index_base; }, DSA_ERROR_INVALID, {"next_n is 0"}},
      {[](D& d) { d.batch = 4; }, DSA_ERROR_INVALID, {"topk.batch is 4", "shape[0] is 2"}},
  };
  expect_mistakes<D>(ctx.get(), topk_by_lengths, list);
  // An output in the place of an input or of another output.
  for (dsa_tensor D::*in : {&D::index_base, &D::hint_bound, &D::cut_index}) {
    expect_mistake<D>(ctx.get(), topk_case,
                      {[=](D& d) { d.counts.data = (d.*in).data; },
                       DSA_ERROR_INVALID,
                       {"topk.counts", "overlap"}},
                      true);
  }
}

TEST(BadInput, NullsAndKinds) {
  const Context ctx = context();
  const auto c = topk_case();
  uint64_t bytes = 5;
  dsa_plan* plan = nullptr;
  EXPECT_EQ(dsa_topk(nullptr, &c->d, nullptr), DSA_ERROR_INVALID);
  EXPECT_TRUE(all_in(dsa_last_error(), {"topk", "ctx is NULL"})) << dsa_last_error();
  EXPECT_EQ(dsa_topk(ctx.get(), nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_TRUE(all_in(dsa_last_error(), {"topk", "NULL"})) << dsa_last_error();
  EXPECT_EQ(dsa_indexer(nullptr, nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_indexer_topk(nullptr, nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_sparse_attn(nullptr, nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_merge_lse(nullptr, nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_forward(nullptr, nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_indexer(ctx.get(), nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_indexer_topk(ctx.get(), nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_sparse_attn(ctx.get(), nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_merge_lse(ctx.get(), nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_forward(ctx.get(), nullptr, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_supports(nullptr, &c->d), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_supports(ctx.get(), nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_workspace_size(nullptr, &c->d, &bytes), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_workspace_size(ctx.get(), nullptr, &bytes), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_workspace_size(ctx.get(), &c->d, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_plan_create(nullptr, &c->d, &plan), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_plan_create(ctx.get(), nullptr, &plan), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_plan_create(ctx.get(), &c->d, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(bytes, 5u);
  EXPECT_EQ(plan, nullptr);
  dsa_plan_destroy(nullptr);
  dsa_ctx_destroy(nullptr);
  for (const uint32_t kind : {0u, 7u, UINT32_MAX}) {
    c->d.kind = kind;
    EXPECT_EQ(dsa_supports(ctx.get(), &c->d), DSA_ERROR_INVALID);
    EXPECT_TRUE(all_in(dsa_last_error(), {"kind is " + std::to_string(kind)})) << dsa_last_error();
  }
  EXPECT_STREQ(dsa_status_name(DSA_ERROR_WORKSPACE), "DSA_ERROR_WORKSPACE");
  EXPECT_STREQ(dsa_status_name(-100), "unknown status");
  EXPECT_STREQ(dsa_status_name(1), "unknown status");
}

TEST(BadInput, Exec) {
  const Context ctx = context();
  const auto expect = [&](dsa_status status, std::vector<std::string> text, auto change) {
    const auto c = topk_case();
    dsa_exec exec{};
    exec.struct_size = sizeof exec;
    change(exec);
    EXPECT_STREQ(dsa_status_name(run(ctx.get(), c->d, &exec)), dsa_status_name(status));
    if (status == DSA_OK) return;
    EXPECT_TRUE(all_in(dsa_last_error(), text)) << dsa_last_error();
    for (const unsigned char byte : c->arena.output_bytes()) ASSERT_EQ(byte, Arena::kUntouched);
  };
  uint64_t needed = 0;
  const auto c = topk_case();
  ASSERT_EQ(dsa_workspace_size(ctx.get(), &c->d, &needed), DSA_OK);
  std::vector<unsigned char> memory(needed + 1024);
  unsigned char* const aligned =
      memory.data() + (256 - reinterpret_cast<uintptr_t>(memory.data()) % 256) % 256;
  expect(DSA_OK, {}, [](dsa_exec&) {});
  expect(DSA_OK, {}, [&](dsa_exec& e) { e.workspace = aligned, e.workspace_size = needed; });
  expect(DSA_OK, {}, [&](dsa_exec& e) { e.workspace = aligned, e.workspace_size = needed + 512; });
  if (needed > 0) {
    expect(DSA_ERROR_WORKSPACE,
           {"workspace_size", std::to_string(needed - 1), std::to_string(needed)},
           [&](dsa_exec& e) { e.workspace = aligned, e.workspace_size = needed - 1; });
    expect(DSA_ERROR_WORKSPACE, {"workspace_size is 0"},
           [&](dsa_exec& e) { e.workspace = aligned; });
  }
  for (const int off : {1, 4, 64, 128}) {
    expect(DSA_ERROR_WORKSPACE, {"exec.workspace", "256"},
           [&](dsa_exec& e) { e.workspace = aligned + off, e.workspace_size = needed + 256; });
  }
  expect(DSA_ERROR_WORKSPACE, {"workspace is NULL", "4096"},
         [](dsa_exec& e) { e.workspace_size = 4096; });
  expect(DSA_ERROR_STRUCT_SIZE, {"exec.struct_size is 0"}, [](dsa_exec& e) { e.struct_size = 0; });
  expect(DSA_ERROR_INVALID, {"exec.flags is 0x1"}, [](dsa_exec& e) { e.flags = 1; });
  int stream = 0;
  expect(DSA_ERROR_INVALID, {"exec.stream"}, [&](dsa_exec& e) { e.stream = &stream; });

  dsa_plan* plan = nullptr;
  ASSERT_EQ(dsa_plan_create(ctx.get(), &c->d, &plan), DSA_OK);
  expect(DSA_OK, {}, [&](dsa_exec& e) { e.plan = plan; });
  EXPECT_TRUE(all_in(dsa_plan_kernel(plan), {"cpu.topk."})) << dsa_plan_kernel(plan);
  EXPECT_EQ(dsa_plan_refused(plan, -1), nullptr);
  EXPECT_EQ(dsa_plan_refused(plan, 1000), nullptr);
  const Context other = context();
  dsa_exec exec{};
  exec.struct_size = sizeof exec;
  exec.plan = plan;
  EXPECT_EQ(run(other.get(), c->d, &exec), DSA_ERROR_INVALID);
  EXPECT_TRUE(all_in(dsa_last_error(), {"exec.plan", "context"})) << dsa_last_error();
  float lse[2] = {0, 0}, merged[1];
  dsa_merge_lse_desc merge = dsa_merge_lse_desc_init();
  merge.partial_lse = dsa_tensor_3d(lse, DSA_F32, 2, 1, 1);
  merge.lse = dsa_tensor_2d(merged, DSA_F32, 1, 1);
  EXPECT_EQ(run(ctx.get(), merge, nullptr), DSA_OK) << dsa_last_error();
  EXPECT_EQ(run(ctx.get(), merge, &exec), DSA_ERROR_INVALID);
  EXPECT_TRUE(all_in(dsa_last_error(), {"exec.plan", "operation"})) << dsa_last_error();
  dsa_plan_destroy(plan);
}

TEST(BadInput, Contexts) {
  const auto expect = [](dsa_status status, std::vector<std::string> text, auto change) {
    dsa_ctx_options options{};
    options.struct_size = sizeof options;
    change(options);
    dsa_ctx* ctx = nullptr;
    EXPECT_STREQ(dsa_status_name(dsa_ctx_create(&options, &ctx)), dsa_status_name(status));
    if (status != DSA_OK) {
      EXPECT_EQ(ctx, nullptr);
      EXPECT_TRUE(all_in(dsa_last_error(), text)) << dsa_last_error();
    }
    dsa_ctx_destroy(ctx);
  };
  using O = dsa_ctx_options;
  const uint64_t words[1] = {1};
  EXPECT_EQ(dsa_ctx_create(nullptr, nullptr), DSA_ERROR_INVALID);
  expect(DSA_OK, {}, [](O&) {});
  expect(DSA_ERROR_STRUCT_SIZE, {"ctx_options.struct_size is 3"}, [](O& o) { o.struct_size = 3; });
  // The size of a program that does not know the fields that came later: they are zero.
  expect(DSA_OK, {}, [](O& o) {
    o.struct_size = offsetof(O, pinned_bytes);
    std::memset(&o.pinned_bytes, 0xff, sizeof(O) - offsetof(O, pinned_bytes));
  });
  expect(DSA_ERROR_INVALID, {"ctx_options.flags is 0x4"}, [](O& o) { o.flags = 4; });
  expect(DSA_ERROR_INVALID, {"ctx_options.device is 9"}, [](O& o) { o.device = 9; });
  expect(DSA_ERROR_NO_BACKEND, {"no CUDA module", "/nowhere/libdsa-cuda.so: no such file"},
         [](O& o) {
           o.device = DSA_DEVICE_CUDA;
           o.module_path = "/nowhere/libdsa-cuda.so";
         });
  expect(DSA_ERROR_INVALID, {"ctx_options.device_id is -1"}, [](O& o) {
    o.device = DSA_DEVICE_CUDA;
    o.device_id = -1;
  });
  expect(DSA_ERROR_INVALID, {"ctx_options.num_threads is -1"}, [](O& o) { o.num_threads = -1; });
  expect(DSA_ERROR_INVALID, {"ctx_options.num_threads is 70000"},
         [](O& o) { o.num_threads = 70000; });
  expect(DSA_ERROR_INVALID, {"ctx_options.numa_node is -2"}, [](O& o) { o.numa_node = -2; });
  expect(DSA_ERROR_INVALID, {"cpu_mask"}, [&](O& o) { o.cpu_mask = words; });
  expect(DSA_ERROR_INVALID, {"cpu_mask"}, [](O& o) { o.cpu_mask_words = 1; });
  expect(DSA_ERROR_INVALID, {"allocate", "release"},
         [](O& o) { o.allocate = [](void*, uint64_t, uint64_t) -> void* { return nullptr; }; });
  for (const auto& [name, value] :
       {std::pair{"DSA_CPU_ISA", "sse9"}, std::pair{"DSA_NUM_THREADS", "many"},
        std::pair{"DSA_NUM_THREADS", "0"}, std::pair{"DSA_NUM_THREADS", "12x"}}) {
    setenv(name, value, 1);
    expect(DSA_ERROR_INVALID, {name, value}, [](O&) {});
    unsetenv(name);
  }
  // No kernel left: the answer names what was refused and why.
  const Context none = make_context("cpu.nothing.*");
  ASSERT_TRUE(none);
  EXPECT_EQ(run(none.get(), topk_case()->d), DSA_ERROR_UNSUPPORTED);
  EXPECT_TRUE(all_in(dsa_last_error(), {"cpu.topk.", "DSA_KERNEL"})) << dsa_last_error();
}

// An allocator that has nothing to give: the call says so and writes nothing.
TEST(BadInput, OutOfMemory) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.allocate = [](void*, uint64_t, uint64_t) -> void* { return nullptr; };
  options.release = [](void*, void*, uint64_t) {};
  dsa_ctx* raw = nullptr;
  ASSERT_EQ(dsa_ctx_create(&options, &raw), DSA_OK) << dsa_last_error();
  const Context ctx(raw);
  const auto c = topk_case();
  uint64_t needed = 0;
  ASSERT_EQ(dsa_workspace_size(raw, &c->d, &needed), DSA_OK);
  ASSERT_GT(needed, 0u);
  EXPECT_EQ(run(raw, c->d), DSA_ERROR_NO_MEMORY);
  for (const unsigned char byte : c->arena.output_bytes()) ASSERT_EQ(byte, Arena::kUntouched);
}

TEST(BadInput, KernelListAndDescription) {
  const Context ctx = context();
  dsa_kernel_info info{};
  EXPECT_EQ(dsa_kernel_get(ctx.get(), 0, nullptr), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_kernel_get(ctx.get(), 0, &info), DSA_ERROR_STRUCT_SIZE);
  info.struct_size = sizeof info;
  EXPECT_EQ(dsa_kernel_get(nullptr, 0, &info), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_kernel_get(ctx.get(), -1, &info), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_kernel_get(ctx.get(), 100000, &info), DSA_ERROR_INVALID);
  EXPECT_TRUE(all_in(dsa_last_error(), {"100000"})) << dsa_last_error();

  uint64_t needed = 0;
  EXPECT_EQ(dsa_ctx_describe(nullptr, nullptr, 0, &needed), DSA_ERROR_INVALID);
  EXPECT_EQ(dsa_ctx_describe(ctx.get(), nullptr, 8, &needed), DSA_ERROR_INVALID);
  ASSERT_EQ(dsa_ctx_describe(ctx.get(), nullptr, 0, &needed), DSA_OK);
  std::string all(needed, 'x');
  ASSERT_EQ(dsa_ctx_describe(ctx.get(), all.data(), needed, nullptr), DSA_OK);
  ASSERT_EQ(all.back(), '\0');
  for (const uint64_t capacity : {uint64_t{1}, uint64_t{20}, needed - 1}) {
    std::string part(capacity + 8, 'x');
    ASSERT_EQ(dsa_ctx_describe(ctx.get(), part.data(), capacity, nullptr), DSA_OK);
    EXPECT_EQ(part.compare(0, capacity - 1, all, 0, capacity - 1), 0);
    EXPECT_EQ(part[capacity - 1], '\0');
    EXPECT_EQ(part.substr(capacity), std::string(8, 'x'));
  }
}

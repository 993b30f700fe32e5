// Wrong fields of dsa_sparse_attn and dsa_merge_lse, wrong exec, context, plan and query calls.
#include <cmath>
#include <cstdint>

#include "ops/bad_input.h"

using namespace bad_input;

namespace {

using AttnCall = Call<dsa_sparse_attn_desc>;
using MergeCall = Call<dsa_merge_lse_desc>;
constexpr dsa_status kInvalid = DSA_ERROR_INVALID;
constexpr dsa_status kUnsupported = DSA_ERROR_UNSUPPORTED;

std::unique_ptr<AttnCall> attention() {
  auto c = std::make_unique<AttnCall>();
  dsa_sparse_attn_desc& d = c->d;
  d = dsa_sparse_attn_desc_init();
  d.batch = 2;
  d.k = 5;
  d.scale = 0.1f;
  d.q = dsa_tensor_3d(c->memory.take(1), DSA_F32, 4, 8, 16);
  d.q2 = dsa_tensor_3d(c->memory.take(1), DSA_F32, 4, 8, 4);
  d.kv = dsa_tensor_3d(c->memory.take(1), DSA_F32, 12, 2, 16);
  d.kv2 = dsa_tensor_3d(c->memory.take(1), DSA_F32, 12, 2, 4);
  d.v = dsa_tensor_3d(c->memory.take(1), DSA_F32, 12, 2, 16);
  d.kv_scale = dsa_tensor_2d(c->memory.take(1), DSA_F32, 12, 4);
  d.v_scale = dsa_tensor_1d(c->memory.take(1), DSA_F32, 12);
  d.q_scale = dsa_tensor_2d(c->memory.take(1), DSA_F32, 4, 8);
  d.indices = dsa_tensor_2d(c->memory.take(), DSA_I32, 4, 6);
  d.counts = dsa_tensor_1d(c->memory.take(), DSA_I32, 4);
  d.sink = dsa_tensor_1d(c->memory.take(), DSA_F32, 8);
  d.out = dsa_tensor_3d(c->memory.take(), DSA_F32, 4, 8, 16);
  d.lse = dsa_tensor_2d(c->memory.take(), DSA_F32, 4, 8);
  d.max = dsa_tensor_2d(c->memory.take(), DSA_F32, 4, 8);
  for (dsa_tensor* t : {&d.out, &d.lse, &d.max}) c->is_output(*t);
  return c;
}

// A second scope of pages.
std::unique_ptr<AttnCall> two_scopes() {
  auto c = attention();
  dsa_sparse_attn_desc& d = c->d;
  d.key_layout_b = DSA_LAYOUT_PAGES;
  d.kv_b = dsa_tensor_3d(c->memory.take(1), DSA_F32, 5, 3, 16);
  d.kv2_b = dsa_tensor_3d(c->memory.take(1), DSA_F32, 5, 3, 4);
  d.block_table_b = dsa_tensor_2d(c->memory.take(), DSA_I32, 2, 4);
  d.selection_b = DSA_SELECTION_ALL;
  d.row_end_b = dsa_tensor_1d(c->memory.take(), DSA_I32, 4);
  d.row_begin_b = dsa_tensor_1d(c->memory.take(), DSA_I32, 4);
  return c;
}

std::unique_ptr<AttnCall> packed() {
  auto c = std::make_unique<AttnCall>();
  dsa_sparse_attn_desc& d = c->d;
  d = dsa_sparse_attn_desc_init();
  d.k = 5;
  d.scale = 0.1f;
  d.key_format = DSA_FORMAT_KV_FP8_656;
  d.q = dsa_tensor_3d(c->memory.take(1), DSA_F32, 1, 4, 576);
  d.kv = dsa_tensor_2d(c->memory.take(), DSA_U8, 12, 656);
  d.indices = dsa_tensor_2d(c->memory.take(), DSA_I32, 1, 5);
  d.out = dsa_tensor_3d(c->memory.take(), DSA_F32, 1, 4, 512);
  c->is_output(d.out);
  return c;
}

std::unique_ptr<MergeCall> merge() {
  auto c = std::make_unique<MergeCall>();
  dsa_merge_lse_desc& d = c->d;
  d = dsa_merge_lse_desc_init();
  d.partial_out = dsa_tensor_4d(c->memory.take(1), DSA_F32, 3, 4, 8, 16);
  d.partial_lse = dsa_tensor_3d(c->memory.take(1), DSA_F32, 3, 4, 8);
  d.partial_max = dsa_tensor_3d(c->memory.take(1), DSA_F32, 3, 4, 8);
  d.sink = dsa_tensor_1d(c->memory.take(), DSA_F32, 8);
  d.out = dsa_tensor_3d(c->memory.take(), DSA_F32, 4, 8, 16);
  d.lse = dsa_tensor_2d(c->memory.take(), DSA_F32, 4, 8);
  d.max = dsa_tensor_2d(c->memory.take(), DSA_F32, 4, 8);
  for (dsa_tensor* t : {&d.out, &d.lse, &d.max}) c->is_output(*t);
  return c;
}

TEST(BadAttention, RightCallsRun) {
  const support::Context ctx = support::make_context();
  EXPECT_EQ(support::run(ctx.get(), attention()->d), DSA_OK) << dsa_last_error();
  EXPECT_EQ(support::run(ctx.get(), two_scopes()->d), DSA_OK) << dsa_last_error();
  EXPECT_EQ(support::run(ctx.get(), packed()->d), DSA_OK) << dsa_last_error();
  EXPECT_EQ(support::run(ctx.get(), merge()->d), DSA_OK) << dsa_last_error();
}

TEST(BadAttention, Headers) {
  expect_header_errors(attention, "sparse_attn", DSA_NO_RELU);
  expect_header_errors(merge, "merge_lse", DSA_CAUSAL);
  expect_larger_structs(attention);
  expect_larger_structs(merge);
}

#define MEMBER(field) [](auto& d) -> dsa_tensor& { return d.field; }

TEST(BadAttention, AttentionTensors) {
  expect_tensor_errors(two_scopes, MEMBER(q), "sparse_attn.q", false);
  expect_tensor_errors(two_scopes, MEMBER(q2), "sparse_attn.q2", false);
  expect_tensor_errors(two_scopes, MEMBER(kv), "sparse_attn.kv", false);
  expect_tensor_errors(two_scopes, MEMBER(kv2), "sparse_attn.kv2", false);
  expect_tensor_errors(two_scopes, MEMBER(v), "sparse_attn.v", false);
  expect_tensor_errors(two_scopes, MEMBER(kv_scale), "sparse_attn.kv_scale", false);
  expect_tensor_errors(two_scopes, MEMBER(v_scale), "sparse_attn.v_scale", false);
  expect_tensor_errors(two_scopes, MEMBER(q_scale), "sparse_attn.q_scale", false);
  expect_tensor_errors(two_scopes, MEMBER(indices), "sparse_attn.indices", false);
  expect_tensor_errors(two_scopes, MEMBER(counts), "sparse_attn.counts", false);
  expect_tensor_errors(two_scopes, MEMBER(sink), "sparse_attn.sink", false);
  expect_tensor_errors(two_scopes, MEMBER(kv_b), "sparse_attn.kv_b", false);
  expect_tensor_errors(two_scopes, MEMBER(kv2_b), "sparse_attn.kv2_b", false);
  expect_tensor_errors(two_scopes, MEMBER(block_table_b), "sparse_attn.block_table_b", false);
  expect_tensor_errors(two_scopes, MEMBER(row_end_b), "sparse_attn.row_end_b", false);
  expect_tensor_errors(two_scopes, MEMBER(row_begin_b), "sparse_attn.row_begin_b", false);
  expect_tensor_errors(two_scopes, MEMBER(out), "sparse_attn.out", true);
  expect_tensor_errors(two_scopes, MEMBER(lse), "sparse_attn.lse", true);
  expect_tensor_errors(two_scopes, MEMBER(max), "sparse_attn.max", true);
}

TEST(BadAttention, MergeTensors) {
  expect_tensor_errors(merge, MEMBER(partial_lse), "merge_lse.partial_lse", false);
  expect_tensor_errors(merge, MEMBER(partial_out), "merge_lse.partial_out", false);
  expect_tensor_errors(merge, MEMBER(partial_max), "merge_lse.partial_max", false);
  expect_tensor_errors(merge, MEMBER(sink), "merge_lse.sink", false);
  expect_tensor_errors(merge, MEMBER(out), "merge_lse.out", true);
  expect_tensor_errors(merge, MEMBER(lse), "merge_lse.lse", true);
  expect_tensor_errors(merge, MEMBER(max), "merge_lse.max", true);
}

#undef MEMBER

TEST(BadAttention, Attention) {
  using D = dsa_sparse_attn_desc;
  const auto bad = [&](auto&& change, dsa_status status,
                       std::initializer_list<const char*> needles) {
    expect_error(
        attention, [&](D& d) { change(d); }, status, needles);
  };
  bad([](D& d) { d.scale = 0; }, kInvalid, {"scale is 0"});
  bad([](D& d) { d.scale = NAN; }, kInvalid, {"scale is"});
  bad([](D& d) { d.scale = INFINITY; }, kInvalid, {"scale is inf"});
  bad([](D& d) { d.selection = 4; }, kInvalid, {"selection is 4"});
  bad([](D& d) { d.selection = -1; }, kInvalid, {"selection is -1"});
  bad([](D& d) { d.k = 0; }, kInvalid, {".k is 0", "DSA_SELECTION_ALL"});
  bad([](D& d) { d.k = -1; }, kInvalid, {".k is -1"});
  bad([](D& d) { d.k = 7; }, kInvalid, {"indices.shape[1] is 6", "7"});
  bad([](D& d) { d.indices = dsa_tensor{}; }, kInvalid, {"sparse_attn.indices"});
  bad([](D& d) { d.indices.dtype = DSA_F32; }, kInvalid, {"indices", "f32"});
  bad([](D& d) { d.selection = DSA_SELECTION_ALL; }, kInvalid, {"k is 5", "0"});
  bad(
      [](D& d) {
        d.selection = DSA_SELECTION_ALL;
        d.k = 0;
      },
      kInvalid, {"indices"});
  bad(
      [](D& d) {
        d.selection = DSA_SELECTION_CUT;
        d.indices = d.counts = dsa_tensor{};
      },
      kInvalid, {"scores", "DSA_SELECTION_CUT"});
  bad([](D& d) { d.cut_score = dsa_tensor_1d(d.sink.data, DSA_F32, 4); }, kInvalid, {"cut_score"});
  bad([](D& d) { d.index_block = -1; }, kInvalid, {"index_block is -1"});
  bad(
      [](D& d) {
        d.selection = DSA_SELECTION_SLOTS;
        d.index_block = 4;
      },
      kInvalid, {"index_block is 4"});
  bad(
      [](D& d) {
        d.selection = DSA_SELECTION_SLOTS;
        d.slot_page_size = -1;
      },
      kInvalid, {"slot_page_size"});
  bad(
      [](D& d) {
        d.selection = DSA_SELECTION_SLOTS;
        d.slot_page_size = 4;
        d.slot_page_stride = 3;
      },
      kInvalid, {"slot_page_stride", "3", "4"});
  bad(
      [](D& d) {
        d.selection = DSA_SELECTION_SLOTS;
        d.mask = d.lse;
        d.mask.shape[1] = 8;
      },
      kInvalid, {"mask"});
  bad([](D& d) { d.key_format = DSA_FORMAT_KV_FP8_584; }, kUnsupported, {"key_format is 3"});
  bad([](D& d) { d.key_format = DSA_FORMAT_KV_FP8_528; }, kUnsupported, {"key_format is 4"});
  bad([](D& d) { d.key_format = DSA_FORMAT_KEY_PAGE_132; }, kInvalid, {"key_format is 1"});
  bad([](D& d) { d.q = dsa_tensor{}; }, kInvalid, {"sparse_attn.q"});
  bad([](D& d) { d.q.shape[2] = 15; }, kInvalid, {"16", "15"});
  bad([](D& d) { d.q.shape[1] = 7; }, kInvalid, {"8", "7"});
  bad([](D& d) { d.q2 = dsa_tensor{}; }, kInvalid, {"q2", "kv2"});
  bad([](D& d) { d.kv2 = dsa_tensor{}; }, kInvalid, {"q2", "kv2"});
  bad([](D& d) { d.kv2.shape[1] = 1; }, kInvalid, {"kv2", "1", "2"});
  bad([](D& d) { d.kv2.shape[0] = 11; }, kInvalid, {"kv2", "11", "12"});
  bad([](D& d) { d.v.shape[2] = 15; }, kInvalid, {"v has a value dim of 15", "16"});
  bad([](D& d) { d.v.shape[1] = 1; }, kInvalid, {"v has 1 KV heads"});
  bad([](D& d) { d.v = dsa_tensor{}; }, kInvalid, {"v_scale"});
  bad(
      [](D& d) {
        d.v = d.v_scale = dsa_tensor{};
        d.out = dsa_tensor_3d(d.out.data, DSA_F32, 4, 8, 17);
      },
      kInvalid, {"17", "16"});
  bad([](D& d) { d.kv_scale.shape[1] = 3; }, kInvalid, {"kv_scale", "3", "16"});
  bad([](D& d) { d.kv_scale.shape[0] = 11; }, kInvalid, {"kv_scale.shape[0] is 11", "12"});
  bad([](D& d) { d.q_scale.shape[1] = 3; }, kInvalid, {"q_scale.shape[1] is 3", "8"});
  bad([](D& d) { d.sink.shape[0] = 7; }, kInvalid, {"sink.shape[0] is 7", "8"});
  bad([](D& d) { d.out = d.lse = d.max = dsa_tensor{}; }, kInvalid, {"no output"});
  bad([](D& d) { d.out.shape[1] = 7; }, kInvalid, {"out.shape[1] is 7", "8"});
  bad([](D& d) { d.out.shape[2] = 0; }, kInvalid, {"out.shape[2]", "0"});
  bad([](D& d) { d.lse.shape[1] = 7; }, kInvalid, {"lse.shape[1] is 7"});
  bad([](D& d) { d.max.dtype = DSA_BF16; }, kInvalid, {"max", "bf16"});
  bad([](D& d) { d.out.dtype = DSA_F8_E4M3FN; }, kInvalid, {"out", "e4m3fn"});
  bad(
      [](D& d) {
        d.q.shape[1] = d.out.shape[1] = 7;
        d.q2 = d.kv2 = d.q_scale = d.lse = d.max = d.sink = dsa_tensor{};
      },
      kInvalid, {"2 KV heads", "7"});
  bad([](D& d) { d.k_b = 3; }, kInvalid, {"k_b is 3", "kv_b"});
  bad([](D& d) { d.indices_b = d.indices; }, kInvalid, {"indices_b", "kv_b"});
  bad([](D& d) { d.row_begin = d.counts; }, kInvalid, {"row_begin", "row_end"});
  // A selection for each KV head.
  bad([](D& d) { d.indices = dsa_tensor_3d(d.indices.data, DSA_I32, 4, 2, 6); }, kUnsupported,
      {"indices", "KV head"});
  expect_error(
      attention, [](D& d) { d.lse.data = d.max.data; }, kInvalid, {"overlap"}, true);
  expect_error(
      attention, [](D& d) { d.out.data = d.kv.data; }, kInvalid, {"overlap"}, true);
}

TEST(BadAttention, SecondScope) {
  using D = dsa_sparse_attn_desc;
  const auto bad = [&](auto&& change, std::initializer_list<const char*> needles) {
    expect_error(
        two_scopes, [&](D& d) { change(d); }, kInvalid, needles);
  };
  bad([](D& d) { d.selection_b = DSA_SELECTION_CUT; }, {"selection_b is 2"});
  bad([](D& d) { d.selection_b = 9; }, {"selection_b is 9"});
  bad([](D& d) { d.selection_b = DSA_SELECTION_INDICES; }, {"k_b is 0"});
  bad(
      [](D& d) {
        d.selection_b = DSA_SELECTION_INDICES;
        d.k_b = 2;
      },
      {"indices_b"});
  bad([](D& d) { d.k_b = 2; }, {"k_b is 2"});
  bad([](D& d) { d.kv2_b = dsa_tensor{}; }, {"kv2_b"});
  bad([](D& d) { d.kv_b.shape[2] = 15; }, {"15", "16"});
  bad([](D& d) { d.block_table_b = dsa_tensor{}; }, {"block_table_b"});
  bad([](D& d) { d.block_table_b.shape[0] = 3; }, {"block_table_b.shape[0] is 3", "2"});
  bad([](D& d) { d.row_end_b = dsa_tensor{}; }, {"row_begin_b", "row_end_b"});
  bad([](D& d) { d.page_size_b = 4; }, {"page_size_b is 4", "3"});
  bad([](D& d) { d.key_layout_b = 5; }, {"5"});
  bad(
      [](D& d) {
        d.slot_page_size_b = 7;
        d.selection_b = DSA_SELECTION_SLOTS;
        d.k_b = 2;
        d.indices_b = d.indices;
      },
      {"slot_page_size_b is 7", "3"});
}

TEST(BadAttention, PackedRows) {
  using D = dsa_sparse_attn_desc;
  const auto bad = [&](auto&& change, std::initializer_list<const char*> needles) {
    expect_error(
        packed, [&](D& d) { change(d); }, kInvalid, needles);
  };
  bad([](D& d) { d.kv.shape[1] = 655; }, {"655", "656"});
  bad([](D& d) { d.kv.stride[0] = 657; }, {"multiples of 4"});
  bad([](D& d) { d.kv.stride[1] = 2; }, {"adjacent"});
  bad([](D& d) { d.kv.dtype = DSA_F8_E4M3FN; }, {"kv", "e4m3fn"});
  bad([](D& d) { d.q.shape[2] = 575; }, {"575", "576"});
  bad([](D& d) { d.out = dsa_tensor_3d(d.out.data, DSA_F32, 1, 4, 513); }, {"513", "512"});
  bad([](D& d) { d.v = d.kv; }, {"KV_FP8_656"});
  bad([](D& d) { d.q2 = d.q; }, {"q2", "KV_FP8_656"});
}

TEST(BadAttention, Merge) {
  using D = dsa_merge_lse_desc;
  const auto bad = [&](auto&& change, std::initializer_list<const char*> needles) {
    expect_error(
        merge, [&](D& d) { change(d); }, kInvalid, needles);
  };
  bad([](D& d) { d.partial_lse = dsa_tensor{}; }, {"partial_lse"});
  bad([](D& d) { d.partial_out = dsa_tensor{}; }, {"partial_out", "out"});
  bad([](D& d) { d.partial_max = dsa_tensor{}; }, {"partial_max", "max"});
  bad([](D& d) { d.out = dsa_tensor{}; }, {"partial_out", "out"});
  bad([](D& d) { d.out = d.lse = d.max = d.partial_out = d.partial_max = dsa_tensor{}; },
      {"no output"});
  bad([](D& d) { d.partial_out.shape[0] = 2; }, {"partial_out.shape[0] is 2", "3"});
  bad([](D& d) { d.partial_out.shape[3] = 15; }, {"partial_out.shape[3] is 15", "16"});
  bad([](D& d) { d.out.shape[0] = 5; }, {"out", "5", "4"});
  bad([](D& d) { d.lse.shape[1] = 7; }, {"lse.shape[1] is 7", "8"});
  bad([](D& d) { d.sink.shape[0] = 9; }, {"sink.shape[0] is 9", "8"});
  bad([](D& d) { d.partial_lse.dtype = DSA_BF16; }, {"partial_lse", "bf16"});
}

TEST(BadAttention, Exec) {
  const support::Context ctx = support::make_context();
  auto call = attention();
  alignas(256) static char memory[512];
  const auto status = [&](auto&& change) {
    dsa_exec exec{};
    exec.struct_size = sizeof exec;
    change(exec);
    return support::run(ctx.get(), call->d, &exec);
  };
  EXPECT_EQ(status([](dsa_exec& e) { e.struct_size = 8; }), DSA_ERROR_STRUCT_SIZE);
  EXPECT_EQ(status([](dsa_exec& e) { e.flags = 1; }), kInvalid);
  EXPECT_EQ(status([](dsa_exec& e) { e.stream = memory; }), kInvalid);
  EXPECT_EQ(status([](dsa_exec& e) { e.workspace_size = 100; }), DSA_ERROR_WORKSPACE);
  EXPECT_EQ(status([](dsa_exec& e) {
              e.workspace = memory + 64;
              e.workspace_size = 1 << 30;
            }),
            DSA_ERROR_WORKSPACE);
  EXPECT_EQ(status([](dsa_exec& e) {
              e.workspace = memory;
              e.workspace_size = 1;
            }),
            DSA_ERROR_WORKSPACE);
  EXPECT_NE(std::string(dsa_last_error()).find("workspace_size is 1"), std::string::npos);
  EXPECT_TRUE(call->untouched());

  // Plans of another operation and of another context.
  dsa_plan* plan = nullptr;
  ASSERT_EQ(dsa_plan_create(ctx.get(), &merge()->d, &plan), DSA_OK);
  EXPECT_EQ(status([&](dsa_exec& e) { e.plan = plan; }), kInvalid);
  dsa_plan_destroy(plan);
  const support::Context other = support::make_context();
  ASSERT_EQ(dsa_plan_create(other.get(), &call->d, &plan), DSA_OK);
  EXPECT_NE(std::string(dsa_plan_kernel(plan)).find("cpu.sparse_attn."), std::string::npos);
  EXPECT_EQ(status([&](dsa_exec& e) { e.plan = plan; }), kInvalid);
  dsa_plan_destroy(plan);
  EXPECT_TRUE(call->untouched());
  EXPECT_EQ(status([](dsa_exec&) {}), DSA_OK);
}

TEST(BadAttention, NullAndUnknown) {
  const support::Context ctx = support::make_context();
  auto call = merge();
  EXPECT_EQ(dsa_merge_lse(nullptr, &call->d, nullptr), kInvalid);
  EXPECT_EQ(dsa_merge_lse(ctx.get(), nullptr, nullptr), kInvalid);
  EXPECT_EQ(dsa_supports(ctx.get(), nullptr), kInvalid);
  EXPECT_EQ(dsa_supports(nullptr, &call->d), kInvalid);
  EXPECT_EQ(dsa_workspace_size(ctx.get(), &call->d, nullptr), kInvalid);
  EXPECT_EQ(dsa_plan_create(ctx.get(), &call->d, nullptr), kInvalid);
  EXPECT_EQ(dsa_ctx_create(nullptr, nullptr), kInvalid);
  EXPECT_EQ(dsa_ctx_describe(nullptr, nullptr, 0, nullptr), kInvalid);
  EXPECT_EQ(dsa_ctx_describe(ctx.get(), nullptr, 10, nullptr), kInvalid);
  dsa_ctx_destroy(nullptr);
  dsa_plan_destroy(nullptr);
  dsa_kernel_info info{};
  EXPECT_EQ(dsa_kernel_get(ctx.get(), 0, &info), DSA_ERROR_STRUCT_SIZE);
  info.struct_size = sizeof info;
  EXPECT_EQ(dsa_kernel_get(ctx.get(), -1, &info), kInvalid);
  EXPECT_EQ(dsa_kernel_get(ctx.get(), 1000, &info), kInvalid);
  dsa_forward_desc forward = dsa_forward_desc_init();
  EXPECT_EQ(dsa_forward(ctx.get(), &forward, nullptr), kUnsupported);
  EXPECT_EQ(dsa_supports(ctx.get(), &forward), kUnsupported);
  EXPECT_STREQ(dsa_status_name(DSA_ERROR_WORKSPACE), "DSA_ERROR_WORKSPACE");
  EXPECT_STREQ(dsa_status_name(12345), "unknown status");
}

TEST(BadAttention, ContextOptions) {
  const auto status = [](auto&& change) {
    dsa_ctx_options options{};
    options.struct_size = sizeof options;
    change(options);
    dsa_ctx* ctx = nullptr;
    const dsa_status s = dsa_ctx_create(&options, &ctx);
    dsa_ctx_destroy(ctx);
    return s;
  };
  EXPECT_EQ(status([](dsa_ctx_options&) {}), DSA_OK);
  EXPECT_EQ(status([](dsa_ctx_options& o) { o.struct_size = 3; }), DSA_ERROR_STRUCT_SIZE);
  EXPECT_EQ(status([](dsa_ctx_options& o) { o.flags = 2; }), kInvalid);
  EXPECT_EQ(status([](dsa_ctx_options& o) { o.device = 9; }), kInvalid);
  EXPECT_EQ(status([](dsa_ctx_options& o) { o.num_threads = -1; }), kInvalid);
  EXPECT_EQ(status([](dsa_ctx_options& o) { o.numa_node = -1; }), kInvalid);
  EXPECT_EQ(status([](dsa_ctx_options& o) { o.cpu_mask_words = 1; }), kInvalid);
  EXPECT_EQ(status([](dsa_ctx_options& o) {
              o.allocate = [](void*, uint64_t, uint64_t) -> void* { return nullptr; };
            }),
            kInvalid);
}

// An allocator that has nothing to give: the call says so and writes nothing.
TEST(BadAttention, OutOfMemory) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.allocate = [](void*, uint64_t, uint64_t) -> void* { return nullptr; };
  options.release = [](void*, void*, uint64_t) {};
  dsa_ctx* raw = nullptr;
  ASSERT_EQ(dsa_ctx_create(&options, &raw), DSA_OK);
  const support::Context ctx(raw);
  auto call = attention();
  uint64_t bytes = 0;
  ASSERT_EQ(dsa_workspace_size(raw, &call->d, &bytes), DSA_OK);
  if (bytes > 0) {
    EXPECT_EQ(support::run(raw, call->d), DSA_ERROR_NO_MEMORY);
    EXPECT_TRUE(call->untouched());
  }
}

}  // namespace

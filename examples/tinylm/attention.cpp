#include "attention.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

namespace tinylm {
namespace {

void check(dsa_status status, const char *call) {
  if (status == DSA_OK) return;
  throw std::runtime_error(
      fmt::format("{}: {}: {}", call, dsa_status_name(status), dsa_last_error()));
}

dsa_ctx *create_context(int threads, int32_t device) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.num_threads = threads;
  options.device = device;
  dsa_ctx *context = nullptr;
  check(dsa_ctx_create(&options, &context), "dsa_ctx_create");
  return context;
}

std::string kernel_name(dsa_ctx *context, const void *descriptor) {
  dsa_plan *plan = nullptr;
  check(dsa_plan_create(context, descriptor, &plan), "dsa_plan_create");
  std::string name = dsa_plan_kernel(plan);
  dsa_plan_destroy(plan);
  return name;
}

}  // namespace

Attention::Attention(const Config &config, int topk, int threads, std::optional<int32_t> route,
                     Compute &compute)
    : config_(config),
      topk_(topk),
      scale_(1 / std::sqrt(static_cast<float>(config.q_head()))),
      route_(route),
      compute_(compute),
      context_(create_context(threads, compute.device())) {}

dsa_tensor Attention::tensor(int32_t dtype, std::initializer_list<int64_t> shape) const {
  dsa_tensor t = dsa_tensor_make(nullptr, dtype, static_cast<int32_t>(shape.size()), shape.begin());
  t.device = compute_.device();
  return t;
}

// On a GPU the calls take their place in the stream of the products around them.
dsa_exec Attention::exec() const {
  dsa_exec exec{};
  exec.struct_size = sizeof exec;
  exec.stream = compute_.stream();
  return exec;
}

// Shapes without data: what a plan needs, and what a call fills in.
dsa_indexer_topk_desc Attention::describe_select(int64_t rows, int64_t cache_length,
                                                 int32_t dtype) const {
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  const int64_t k = selected(cache_length);
  d.flags = DSA_CAUSAL;
  d.offset = cache_length - rows;
  d.k = static_cast<int32_t>(k);
  d.q = tensor(dtype, {rows, config_.index_heads, config_.index_dim});
  d.keys = tensor(dtype, {cache_length, config_.index_dim});
  d.w = tensor(DSA_F32, {rows, config_.index_heads});
  d.indices = tensor(DSA_I32, {rows, k});
  return d;
}

dsa_sparse_attn_desc Attention::describe_attend(int64_t rows, int64_t cache_length, int32_t dtype,
                                                bool dense) const {
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.scale = scale_;
  d.q = tensor(dtype, {rows, config_.n_heads, config_.kv_dim()});
  d.kv = tensor(dtype, {cache_length, config_.kv_dim()});
  d.out = tensor(DSA_F32, {rows, config_.n_heads, config_.kv_latent});
  if (dense) {
    d.selection = DSA_SELECTION_ALL;
    d.flags = DSA_CAUSAL;
    d.offset = cache_length - rows;
  } else {
    const int64_t k = selected(cache_length);
    d.selection = DSA_SELECTION_INDICES;
    d.k = static_cast<int32_t>(k);
    d.indices = tensor(DSA_I32, {rows, k});
  }
  return d;
}

void Attention::select(int64_t rows, int64_t cache_length, TypedRows &index_q, float *index_w,
                       LayerCache &cache, int32_t *indices) const {
  dsa_indexer_topk_desc d = describe_select(rows, cache_length, cache.index_keys.dtype());
  d.q.data = index_q.data();
  d.keys.data = cache.index_keys.data();
  d.w.data = index_w;
  d.indices.data = indices;
  const dsa_exec on_stream = exec();
  check(dsa_indexer_topk(context_.get(), &d, &on_stream), "dsa_indexer_topk");
}

void Attention::attend(int64_t rows, int64_t cache_length, TypedRows &q, LayerCache &cache,
                       int32_t *indices, float *out) const {
  dsa_sparse_attn_desc d =
      describe_attend(rows, cache_length, cache.kv.dtype(), indices == nullptr);
  d.q.data = q.data();
  d.kv.data = cache.kv.data();
  d.indices.data = indices;
  d.out.data = out;
  const dsa_exec on_stream = exec();
  check(dsa_sparse_attn(context_.get(), &d, &on_stream), "dsa_sparse_attn");
}

// The selection stays inside the call: neither step's indices are given.
void Attention::forward(int64_t rows, int64_t cache_length, TypedRows &index_q, float *index_w,
                        TypedRows &q, LayerCache &cache, float *out) const {
  dsa_indexer_topk_desc select = describe_select(rows, cache_length, cache.index_keys.dtype());
  select.q.data = index_q.data();
  select.keys.data = cache.index_keys.data();
  select.w.data = index_w;
  select.indices = {};
  dsa_sparse_attn_desc attend = describe_attend(rows, cache_length, cache.kv.dtype(), false);
  attend.q.data = q.data();
  attend.kv.data = cache.kv.data();
  attend.indices = {};
  attend.out.data = out;
  dsa_forward_desc d = dsa_forward_desc_init();
  d.route = *route_;
  d.select = &select;
  d.attend = &attend;
  const dsa_exec on_stream = exec();
  check(dsa_forward(context_.get(), &d, &on_stream), "dsa_forward");
}

std::string Attention::kernels(int32_t dtype) const {
  if (route_) {
    constexpr int64_t kRows = 1024;
    dsa_indexer_topk_desc select = describe_select(kRows, kRows, dtype);
    dsa_sparse_attn_desc attend = describe_attend(kRows, kRows, dtype, false);
    select.indices = attend.indices = {};
    dsa_forward_desc d = dsa_forward_desc_init();
    d.route = *route_;
    d.select = &select;
    d.attend = &attend;
    return kernel_name(context_.get(), &d);
  }
  const dsa_indexer_topk_desc selection = describe_select(1, 2, dtype);
  const dsa_sparse_attn_desc attention = describe_attend(1, 2, dtype, false);
  return kernel_name(context_.get(), &selection) + ", " + kernel_name(context_.get(), &attention);
}

}  // namespace tinylm

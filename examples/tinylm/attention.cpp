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

dsa_ctx *create_context(int threads) {
  dsa_ctx_options options{};
  options.struct_size = sizeof options;
  options.num_threads = threads;
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

Attention::Attention(const Config &config, int topk, int threads)
    : config_(config),
      topk_(topk),
      scale_(1 / std::sqrt(static_cast<float>(config.q_head()))),
      context_(create_context(threads)) {}

// Shapes without data: what a plan needs, and what a call fills in.
dsa_indexer_topk_desc Attention::describe_select(int64_t rows, int64_t cache_length,
                                                 int32_t dtype) const {
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  const int64_t k = selected(cache_length);
  d.flags = DSA_CAUSAL;
  d.offset = cache_length - rows;
  d.k = static_cast<int32_t>(k);
  d.q = dsa_tensor_3d(nullptr, dtype, rows, config_.index_heads, config_.index_dim);
  d.keys = dsa_tensor_2d(nullptr, dtype, cache_length, config_.index_dim);
  d.w = dsa_tensor_2d(nullptr, DSA_F32, rows, config_.index_heads);
  d.indices = dsa_tensor_2d(nullptr, DSA_I32, rows, k);
  return d;
}

dsa_sparse_attn_desc Attention::describe_attend(int64_t rows, int64_t cache_length, int32_t dtype,
                                                bool dense) const {
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.scale = scale_;
  d.q = dsa_tensor_3d(nullptr, dtype, rows, config_.n_heads, config_.kv_dim());
  d.kv = dsa_tensor_2d(nullptr, dtype, cache_length, config_.kv_dim());
  d.out = dsa_tensor_3d(nullptr, DSA_F32, rows, config_.n_heads, config_.kv_latent);
  if (dense) {
    d.selection = DSA_SELECTION_ALL;
    d.flags = DSA_CAUSAL;
    d.offset = cache_length - rows;
  } else {
    const int64_t k = selected(cache_length);
    d.selection = DSA_SELECTION_INDICES;
    d.k = static_cast<int32_t>(k);
    d.indices = dsa_tensor_2d(nullptr, DSA_I32, rows, k);
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
  check(dsa_indexer_topk(context_.get(), &d, nullptr), "dsa_indexer_topk");
}

void Attention::attend(int64_t rows, int64_t cache_length, TypedRows &q, LayerCache &cache,
                       int32_t *indices, float *out) const {
  dsa_sparse_attn_desc d =
      describe_attend(rows, cache_length, cache.kv.dtype(), indices == nullptr);
  d.q.data = q.data();
  d.kv.data = cache.kv.data();
  d.indices.data = indices;
  d.out.data = out;
  check(dsa_sparse_attn(context_.get(), &d, nullptr), "dsa_sparse_attn");
}

std::string Attention::kernels(int32_t dtype) const {
  const dsa_indexer_topk_desc selection = describe_select(1, 2, dtype);
  const dsa_sparse_attn_desc attention = describe_attend(1, 2, dtype, false);
  return kernel_name(context_.get(), &selection) + ", " + kernel_name(context_.get(), &attention);
}

}  // namespace tinylm

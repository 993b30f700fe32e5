#pragma once
// The calls that tinylm makes into libdsa: a context, and a layer's selection and attention, as two
// steps (dsa_indexer_topk, dsa_sparse_attn) or as one (dsa_forward).

#include <dsa.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "compute.h"
#include "kv_cache.h"
#include "model.h"
#include "typed_rows.h"

namespace tinylm {

enum class AttentionMode {
  kSparse,  // the indexer's top-k
  kDense    // all earlier positions
};

// How a position's cost grows with its place, for estimates of time left: place + this. Everything
// but attention and selection costs as much as they do over so many keys.
inline double cost_level(AttentionMode mode) { return mode == AttentionMode::kDense ? 400 : 3000; }

class Attention {
 public:
  // topk: keys a query keeps; threads 0: libdsa's choice; route: of dsa_forward, none: the two
  // steps. All tensors lie in memory of `compute`.
  Attention(const Config &config, int topk, int threads, std::optional<int32_t> route,
            Compute &compute);

  // The rows of q and index_q stand at the positions before cache_length, which count the keys that
  // are in the cache, theirs included. Row t sees the keys up to its own position.

  // index_q [rows, Hi, Di], index_w [rows, Hi] -> indices [rows, min(topk, cache_length)].
  void select(int64_t rows, int64_t cache_length, TypedRows &index_q, float *index_w,
              LayerCache &cache, int32_t *indices) const;

  // q [rows, H, D] -> out [rows, H, r]. indices from select(), or nullptr: dense.
  void attend(int64_t rows, int64_t cache_length, TypedRows &q, LayerCache &cache, int32_t *indices,
              float *out) const;

  // Both in one call, by the route: q and index_q as above -> out.
  void forward(int64_t rows, int64_t cache_length, TypedRows &index_q, float *index_w, TypedRows &q,
               LayerCache &cache, float *out) const;

  bool has_route() const { return route_.has_value(); }
  int topk() const { return topk_; }
  Compute &compute() const { return compute_; }
  int64_t selected(int64_t cache_length) const {
    return cache_length < topk_ ? cache_length : topk_;
  }

  // "cpu.indexer_topk.avx2, cpu.sparse_attn.avx2": the kernels that run for caches of this dtype;
  // with a route "forward.cpu", the one that the call takes for a chunk of a batch.
  std::string kernels(int32_t dtype) const;

 private:
  struct DestroyContext {
    void operator()(dsa_ctx *context) const { dsa_ctx_destroy(context); }
  };

  dsa_tensor tensor(int32_t dtype, std::initializer_list<int64_t> shape) const;
  dsa_exec exec() const;
  dsa_indexer_topk_desc describe_select(int64_t rows, int64_t cache_length, int32_t dtype) const;
  dsa_sparse_attn_desc describe_attend(int64_t rows, int64_t cache_length, int32_t dtype,
                                       bool dense) const;

  Config config_;
  int topk_;
  float scale_;
  std::optional<int32_t> route_;
  Compute &compute_;
  using Context = std::unique_ptr<dsa_ctx, DestroyContext>;
  Context context_;
};

}  // namespace tinylm

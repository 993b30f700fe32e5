#include "transformer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace tinylm {
namespace {

// Enough rows that a matrix product and a libdsa call run at their full rate; 30 MB of buffers.
constexpr int64_t kChunkRows = 1024;

size_t size(int64_t a, int64_t b) { return static_cast<size_t>(a * b); }

}  // namespace

Transformer::Buffers::Buffers(const Config &c, int32_t dtype, int64_t rows)
    : x(size(rows, c.d_model)),
      h(size(rows, c.d_model)),
      q(size(rows, c.n_heads * c.q_head())),
      absorbed(size(rows, c.n_heads * c.kv_dim())),
      kv(size(rows, c.kv_dim())),
      index_q(size(rows, c.index_heads * c.index_dim)),
      index_k(size(rows, c.index_dim)),
      index_w(size(rows, c.index_heads)),
      latent(size(rows, c.n_heads * c.kv_latent)),
      heads(size(rows, c.n_heads * c.v_head)),
      gate(size(rows, c.ffn)),
      up(size(rows, c.ffn)),
      typed_q(dtype, rows, c.n_heads * c.kv_dim()),
      typed_index_q(dtype, rows, c.index_heads * c.index_dim) {}

Transformer::Transformer(const Model &model, const Attention &attention, AttentionMode mode)
    : model_(model),
      attention_(attention),
      mode_(mode),
      rope_(model.config.rope, model.config.rope_theta) {}

void Transformer::forward(std::span<const uint8_t> bytes, KvCache &cache, float *logits,
                          StageTimes &times, const Report &report) {
  const auto total = static_cast<int64_t>(bytes.size());
  if (total > cache.capacity() - cache.length()) throw std::logic_error("the KV cache is full");
  if (total == 0) return;

  const int64_t chunk = std::min(total, kChunkRows);
  Buffers buffers(model_.config, cache.layer(0).kv.dtype(), chunk);
  for (int64_t done = 0; done < total; done += chunk) {
    const int64_t rows = std::min(chunk, total - done);
    const Report chunk_report = [&](double part) {
      if (report) report(static_cast<double>(done) + part);
    };
    read_chunk(bytes.subspan(static_cast<size_t>(done), static_cast<size_t>(rows)), cache,
               logits ? logits + done * model_.config.vocab : nullptr, buffers, times,
               chunk_report);
  }
}

void Transformer::read_chunk(std::span<const uint8_t> bytes, KvCache &cache, float *logits,
                             Buffers &b, StageTimes &times, const Report &report) {
  const Config &c = model_.config;
  const auto rows = static_cast<int64_t>(bytes.size());
  const int64_t first = cache.length();
  rope_.prepare(first, rows);
  for (int64_t t = 0; t < rows; ++t) {
    std::memcpy(b.x.data() + t * c.d_model,
                model_.embed.data() + int64_t{bytes[static_cast<size_t>(t)]} * c.d_model,
                static_cast<size_t>(c.d_model) * sizeof(float));
  }

  for (int i = 0; i < c.n_layers; ++i) {
    const Layer &layer = model_.layers[static_cast<size_t>(i)];
    attention_block(layer, cache.layer(i), first, rows, b, times);
    feed_forward_block(layer, rows, b, times);
    report(static_cast<double>(rows) * (i + 1) / c.n_layers);
  }
  cache.extend(rows);

  if (logits != nullptr) {
    rms_norm(rows, c.d_model, b.x.data(), c.d_model, model_.norm.data(), c.norm_eps, b.h.data(),
             c.d_model);
    const Timed timed(times.matrices);
    linear(rows, c.vocab, c.d_model, b.h.data(), c.d_model, model_.embed.data(), logits, c.vocab);
  }
}

// x += wo wuv attention(norm1(x)). Multi-head latent attention in its absorbed form: W_uk is
// applied to the query instead of to every key, so that one cached row serves all heads.
void Transformer::attention_block(const Layer &layer, LayerCache &cache, int64_t first,
                                  int64_t rows, Buffers &b, StageTimes &times) {
  const Config &c = model_.config;
  const int64_t d = c.d_model;
  const int64_t latent = c.kv_latent;
  const int64_t kv_dim = c.kv_dim();
  const int64_t q_width = int64_t{c.n_heads} * c.q_head();
  const int64_t absorbed_width = c.n_heads * kv_dim;
  const int64_t heads_width = int64_t{c.n_heads} * c.v_head;

  rms_norm(rows, d, b.x.data(), d, layer.norm1.data(), c.norm_eps, b.h.data(), d);
  {
    const Timed timed(times.matrices);
    linear(rows, q_width, d, b.h.data(), d, layer.wq.data(), b.q.data(), q_width);
    linear(rows, kv_dim, d, b.h.data(), d, layer.wkv.data(), b.kv.data(), kv_dim);
    for (int64_t a = 0; a < c.n_heads; ++a) {
      linear_transposed(rows, latent, c.nope, b.q.data() + a * c.q_head(), q_width,
                        layer.wuk.data() + a * c.nope * latent, b.absorbed.data() + a * kv_dim,
                        absorbed_width);
    }
  }
  rms_norm(rows, latent, b.kv.data(), kv_dim, layer.kv_norm.data(), c.norm_eps, b.kv.data(),
           kv_dim);
  for (int64_t t = 0; t < rows; ++t) {
    float *k_rope = b.kv.data() + t * kv_dim + latent;
    rope_.rotate(t, k_rope, k_rope);
    for (int64_t a = 0; a < c.n_heads; ++a) {
      rope_.rotate(t, b.q.data() + t * q_width + a * c.q_head() + c.nope,
                   b.absorbed.data() + t * absorbed_width + a * kv_dim + latent);
    }
  }
  cache.kv.write(first, rows, b.kv.data());
  b.typed_q.write(0, rows, b.absorbed.data());

  const bool sparse = mode_ == AttentionMode::kSparse;
  if (sparse) select(layer, cache, first, rows, b, times);
  {
    const Timed timed(times.attention);
    attention_.attend(rows, first + rows, b.typed_q, cache, sparse ? b.indices.data() : nullptr,
                      b.latent.data());
  }

  {
    const Timed timed(times.matrices);
    for (int64_t a = 0; a < c.n_heads; ++a) {
      linear(rows, c.v_head, latent, b.latent.data() + a * latent, c.n_heads * latent,
             layer.wuv.data() + a * c.v_head * latent, b.heads.data() + a * c.v_head, heads_width);
    }
    linear(rows, d, heads_width, b.heads.data(), heads_width, layer.wo.data(), b.h.data(), d);
  }
  add(rows * d, b.x.data(), b.h.data());
}

// The lightning indexer's projections of h, then the top-k over all index keys up to each row.
void Transformer::select(const Layer &layer, LayerCache &cache, int64_t first, int64_t rows,
                         Buffers &b, StageTimes &times) {
  const Config &c = model_.config;
  const int64_t d = c.d_model;
  const int64_t dim = c.index_dim;
  const int64_t width = c.index_heads * dim;
  {
    const Timed timed(times.matrices);
    linear(rows, width, d, b.h.data(), d, layer.iq.data(), b.index_q.data(), width);
    linear(rows, dim, d, b.h.data(), d, layer.ik.data(), b.index_k.data(), dim);
    linear(rows, c.index_heads, d, b.h.data(), d, layer.iw.data(), b.index_w.data(), c.index_heads);
  }
  layer_norm(rows, dim, b.index_k.data(), layer.ik_norm_weight.data(), layer.ik_norm_bias.data(),
             c.norm_eps);
  const float scale = 1 / std::sqrt(static_cast<float>(width));  // Hi^-0.5 Di^-0.5
  for (int64_t t = 0; t < rows; ++t) {
    float *key = b.index_k.data() + t * dim;
    rope_.rotate(t, key, key);
    for (int64_t a = 0; a < c.index_heads; ++a) {
      float *query = b.index_q.data() + t * width + a * dim;
      rope_.rotate(t, query, query);
      b.index_w[static_cast<size_t>(t * c.index_heads + a)] *= scale;
    }
  }
  cache.index_keys.write(first, rows, b.index_k.data());
  b.typed_index_q.write(0, rows, b.index_q.data());
  b.indices.resize(size(rows, attention_.selected(first + rows)));

  const Timed timed(times.selection);
  attention_.select(rows, first + rows, b.typed_index_q, b.index_w.data(), cache, b.indices.data());
}

// x += w2 (silu(w1 h) * w3 h), h = norm2(x)
void Transformer::feed_forward_block(const Layer &layer, int64_t rows, Buffers &b,
                                     StageTimes &times) {
  const Config &c = model_.config;
  const int64_t d = c.d_model;
  rms_norm(rows, d, b.x.data(), d, layer.norm2.data(), c.norm_eps, b.h.data(), d);
  {
    const Timed timed(times.matrices);
    linear(rows, c.ffn, d, b.h.data(), d, layer.w1.data(), b.gate.data(), c.ffn);
    linear(rows, c.ffn, d, b.h.data(), d, layer.w3.data(), b.up.data(), c.ffn);
  }
  silu_gate(rows * c.ffn, b.gate.data(), b.up.data());
  {
    const Timed timed(times.matrices);
    linear(rows, d, c.ffn, b.gate.data(), c.ffn, layer.w2.data(), b.h.data(), d);
  }
  add(rows * d, b.x.data(), b.h.data());
}

}  // namespace tinylm

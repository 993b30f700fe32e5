#include "transformer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace tinylm {
namespace {

// Enough rows that a matrix product and a libdsa call run at their full rate; 30 MB of buffers.
constexpr int64_t kChunkRows = 1024;

}  // namespace

Transformer::Buffers::Buffers(Compute &compute, const Config &c, int32_t dtype, int64_t rows,
                              int64_t rope_half)
    : x(compute, rows * c.d_model),
      h(compute, rows * c.d_model),
      q(compute, rows * c.n_heads * c.q_head()),
      absorbed(compute, rows * c.n_heads * c.kv_dim()),
      kv(compute, rows * c.kv_dim()),
      index_q(compute, rows * c.index_heads * c.index_dim),
      index_k(compute, rows * c.index_dim),
      index_w(compute, rows * c.index_heads),
      indices(compute),
      latent(compute, rows * c.n_heads * c.kv_latent),
      heads(compute, rows * c.n_heads * c.v_head),
      gate(compute, rows * c.ffn),
      up(compute, rows * c.ffn),
      logits(compute, rows * c.vocab),
      cosines(compute, rows * rope_half),
      sines(compute, rows * rope_half),
      typed_q(compute, dtype, rows, c.n_heads * c.kv_dim()),
      typed_index_q(compute, dtype, rows, c.index_heads * c.index_dim) {}

Transformer::Transformer(const Model &model, const Attention &attention, AttentionMode mode)
    : model_(model),
      attention_(attention),
      compute_(attention.compute()),
      mode_(mode),
      rope_(model.config.rope, model.config.rope_theta) {}

void Transformer::forward(std::span<const uint8_t> bytes, KvCache &cache, float *logits,
                          StageTimes &times, const Report &report) {
  const auto total = static_cast<int64_t>(bytes.size());
  if (total > cache.capacity() - cache.length()) throw std::logic_error("the KV cache is full");
  if (total == 0) return;

  const int64_t chunk = std::min(total, kChunkRows);
  Buffers buffers(compute_, model_.config, cache.layer(0).kv.dtype(), chunk, rope_.half());
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
  const auto table_bytes = static_cast<int64_t>(rope_.sines().size() * sizeof(float));
  compute_.upload(b.cosines.data(), rope_.cosines().data(), table_bytes);
  compute_.upload(b.sines.data(), rope_.sines().data(), table_bytes);
  compute_.embed(rows, c.d_model, bytes.data(), compute_.weights(model_.embed), b.x.data());

  for (int i = 0; i < c.n_layers; ++i) {
    const Layer &layer = model_.layers[static_cast<size_t>(i)];
    attention_block(layer, cache.layer(i), first, rows, b, times);
    feed_forward_block(layer, rows, b, times);
    report(static_cast<double>(rows) * (i + 1) / c.n_layers);
  }
  cache.extend(rows);

  if (logits != nullptr) {
    compute_.rms_norm(rows, c.d_model, b.x.data(), c.d_model, compute_.weights(model_.norm),
                      c.norm_eps, b.h.data(), c.d_model);
    {
      const Timed timed(compute_, times.matrices);
      compute_.linear(rows, c.vocab, c.d_model, b.h.data(), c.d_model,
                      compute_.weights(model_.embed), b.logits.data(), c.vocab);
    }
    compute_.download(logits, b.logits.data(), rows * c.vocab * int64_t{sizeof(float)});
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

  compute_.rms_norm(rows, d, b.x.data(), d, compute_.weights(layer.norm1), c.norm_eps, b.h.data(),
                    d);
  {
    const Timed timed(compute_, times.matrices);
    compute_.linear(rows, q_width, d, b.h.data(), d, compute_.weights(layer.wq), b.q.data(),
                    q_width);
    compute_.linear(rows, kv_dim, d, b.h.data(), d, compute_.weights(layer.wkv), b.kv.data(),
                    kv_dim);
    for (int64_t a = 0; a < c.n_heads; ++a) {
      compute_.linear_transposed(rows, latent, c.nope, b.q.data() + a * c.q_head(), q_width,
                                 compute_.weights(layer.wuk) + a * c.nope * latent,
                                 b.absorbed.data() + a * kv_dim, absorbed_width);
    }
  }
  compute_.rms_norm(rows, latent, b.kv.data(), kv_dim, compute_.weights(layer.kv_norm), c.norm_eps,
                    b.kv.data(), kv_dim);
  float *k_rope = b.kv.data() + latent;
  rotate(b, rows, 1, k_rope, kv_dim, 0, k_rope, kv_dim, 0);
  rotate(b, rows, c.n_heads, b.q.data() + c.nope, q_width, c.q_head(), b.absorbed.data() + latent,
         absorbed_width, kv_dim);
  cache.kv.write(first, rows, b.kv.data());
  b.typed_q.write(0, rows, b.absorbed.data());

  if (mode_ == AttentionMode::kSparse) {
    project_index(layer, cache, first, rows, b, times);
    select_and_attend(cache, first, rows, b, times);
  } else {
    const Timed timed(compute_, times.attention);
    attention_.attend(rows, first + rows, b.typed_q, cache, nullptr, b.latent.data());
  }

  {
    const Timed timed(compute_, times.matrices);
    for (int64_t a = 0; a < c.n_heads; ++a) {
      compute_.linear(rows, c.v_head, latent, b.latent.data() + a * latent, c.n_heads * latent,
                      compute_.weights(layer.wuv) + a * c.v_head * latent,
                      b.heads.data() + a * c.v_head, heads_width);
    }
    compute_.linear(rows, d, heads_width, b.heads.data(), heads_width, compute_.weights(layer.wo),
                    b.h.data(), d);
  }
  compute_.add(rows * d, b.x.data(), b.h.data());
}

// The lightning indexer's projections of h.
void Transformer::project_index(const Layer &layer, LayerCache &cache, int64_t first, int64_t rows,
                                Buffers &b, StageTimes &times) {
  const Config &c = model_.config;
  const int64_t d = c.d_model;
  const int64_t dim = c.index_dim;
  const int64_t width = c.index_heads * dim;
  {
    const Timed timed(compute_, times.matrices);
    compute_.linear(rows, width, d, b.h.data(), d, compute_.weights(layer.iq), b.index_q.data(),
                    width);
    compute_.linear(rows, dim, d, b.h.data(), d, compute_.weights(layer.ik), b.index_k.data(), dim);
    compute_.linear(rows, c.index_heads, d, b.h.data(), d, compute_.weights(layer.iw),
                    b.index_w.data(), c.index_heads);
  }
  compute_.layer_norm(rows, dim, b.index_k.data(), compute_.weights(layer.ik_norm_weight),
                      compute_.weights(layer.ik_norm_bias), c.norm_eps);
  const float scale = 1 / std::sqrt(static_cast<float>(width));  // Hi^-0.5 Di^-0.5
  rotate(b, rows, 1, b.index_k.data(), dim, 0, b.index_k.data(), dim, 0);
  rotate(b, rows, c.index_heads, b.index_q.data(), width, dim, b.index_q.data(), width, dim);
  compute_.multiply(rows * c.index_heads, b.index_w.data(), scale);
  cache.index_keys.write(first, rows, b.index_k.data());
  b.typed_index_q.write(0, rows, b.index_q.data());
}

// The top-k over all index keys up to each row, and attention to what it selects.
void Transformer::select_and_attend(LayerCache &cache, int64_t first, int64_t rows, Buffers &b,
                                    StageTimes &times) {
  if (attention_.has_route()) {
    const Timed timed(compute_, times.attention);
    attention_.forward(rows, first + rows, b.typed_index_q, b.index_w.data(), b.typed_q, cache,
                       b.latent.data());
    return;
  }
  b.indices.resize(rows * attention_.selected(first + rows));
  {
    const Timed timed(compute_, times.selection);
    attention_.select(rows, first + rows, b.typed_index_q, b.index_w.data(), cache,
                      b.indices.data());
  }
  const Timed timed(compute_, times.attention);
  attention_.attend(rows, first + rows, b.typed_q, cache, b.indices.data(), b.latent.data());
}

void Transformer::rotate(const Buffers &b, int64_t rows, int64_t vectors, const float *from,
                         int64_t from_row, int64_t from_vector, float *to, int64_t to_row,
                         int64_t to_vector) {
  compute_.rotate({.rows = rows,
                   .vectors = vectors,
                   .half = rope_.half(),
                   .cosines = b.cosines.data(),
                   .sines = b.sines.data(),
                   .from = from,
                   .from_row = from_row,
                   .from_vector = from_vector,
                   .to = to,
                   .to_row = to_row,
                   .to_vector = to_vector});
}

// x += w2 (silu(w1 h) * w3 h), h = norm2(x)
void Transformer::feed_forward_block(const Layer &layer, int64_t rows, Buffers &b,
                                     StageTimes &times) {
  const Config &c = model_.config;
  const int64_t d = c.d_model;
  compute_.rms_norm(rows, d, b.x.data(), d, compute_.weights(layer.norm2), c.norm_eps, b.h.data(),
                    d);
  {
    const Timed timed(compute_, times.matrices);
    compute_.linear(rows, c.ffn, d, b.h.data(), d, compute_.weights(layer.w1), b.gate.data(),
                    c.ffn);
    compute_.linear(rows, c.ffn, d, b.h.data(), d, compute_.weights(layer.w3), b.up.data(), c.ffn);
  }
  compute_.silu_gate(rows * c.ffn, b.gate.data(), b.up.data());
  {
    const Timed timed(compute_, times.matrices);
    compute_.linear(rows, d, c.ffn, b.gate.data(), c.ffn, compute_.weights(layer.w2), b.h.data(),
                    d);
  }
  compute_.add(rows * d, b.x.data(), b.h.data());
}

}  // namespace tinylm

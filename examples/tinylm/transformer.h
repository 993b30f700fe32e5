#pragma once
// The forward pass: bytes in, logits out, one row of cache a byte and layer.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "attention.h"
#include "kv_cache.h"
#include "layers.h"
#include "model.h"
#include "stage_times.h"

namespace tinylm {

// Called with the number of bytes done, in fractions: a layer of a chunk is a step.
using Report = std::function<void(double)>;

class Transformer {
 public:
  // Keeps references: model and attention must outlive it.
  Transformer(const Model &model, const Attention &attention, AttentionMode mode);

  // Reads `bytes` behind what the cache holds. logits [bytes, vocab]; nullptr: only the cache is
  // wanted. In chunks of rows, so that memory does not depend on the number of bytes.
  void forward(std::span<const uint8_t> bytes, KvCache &cache, float *logits, StageTimes &times,
               const Report &report = {});

 private:
  // Rows of a chunk; every buffer is dense.
  struct Buffers {
    explicit Buffers(const Config &config, int32_t dtype, int64_t rows);
    std::vector<float> x, h;       // [rows, d]
    std::vector<float> q;          // [rows, H (nope + rope)]
    std::vector<float> absorbed;   // [rows, H, D]
    std::vector<float> kv;         // [rows, D]
    std::vector<float> index_q;    // [rows, Hi, Di]
    std::vector<float> index_k;    // [rows, Di]
    std::vector<float> index_w;    // [rows, Hi]
    std::vector<int32_t> indices;  // [rows, k]
    std::vector<float> latent;     // [rows, H, r]: attention's result
    std::vector<float> heads;      // [rows, H v]
    std::vector<float> gate, up;   // [rows, ffn]
    TypedRows typed_q, typed_index_q;
  };

  void read_chunk(std::span<const uint8_t> bytes, KvCache &cache, float *logits, Buffers &b,
                  StageTimes &times, const Report &report);
  void attention_block(const Layer &layer, LayerCache &cache, int64_t first, int64_t rows,
                       Buffers &b, StageTimes &times);
  void select(const Layer &layer, LayerCache &cache, int64_t first, int64_t rows, Buffers &b,
              StageTimes &times);
  void feed_forward_block(const Layer &layer, int64_t rows, Buffers &b, StageTimes &times);

  const Model &model_;
  const Attention &attention_;
  AttentionMode mode_;
  Rope rope_;
};

}  // namespace tinylm

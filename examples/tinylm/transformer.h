#pragma once
// The forward pass: bytes in, logits out, one row of cache a byte and layer.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "attention.h"
#include "compute.h"
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
    Buffers(Compute &compute, const Config &config, int32_t dtype, int64_t rows, int64_t rope_half);
    Array<float> x, h;            // [rows, d]
    Array<float> q;               // [rows, H (nope + rope)]
    Array<float> absorbed;        // [rows, H, D]
    Array<float> kv;              // [rows, D]
    Array<float> index_q;         // [rows, Hi, Di]
    Array<float> index_k;         // [rows, Di]
    Array<float> index_w;         // [rows, Hi]
    Array<int32_t> indices;       // [rows, k]
    Array<float> latent;          // [rows, H, r]: attention's result
    Array<float> heads;           // [rows, H v]
    Array<float> gate, up;        // [rows, ffn]
    Array<float> logits;          // [rows, vocab]
    Array<float> cosines, sines;  // [rows, rope / 2]
    TypedRows typed_q, typed_index_q;
  };

  void read_chunk(std::span<const uint8_t> bytes, KvCache &cache, float *logits, Buffers &b,
                  StageTimes &times, const Report &report);
  void attention_block(const Layer &layer, LayerCache &cache, int64_t first, int64_t rows,
                       Buffers &b, StageTimes &times);
  void project_index(const Layer &layer, LayerCache &cache, int64_t first, int64_t rows, Buffers &b,
                     StageTimes &times);
  void select_and_attend(LayerCache &cache, int64_t first, int64_t rows, Buffers &b,
                         StageTimes &times);
  // Rotates [rows, vectors] of the rope's width from one place to another.
  void rotate(const Buffers &b, int64_t rows, int64_t vectors, const float *from, int64_t from_row,
              int64_t from_vector, float *to, int64_t to_row, int64_t to_vector);
  void feed_forward_block(const Layer &layer, int64_t rows, Buffers &b, StageTimes &times);

  const Model &model_;
  const Attention &attention_;
  Compute &compute_;
  AttentionMode mode_;
  Rope rope_;
};

}  // namespace tinylm

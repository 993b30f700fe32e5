// One small call of each operation, on data whose scores are whole numbers: sums are exact in any
// order, so every kernel must give the same bits (attention apart, which has an exp).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "dsa.h"

namespace dsa::small_calls {

// Whole numbers in [-range, range], the same on every machine.
inline std::vector<float> numbers(int64_t count, int32_t range, uint32_t seed) {
  std::vector<float> out(static_cast<size_t>(count));
  uint32_t state = seed * 2654435761u + 1;
  for (float& value : out) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>((state >> 8) % (2u * range + 1)) - range);
  }
  return out;
}

// A dense tensor of f32 or bf16 (whole numbers to 256 are exact in both).
class Input {
 public:
  Input(std::vector<float> values, int32_t dtype, std::vector<int64_t> shape)
      : values_(std::move(values)), shape_(std::move(shape)), dtype_(dtype) {
    for (const float value : values_) {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      halves_.push_back(static_cast<uint16_t>(bits >> 16));
    }
  }
  dsa_tensor tensor() {
    void* data = dtype_ == DSA_F32 ? static_cast<void*>(values_.data()) : halves_.data();
    return dsa_tensor_make(data, dtype_, static_cast<int32_t>(shape_.size()), shape_.data());
  }

 private:
  std::vector<float> values_;
  std::vector<uint16_t> halves_;
  std::vector<int64_t> shape_;
  int32_t dtype_;
};

// What a call gave: the words of all outputs, or the error.
struct Result {
  dsa_status status = DSA_OK;
  std::string error;
  std::vector<uint32_t> words;

  template <class T>
  void add(const std::vector<T>& output) {
    static_assert(sizeof(T) == sizeof(uint32_t));
    const size_t start = words.size();
    words.resize(start + output.size());
    if (!output.empty())
      std::memcpy(words.data() + start, output.data(), output.size() * sizeof(T));
  }
  float real(size_t i) const {
    float value;
    std::memcpy(&value, &words[i], sizeof value);
    return value;
  }
};

struct Sizes {
  int64_t rows = 9, keys = 700;
  int32_t k = 61;
};

// Outputs of a selection, in the fields that dsa_topk_desc and dsa_indexer_topk_desc share.
struct Selection {
  std::vector<int32_t> indices, counts, cut_index;
  std::vector<float> values, cut_score;

  template <class Desc>
  Selection(Desc& d, const Sizes& n)
      : indices(n.rows * n.k, -7),
        counts(n.rows, -7),
        cut_index(n.rows, -7),
        values(n.rows * n.k, -7),
        cut_score(n.rows, -7) {
    d.k = n.k;
    d.flags |= DSA_CAUSAL;
    d.offset = n.keys - n.rows - 3;
    d.indices = dsa_tensor_2d(indices.data(), DSA_I32, n.rows, n.k);
    d.values = dsa_tensor_2d(values.data(), DSA_F32, n.rows, n.k);
    d.counts = dsa_tensor_1d(counts.data(), DSA_I32, n.rows);
    d.cut_score = dsa_tensor_1d(cut_score.data(), DSA_F32, n.rows);
    d.cut_index = dsa_tensor_1d(cut_index.data(), DSA_I32, n.rows);
  }
  Result result(dsa_status status) const {
    Result out;
    out.status = status;
    if (status != DSA_OK) out.error = dsa_last_error();
    out.add(indices);
    out.add(values);
    out.add(counts);
    out.add(cut_score);
    out.add(cut_index);
    return out;
  }
};

inline constexpr int64_t kIndexHeads = 4, kIndexDim = 64;

inline Result indexer(dsa_ctx* ctx, int32_t dtype, const Sizes& n = {}) {
  Input q(numbers(n.rows * kIndexHeads * kIndexDim, 3, 1), dtype, {n.rows, kIndexHeads, kIndexDim});
  Input keys(numbers(n.keys * kIndexDim, 3, 2), dtype, {n.keys, kIndexDim});
  Input w(numbers(n.rows * kIndexHeads, 5, 3), DSA_F32, {n.rows, kIndexHeads});
  std::vector<float> scores(n.rows * n.keys, -7);
  dsa_indexer_desc d = dsa_indexer_desc_init();
  d.q = q.tensor();
  d.keys = keys.tensor();
  d.w = w.tensor();
  d.flags = DSA_CAUSAL;
  d.offset = n.keys - n.rows - 3;
  d.scores = dsa_tensor_2d(scores.data(), DSA_F32, n.rows, n.keys);
  Result out;
  out.status = dsa_indexer(ctx, &d, nullptr);
  if (out.status != DSA_OK) out.error = dsa_last_error();
  out.add(scores);
  return out;
}

inline Result topk(dsa_ctx* ctx, int32_t, const Sizes& n = {}) {
  // Few different numbers: the cut falls among equal scores.
  Input scores(numbers(n.rows * n.keys, 20, 4), DSA_F32, {n.rows, n.keys});
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = scores.tensor();
  const Selection selection(d, n);
  return selection.result(dsa_topk(ctx, &d, nullptr));
}

inline Result indexer_topk(dsa_ctx* ctx, int32_t dtype, const Sizes& n = {}) {
  Input q(numbers(n.rows * kIndexHeads * kIndexDim, 3, 1), dtype, {n.rows, kIndexHeads, kIndexDim});
  Input keys(numbers(n.keys * kIndexDim, 3, 2), dtype, {n.keys, kIndexDim});
  Input w(numbers(n.rows * kIndexHeads, 5, 3), DSA_F32, {n.rows, kIndexHeads});
  dsa_indexer_topk_desc d = dsa_indexer_topk_desc_init();
  d.q = q.tensor();
  d.keys = keys.tensor();
  d.w = w.tensor();
  const Selection selection(d, n);
  return selection.result(dsa_indexer_topk(ctx, &d, nullptr));
}

// out [T, H, Dv], then lse [T, H].
inline Result sparse_attn(dsa_ctx* ctx, int32_t dtype, const Sizes& n = {}) {
  constexpr int64_t kHeads = 8, kDim = 160, kValueDim = 128;
  Input q(numbers(n.rows * kHeads * kDim, 3, 5), dtype, {n.rows, kHeads, kDim});
  Input kv(numbers(n.keys * kDim, 3, 6), dtype, {n.keys, kDim});
  std::vector<int32_t> indices(n.rows * n.k);
  for (size_t i = 0; i < indices.size(); ++i) {
    // Some entries are no key.
    indices[i] = static_cast<int32_t>(i * 7919 % static_cast<size_t>(n.keys + 20));
  }
  std::vector<float> sink(kHeads, 0.5f);
  std::vector<float> result(n.rows * kHeads * kValueDim, -7), lse(n.rows * kHeads, -7);
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.q = q.tensor();
  d.kv = kv.tensor();
  d.indices = dsa_tensor_2d(indices.data(), DSA_I32, n.rows, n.k);
  d.k = n.k;
  d.scale = 0.03f;
  d.sink = dsa_tensor_1d(sink.data(), DSA_F32, kHeads);
  d.out = dsa_tensor_3d(result.data(), DSA_F32, n.rows, kHeads, kValueDim);
  d.lse = dsa_tensor_2d(lse.data(), DSA_F32, n.rows, kHeads);
  Result out;
  out.status = dsa_sparse_attn(ctx, &d, nullptr);
  if (out.status != DSA_OK) out.error = dsa_last_error();
  out.add(result);
  out.add(lse);
  return out;
}

inline Result merge_lse(dsa_ctx* ctx, int32_t, const Sizes& n = {}) {
  constexpr int64_t kParts = 3, kHeads = 8, kValueDim = 128;
  Input parts(numbers(kParts * n.rows * kHeads * kValueDim, 9, 7), DSA_F32,
              {kParts, n.rows, kHeads, kValueDim});
  Input lses(numbers(kParts * n.rows * kHeads, 3, 8), DSA_F32, {kParts, n.rows, kHeads});
  std::vector<float> result(n.rows * kHeads * kValueDim, -7), lse(n.rows * kHeads, -7);
  dsa_merge_lse_desc d = dsa_merge_lse_desc_init();
  d.partial_out = parts.tensor();
  d.partial_lse = lses.tensor();
  d.out = dsa_tensor_3d(result.data(), DSA_F32, n.rows, kHeads, kValueDim);
  d.lse = dsa_tensor_2d(lse.data(), DSA_F32, n.rows, kHeads);
  Result out;
  out.status = dsa_merge_lse(ctx, &d, nullptr);
  if (out.status != DSA_OK) out.error = dsa_last_error();
  out.add(result);
  out.add(lse);
  return out;
}

struct Operation {
  int32_t kind;
  const char* name;
  Result (*run)(dsa_ctx* ctx, int32_t dtype, const Sizes& sizes);
  bool exact;  // the same bits from every kernel
};
inline constexpr Operation kOperations[] = {
    {DSA_OP_INDEXER, "indexer", indexer, true},
    {DSA_OP_TOPK, "topk", topk, true},
    {DSA_OP_INDEXER_TOPK, "indexer_topk", indexer_topk, true},
    {DSA_OP_SPARSE_ATTN, "sparse_attn", sparse_attn, false},
    {DSA_OP_MERGE_LSE, "merge_lse", merge_lse, false},
};

}  // namespace dsa::small_calls

// Sparse attention's row kernels, one table of them a SIMD tier. They know nothing of selections,
// pages or requests: the resolver hands them the addresses of key rows, in slot order.
//
// A task is one query row and a group of heads that read the same keys. Its running softmax is an
// AttnState; keys are added to it at most kAttnChunk at a time. The bits of a state depend on the
// query, the keys, their order and where the chunks end, and on nothing else: heads do not see each
// other, so a group may be cut anywhere without changing a bit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dsa::cpu {

constexpr int kAttnChunk = 256;  // most keys of one `accumulate`
constexpr int kAttnMaxDim = 1024;

enum class AttnType : int32_t { kF32, kF16, kBf16, kE4m3 };

// One operand as it lies in memory: rows of d elements.
struct AttnRows {
  AttnType type = AttnType::kF32;
  int32_t d = 0;             // elements a row; 0: the operand is absent
  int64_t stride = 1;        // between neighbours of a row, in elements
  int32_t group = 0;         // elements that one scale of the row covers; 0: no scales
  int64_t group_stride = 1;  // between neighbouring scales of a row, in elements
};

struct AttnShape {
  int32_t heads = 0;       // of this task
  int32_t dv = 0;          // elements of an output row; 0: only max and sum are wanted
  bool few_heads = false;  // the form for few heads; a property of the operation, not the task
  float scale = 1.0f;      // of the logits
  AttnRows k;              // [n, k.d]; V is its first dv elements unless v is there
  AttnRows k2;             // [n, k2.d]: second piece of the logits
  AttnRows v;              // [n, dv]
};

// The task's query: [heads, d] and [heads, d2], any strides (in elements).
struct AttnQuery {
  const void *q = nullptr;
  const void *q2 = nullptr;
  AttnType type = AttnType::kF32;
  AttnType type2 = AttnType::kF32;
  int64_t head_stride = 0;
  int64_t stride = 1;
  int64_t head_stride2 = 0;
  int64_t stride2 = 1;
  const float *scale = nullptr;  // of q, one a head
  int64_t scale_stride = 0;
  bool scale_second = false;  // of q2 too
};

// Key rows: element i of each array is the address of row i. Absent operands are null.
struct AttnKeys {
  int32_t n = 0;  // ≤ kAttnChunk
  const void *const *k = nullptr;
  const void *const *k2 = nullptr;
  const void *const *v = nullptr;
  const float *const *k_scale = nullptr;
  const float *const *k2_scale = nullptr;
  const float *const *v_scale = nullptr;
};

// Softmax over the keys so far: z ≤ max, sum = Σ exp(z - max), out = Σ exp(z - max) v.
struct AttnState {
  int64_t keys = 0;      // so far; with 0 the arrays below may hold anything
  float *max = nullptr;  // [attn_padded(heads)]
  float *sum = nullptr;  // [attn_padded(heads)]
  float *out = nullptr;  // [attn_padded(heads), attn_padded(dv)], 64-byte aligned
};

constexpr int64_t attn_padded(int64_t n) { return (n + 15) / 16 * 16; }

struct AttnTier {
  // Heads of one query that share keys, up to which few_heads pays.
  int32_t few_heads;
  // Sizes in bytes of the packed query and of the scratch memory (both 64-byte aligned).
  size_t (*query_bytes)(const AttnShape &);
  size_t (*scratch_bytes)(const AttnShape &);
  void (*pack_query)(const AttnShape &, const AttnQuery &, void *packed);
  void (*accumulate)(const AttnShape &, const void *packed, const AttnKeys &, AttnState &,
                     void *scratch);
  // to = the softmax over the keys of both, `to` first. Either may be empty.
  void (*merge)(const AttnShape &, AttnState &to, const AttnState &from);
  // dst[i * stride] = src[i] * factor, rounded to f32, f16 or bf16.
  void (*write)(AttnType, void *dst, int64_t stride, const float *src, int64_t n, float factor);
};

const AttnTier &attn_tier_scalar();
#if defined(__x86_64__)
const AttnTier &attn_tier_avx2();
const AttnTier &attn_tier_avx512();
const AttnTier &attn_tier_amx();
#endif

}  // namespace dsa::cpu

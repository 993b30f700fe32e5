#pragma once
// Stands in for a model: what projections of a token at a position would give, made from a hash of
// both, so that the reference can make them again without the cache.

#include <cstdint>

namespace engine {

// One layer of a model of DeepSeek's family, small.
struct Shape {
  static constexpr int kHeads = 8, kDim = 160, kValueDim = 128;
  static constexpr int kIndexHeads = 8, kIndexDim = 64;
  static constexpr int kTopk = 64;
  static constexpr float kScale = 0.08f;  // 160^-0.5
};

using Bf16 = uint16_t;
float widen(Bf16 value);

// q [H, D], index_q [Hi, Di], index_w [Hi] of the token that asks.
void make_query(int token, int position, Bf16 *q, Bf16 *index_q, float *index_w);

// kv [D], index_key [Di] of the token that is remembered.
void make_key(int token, int position, Bf16 *kv, Bf16 *index_key);

// The next token, from the attention's output [H, Dv].
int next_token(const float *out);

}  // namespace engine

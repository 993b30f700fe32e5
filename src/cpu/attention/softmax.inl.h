// The running softmax: logits of one block of keys to weights, and the two running numbers.
#pragma once

#include <cstdint>

#include "cpu/attention/exp.inl.h"
#include "cpu/attention/products.inl.h"

namespace dsa::cpu {
namespace {

// Where every logit so far is -inf, the weights are exp(-inf - 0) = 0 and the row stays empty.
template <class V>
typename V::F attn_finite_max(typename V::F max) {
  return V::select(V::eq(max, V::set1(-__builtin_inff())), V::zero(), max);
}

// Form for many heads: s [n][kWidth] of one head vector, in place. `max` and `sum` are the running
// numbers; alpha gets what the sums so far must be multiplied by. A NaN logit leaves max as it is
// and makes its weight, hence sum and outputs, NaN.
template <class V>
void attn_softmax_lanes(float *s, int n, float scale, float *max, float *sum, float *alpha) {
  using F = typename V::F;
  constexpr int W = V::kWidth;
  const F factor = V::set1(scale);
  const F before = V::load(max);
  F top = before;
  for (int j = 0; j < n; ++j) {
    const F z = V::mul(V::load(s + j * W), factor);
    V::store(s + j * W, z);
    top = V::max(z, top);
  }
  const F base = attn_finite_max<V>(top);
  const F decay = exp_nonpositive<V>(V::sub(before, base));
  F total = V::zero();
  for (int j = 0; j < n; ++j) {
    const F p = exp_nonpositive<V>(V::sub(V::load(s + j * W), base));
    V::store(s + j * W, p);
    total = V::add(total, p);
  }
  V::store(max, top);
  V::store(alpha, decay);
  V::store(sum, V::fma(V::load(sum), decay, total));
}

// Form for few heads: s [kAttnBlock] of one head, lane = key.
template <class V>
void attn_softmax_row(float *s, int n, float scale, float *max, float *sum, float *alpha) {
  using F = typename V::F;
  constexpr int W = V::kWidth;
  const F factor = V::set1(scale);
  const F lowest = V::set1(-__builtin_inff());
  F top = lowest;
  for (int j = 0; j < n; j += W) {
    F z = V::mul(V::load(s + j), factor);
    if (n - j < W) z = V::select(V::first_n(n - j), z, lowest);
    V::store(s + j, z);
    top = V::max(z, top);
  }
  const float block = V::reduce_max(top);
  const float now = block > *max ? block : *max;
  const F base = attn_finite_max<V>(V::set1(now));
  F total = V::zero();
  for (int j = 0; j < n; j += W) {
    const F p = exp_nonpositive<V>(V::sub(V::load(s + j), base));
    V::store(s + j, p);
    total = V::add(total, p);
  }
  alignas(64) float decay[W];
  V::store(decay, exp_nonpositive<V>(V::sub(V::set1(*max), base)));
  *alpha = decay[0];
  *max = now;
  *sum = *sum * decay[0] + V::reduce_add(total);
}

}  // namespace
}  // namespace dsa::cpu

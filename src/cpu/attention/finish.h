// From a row's softmax state to its outputs: the sink, the flags, the caller's dtypes and strides.
#pragma once

#include <cstdint>

#include "core/params.h"
#include "cpu/attention/tier.h"

namespace dsa::cpu {

struct LseFlags {
  bool base2;
  bool with_sink;
  bool empty_pos_inf;
};

// What a softmax over all keys, as max and sum = Σ exp(z - max), comes to. An empty row: max -inf,
// sum 0. sink -inf: none. In double, so that exp(sink - max) does not overflow where the output
// would still be a number.
struct SoftmaxEnd {
  double factor;  // of Σ exp(z - max) v
  double lse;     // as the flags want it
};
SoftmaxEnd end_softmax(double max, double sum, double sink, const LseFlags& flags);

// Writes out, lse and max of heads [head, head + heads) of row t.
void finish_attention(const AttnTier& tier, const SparseAttnParams& p, int64_t t, int32_t head,
                      int32_t heads, const AttnState& state);

}  // namespace dsa::cpu

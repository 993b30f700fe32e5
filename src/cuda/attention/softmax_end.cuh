// The end of a softmax: from the largest logit and the sum of exponentials to lse and the factor
// of the output, with the sink. Shared by attention and merge.
#pragma once

#include <math_constants.h>

namespace dsa::cuda {

struct SoftmaxEnd {
  float factor;  // 1 / (sum + exp(sink - top)): times the weighted sum of V
  float lse;
};

struct LseRule {
  bool base2, with_sink, empty_pos_inf;
};

// exp(a - b) for a <= b, to f32's precision: what the difference loses to rounding comes back as a
// factor (32 - 0.1 is off by 2e-6, as much as a relative error of the result).
__device__ inline float exp_difference(float a, float b) {
  const float difference = a - b;
  if (isinf(difference)) return expf(difference);
  const float b_seen = difference - a, a_seen = difference - b_seen;  // Knuth's two-sum of a and -b
  const float lost = (a - a_seen) + (-b - b_seen);
  return expf(difference) * (1 + lost);
}

// `sum` is sum_j exp(z_j - top); -inf top: an empty row. sink -inf: none.
__device__ inline SoftmaxEnd end_softmax(float top, float sum, float sink, LseRule rule) {
  SoftmaxEnd end;
  const bool empty = top == -CUDART_INF_F;
  if (empty || sink == CUDART_INF_F) {
    end.factor = 0;
  } else if (sink == -CUDART_INF_F) {
    end.factor = 1 / sum;
  } else if (sink > top) {  // no exponent above 0: nothing overflows
    const float below = exp_difference(top, sink);
    end.factor = below / (sum * below + 1);
  } else {
    end.factor = 1 / (sum + exp_difference(sink, top));
  }
  if (empty && rule.empty_pos_inf) {
    end.lse = CUDART_INF_F;
    return end;
  }
  float lse = empty ? -CUDART_INF_F : top + logf(sum);
  if (rule.with_sink && sink != -CUDART_INF_F) {
    const float high = fmaxf(lse, sink), low = fminf(lse, sink);
    lse = high == CUDART_INF_F ? high : high + log1pf(expf(low - high));
  }
  end.lse = rule.base2 ? lse * 1.44269504088896340736f : lse;
  return end;
}

}  // namespace dsa::cuda

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

// `sum` is sum_j exp(z_j - top); -inf top: an empty row. sink -inf: none.
__device__ inline SoftmaxEnd end_softmax(float top, float sum, float sink, LseRule rule) {
  SoftmaxEnd end;
  const bool empty = top == -CUDART_INF_F;
  if (empty || sink == CUDART_INF_F) {
    end.factor = 0;
  } else if (sink == -CUDART_INF_F) {
    end.factor = 1 / sum;
  } else if (sink > top) {  // both exponents at most 0: neither overflows
    end.factor = expf(top - sink) / (sum * expf(top - sink) + 1);
  } else {
    end.factor = 1 / (sum + expf(sink - top));
  }
  float lse = empty ? -CUDART_INF_F : top + logf(sum);
  if (rule.with_sink && sink != -CUDART_INF_F) {
    const float high = fmaxf(lse, sink), low = fminf(lse, sink);
    lse = high == CUDART_INF_F ? high : high + log1pf(expf(low - high));
  }
  if (rule.empty_pos_inf && lse == -CUDART_INF_F) {
    end.lse = CUDART_INF_F;
  } else {
    end.lse = rule.base2 ? lse * 1.44269504088896340736f : lse;
  }
  return end;
}

}  // namespace dsa::cuda

// One row and head of attention: what its outputs must be, and comparing them.
#pragma once

#include <string>
#include <vector>

#include "oracle/element.h"

namespace oracle {

struct HeadResult {
  std::vector<double> out;
  std::vector<double> size;  // sum_j p_j |v_j|: what errors of `out` are relative to
  double lse;                // natural log, keys only
  double max;
  double logit_size;  // largest |scale| sum_d |q k| of a logit
  int64_t keys;
};

// Softmax of logits over values [keys][Dv] with a sink.
HeadResult attend(const std::vector<double>& logits, const std::vector<double>& sizes,
                  const std::vector<const std::vector<double>*>& values, int64_t value_dim,
                  double sink);

// lse as the flags want it written.
double written_lse(const HeadResult& r, double sink, uint64_t flags);

struct AttnOutputs {
  const dsa_tensor* out;
  const dsa_tensor* lse;
  const dsa_tensor* max;
};
std::string check_head(const AttnOutputs& outputs, int64_t t, int64_t h, const HeadResult& want,
                       double sink, uint64_t flags, double p_unit, int64_t dims);

}  // namespace oracle

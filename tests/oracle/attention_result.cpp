#include "oracle/attention_result.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "oracle/text.h"

namespace oracle {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kF32 = 5.9604644775390625e-8;  // 2^-24
// The constant of the sqrt(n) term, and that of a logit's own rounding (an error of a logit is a
// relative error of its p).
constexpr double kSum = 8;
constexpr double kLogit = 4;

bool close(double got, double want, double bound) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want)) return got == want;
  return std::fabs(got - want) <= bound;
}

}  // namespace

HeadResult attend(const std::vector<double>& logits, const std::vector<double>& sizes,
                  const std::vector<const std::vector<double>*>& values, int64_t value_dim,
                  double sink) {
  HeadResult r;
  r.keys = static_cast<int64_t>(logits.size());
  r.out.assign(size_t(value_dim), 0.0);
  r.size.assign(size_t(value_dim), 0.0);
  r.max = -kInf;
  r.logit_size = 0;
  bool nan = false;
  for (size_t j = 0; j < logits.size(); ++j) {
    nan = nan || std::isnan(logits[j]);
    r.max = std::max(r.max, logits[j]);
    r.logit_size = std::max(r.logit_size, sizes[j]);
  }
  if (nan) {
    r.max = r.lse = std::nan("");
    std::fill(r.out.begin(), r.out.end(), std::nan(""));
    return r;
  }
  if (logits.empty()) {
    r.lse = -kInf;
    return r;
  }
  double sum = 0;
  for (const double z : logits) sum += std::exp(z - r.max);
  r.lse = r.max + std::log(sum);
  const double denominator = sum + std::exp(sink - r.max);
  for (size_t j = 0; j < logits.size(); ++j) {
    const double p = std::exp(logits[j] - r.max) / denominator;
    for (size_t i = 0; i < size_t(value_dim); ++i) {
      r.out[i] += p * (*values[j])[i];
      r.size[i] += p * std::fabs((*values[j])[i]);
    }
  }
  if (sink == kInf) {
    std::fill(r.out.begin(), r.out.end(), 0.0);
    std::fill(r.size.begin(), r.size.end(), 0.0);
  }
  return r;
}

double written_lse(const HeadResult& r, double sink, uint64_t flags) {
  if (r.keys == 0 && flags & DSA_LSE_EMPTY_POS_INF) return kInf;
  double lse = r.lse;
  if (flags & DSA_LSE_WITH_SINK && sink > -kInf) {
    const double most = std::max(lse, sink);
    lse = most == kInf ? kInf : most + std::log(std::exp(lse - most) + std::exp(sink - most));
  }
  return flags & DSA_LSE_BASE2 ? lse / std::log(2.0) : lse;
}

std::string check_head(const AttnOutputs& o, int64_t t, int64_t h, const HeadResult& want,
                       double sink, uint64_t flags, double p_unit, int64_t dims) {
  const double logit_error = kLogit * kF32 * std::sqrt(double(dims)) * want.logit_size;
  const std::string where = text("row ", t, " head ", h);
  if (given(*o.out)) {
    const double relative = unit(o.out->dtype) + 2 * p_unit +
                            kSum * std::sqrt(double(want.keys) + 1) * kF32 + 2 * logit_error;
    for (size_t i = 0; i < want.out.size(); ++i) {
      const double got = row_number(*o.out, t, {h, int64_t(i)});
      const double tiny = o.out->dtype == DSA_F16 ? 6e-8 : 1e-37;
      if (!close(got, want.out[i], relative * want.size[i] + tiny)) {
        return text(where, ": out[", i, "] is ", got, ", must be ", want.out[i], " within ",
                    relative * want.size[i]);
      }
    }
  }
  if (given(*o.lse)) {
    const double expected = written_lse(want, sink, flags);
    const double bound = logit_error + 16 * kF32 * (1 + std::fabs(expected)) + p_unit / 64;
    const double got = row_number(*o.lse, t, {h});
    if (!close(got, expected, bound)) {
      return text(where, ": lse is ", got, ", must be ", expected, " within ", bound);
    }
  }
  if (given(*o.max)) {
    const double got = row_number(*o.max, t, {h});
    if (!close(got, want.max, logit_error + 4 * kF32 * std::fabs(want.max))) {
      return text(where, ": max is ", got, ", must be ", want.max);
    }
  }
  return "";
}

}  // namespace oracle

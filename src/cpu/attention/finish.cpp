#include "cpu/attention/finish.h"

#include <cmath>
#include <limits>

namespace dsa::cpu {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kLog2E = 1.4426950408889634;

AttnType out_type(int32_t dtype) {
  if (dtype == DSA_F32) return AttnType::kF32;
  return dtype == DSA_F16 ? AttnType::kF16 : AttnType::kBf16;
}

}  // namespace

SoftmaxEnd end_softmax(double max, double sum, double sink, const LseFlags& flags) {
  SoftmaxEnd end;
  if (max == -kInf && sum == 0) {
    end.factor = 0;
    end.lse = flags.with_sink ? sink : -kInf;
    if (flags.empty_pos_inf) end.lse = kInf;
  } else {
    // Where every logit is NaN max is still -inf; the sum carries the NaN.
    const double base = max == -kInf ? 0 : max;
    const double with_sink = sum + std::exp(sink - base);
    end.factor = 1 / with_sink;
    if (!flags.with_sink) {
      end.lse = base + std::log(sum);
    } else if (sink > base) {
      end.lse = sink + std::log1p(sum * std::exp(base - sink));
    } else {
      end.lse = base + std::log(with_sink);
    }
  }
  if (flags.base2) end.lse *= kLog2E;
  return end;
}

void finish_attention(const AttnTier& tier, const SparseAttnParams& p, int64_t t, int32_t head,
                      int32_t heads, const AttnState& state) {
  const LseFlags flags = {p.lse_base2, p.lse_with_sink, p.lse_empty_pos_inf};
  const int64_t ld = attn_padded(p.value_dim);
  alignas(64) static constexpr float kZeros[16] = {};
  for (int32_t i = 0; i < heads; ++i) {
    const int32_t h = head + i;
    const bool empty = state.keys == 0;
    const double max = empty ? -kInf : double(state.max[i]);
    const double sum = empty ? 0 : double(state.sum[i]);
    const double sink =
        p.sink ? double(*reinterpret_cast<const float*>(p.sink + h * p.sink_stride)) : -kInf;
    const SoftmaxEnd end = end_softmax(max, sum, sink, flags);
    if (p.out.given()) {
      char* out = p.out.row(t) + h * p.out.stride[0] * p.out.bytes;
      const AttnType type = out_type(p.out.dtype);
      const int64_t stride = p.out.stride[1];
      if (max == -kInf && sum == 0) {
        for (int32_t d = 0; d < p.value_dim; d += 16) {
          tier.write(type, out + d * stride * p.out.bytes, stride, kZeros,
                     p.value_dim - d < 16 ? p.value_dim - d : 16, 0.0f);
        }
      } else {
        tier.write(type, out, stride, state.out + i * ld, p.value_dim, float(end.factor));
      }
    }
    if (p.lse.given()) p.lse.row_as<float>(t)[h * p.lse.stride[0]] = float(end.lse);
    if (p.max.given()) {
      const bool nan = std::isnan(sum) && max != kInf;
      p.max.row_as<float>(t)[h * p.max.stride[0]] = nan ? state.sum[i] : float(max);
    }
  }
}

}  // namespace dsa::cpu

// dsa_merge_lse on the CPU, plain C++: every element is read once and multiplied once, so memory
// decides, not the instruction set.
#include "cpu/merge/merge_lse.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "core/params.h"
#include "cpu/attention/finish.h"
#include "cpu/simd/convert.h"
#include "cpu/simd/float_mode.h"

namespace dsa::cpu {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kLn2 = 0.6931471805599453;
constexpr int32_t kChunk = 512;  // elements of an output row at a time: 2 KB of sums

// sums[i] += weight * src[i]
void add(float* sums, const char* src, int32_t dtype, int64_t stride, int32_t n, float weight) {
  if (dtype == DSA_F32) {
    const float* x = reinterpret_cast<const float*>(src);
    if (stride == 1) {
      for (int32_t i = 0; i < n; ++i) sums[i] += weight * x[i];
    } else {
      for (int32_t i = 0; i < n; ++i) sums[i] += weight * x[i * stride];
    }
    return;
  }
  const uint16_t* x = reinterpret_cast<const uint16_t*>(src);
  if (dtype == DSA_BF16) {
    for (int32_t i = 0; i < n; ++i) sums[i] += weight * bf16_to_f32(x[i * stride]);
  } else {
    for (int32_t i = 0; i < n; ++i) sums[i] += weight * f16_to_f32(x[i * stride]);
  }
}

void write(char* dst, int32_t dtype, int64_t stride, const float* src, int32_t n) {
  if (dtype == DSA_F32) {
    for (int32_t i = 0; i < n; ++i) reinterpret_cast<float*>(dst)[i * stride] = src[i];
    return;
  }
  uint16_t* x = reinterpret_cast<uint16_t*>(dst);
  if (dtype == DSA_BF16) {
    for (int32_t i = 0; i < n; ++i) x[i * stride] = f32_to_bf16(src[i]);
  } else {
    for (int32_t i = 0; i < n; ++i) x[i * stride] = f32_to_f16(src[i]);
  }
}

// A part's natural lse; -inf when it is empty.
double part_lse(const MergeLseParams& p, int64_t part, int64_t t, int32_t h) {
  const char* at =
      p.partial_lse.row(t) + part * p.lse_part_stride + h * p.partial_lse.stride[0] * 4;
  const double lse = *reinterpret_cast<const float*>(at);
  if (p.lse_empty_pos_inf && lse == kInf) return -kInf;
  return p.lse_base2 ? lse * kLn2 : lse;
}

void merge_head(const MergeLseParams& p, int64_t t, int32_t h) {
  double top = -kInf;
  for (int64_t i = 0; i < p.parts; ++i) {
    const double lse = part_lse(p, i, t, h);
    if (lse > top) top = lse;
  }
  const double base = top == -kInf ? 0 : top;
  double sum = 0;
  for (int64_t i = 0; i < p.parts; ++i) {
    const double lse = part_lse(p, i, t, h);
    if (lse != -kInf) sum += std::exp(lse - base);
  }
  const double sink =
      p.sink ? double(*reinterpret_cast<const float*>(p.sink + h * p.sink_stride)) : -kInf;
  const SoftmaxEnd end =
      end_softmax(top, sum, sink, {p.lse_base2, p.lse_with_sink, p.lse_empty_pos_inf});
  if (p.out.given()) {
    alignas(64) float sums[kChunk];
    for (int32_t d = 0; d < p.value_dim; d += kChunk) {
      const int32_t n = std::min(kChunk, p.value_dim - d);
      std::fill_n(sums, n, 0.0f);
      for (int64_t i = 0; i < p.parts; ++i) {
        const double lse = part_lse(p, i, t, h);
        if (lse == -kInf) continue;
        const RowTensor& x = p.partial_out;
        const char* at =
            x.row(t) + i * p.out_part_stride + (h * x.stride[0] + d * x.stride[1]) * x.bytes;
        add(sums, at, x.dtype, x.stride[1], n, float(std::exp(lse - base) * end.factor));
      }
      char* out = p.out.row(t) + (h * p.out.stride[0] + d * p.out.stride[1]) * p.out.bytes;
      write(out, p.out.dtype, p.out.stride[1], sums, n);
    }
  }
  if (p.lse.given()) p.lse.row_as<float>(t)[h * p.lse.stride[0]] = float(end.lse);
  if (p.max.given()) {
    float max = -std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < p.parts; ++i) {
      if (part_lse(p, i, t, h) == -kInf) continue;
      const char* at =
          p.partial_max.row(t) + i * p.max_part_stride + h * p.partial_max.stride[0] * 4;
      const float x = *reinterpret_cast<const float*>(at);
      if (x > max || x != x) max = x;
    }
    p.max.row_as<float>(t)[h * p.max.stride[0]] = max;
  }
}

const char* refuse(const MergeLseParams&) { return nullptr; }

uint64_t workspace(const MergeLseParams&, int32_t) { return 0; }

// About 0.5 ns an element and part on one core.
void launch(const MergeLseParams& p, const Run& run) {
  const double ns =
      double(p.rows) * p.heads * (50.0 + double(p.parts) * (40.0 + 0.5 * p.value_dim));
  const int32_t lanes = run.parallel->lanes_for(ns);
  const int64_t tasks = p.rows * p.heads;
  const int64_t turn = std::max<int64_t>(1, tasks / (int64_t{8} * lanes));
  std::atomic<int64_t> next{0};
  run.lanes(lanes, [&](int32_t) {
    const DefaultFloatMode mode;
    for (;;) {
      const int64_t begin = next.fetch_add(turn, std::memory_order_relaxed);
      if (begin >= tasks) return;
      for (int64_t i = begin; i < std::min(begin + turn, tasks); ++i) {
        merge_head(p, i / p.heads, int32_t(i % p.heads));
      }
    }
  });
}

}  // namespace

constinit const Kernel kMergeLse = make_cpu_kernel<MergeLseParams, refuse, workspace, launch>(
    "cpu.merge_lse.scalar", "scalar", CpuTier::kScalar);

}  // namespace dsa::cpu

// The consumer warps of a block: 16 M heads of one row. Each warp owns a slice of the columns, for
// both products, so that a byte of a tile leaves shared memory once a product (and an FP8 element
// is converted by one warp): partial logits are summed through shared memory, by the warp that then
// has the softmax of 4 heads.
#pragma once

#include "cuda/attention/finish.cuh"
#include "cuda/attention/mma/format.cuh"
#include "cuda/attention/mma/producer.cuh"
#include "cuda/attention/softmax.cuh"
#include "cuda/element.cuh"
#include "cuda/mma.cuh"

namespace dsa::cuda {

constexpr int32_t kLogitPitch = kTileKeys + 8;        // floats: stores of 8 rows meet no bank twice
constexpr int32_t kWeightPitch = kTileKeys * 2 + 16;  // bytes: an odd multiple of 16
constexpr int32_t kFp8Groups = 4;

template <int M>
struct MmaShape {
  static constexpr int32_t kHeads = 16 * M;
  static constexpr int32_t kWarps = 4 * M;
  static constexpr int32_t kConsumers = 32 * kWarps;
  static constexpr int32_t kThreads = kConsumers + 32 * kProducerWarps;
  static constexpr int32_t kHeadsOfWarp = 4;
  static constexpr int32_t kKeySteps = (36 + kWarps - 1) / kWarps;  // most of a warp, of 16 columns
  static constexpr int32_t kUnits = 32 / kWarps;  // most of a warp, of 16 columns of V
  static constexpr int32_t kBlocksOfSm = M == 1 ? 2 : 1;
  // On sm_90: 256 threads of 128, or 384 of 168.
  static constexpr int32_t kProducerRegisters = 72;
  static constexpr int32_t kConsumerRegisters = M == 1 ? 184 : 216;
};

// Behind the stages.
template <class Format, int M>
struct MmaScratch {
  using Shape = MmaShape<M>;
  static constexpr int32_t kGroups = Format::kIsFp8 ? kFp8Groups : 1;
  float logits[Shape::kWarps][Shape::kHeads][kLogitPitch];
  alignas(16) char weights[kGroups][Shape::kHeads][kWeightPitch];
  float decay[Shape::kHeads];
  float ends[Shape::kHeads];
};

template <class Format, int M>
class MmaConsumer {
  using Shape = MmaShape<M>;
  using Element = typename Format::Element;
  using Scratch = MmaScratch<Format, M>;

 public:
  __device__ MmaConsumer(const SparseAttnParams& p, const MmaCall& call, const AttnTask& task,
                         Scratch& scratch)
      : p_(p), call_(call), task_(task), scratch_(scratch) {
    warp_ = threadIdx.x / 32;
    lane_ = threadIdx.x % 32;
    const int32_t units = (p.value_dim + 15) / 16;
    if constexpr (Format::kIsFp8) {  // a warp's columns are of one group of scales
      first_unit_ = Shape::kUnits * warp_;
      units_ = min(max(units - first_unit_, 0), Shape::kUnits);
    } else {
      first_step_ = warp_ * call.key_steps / Shape::kWarps;
      steps_ = (warp_ + 1) * call.key_steps / Shape::kWarps - first_step_;
      first_unit_ = warp_ * units / Shape::kWarps;
      units_ = (warp_ + 1) * units / Shape::kWarps - first_unit_;
    }
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t u = 0; u < Shape::kUnits * 2; ++u) {
#pragma unroll
        for (int32_t i = 0; i < 4; ++i) sums_[m][u][i] = 0;
      }
    }
#pragma unroll
    for (int32_t i = 0; i < Shape::kHeadsOfWarp; ++i) top_[i] = -CUDART_INF_F, sum_[i] = 0;
    load_query();
  }

  // One tile of `keys` keys.
  __device__ void add(uint32_t tile, int32_t keys, int32_t value_offset) {
    add_logits(tile);
    sync_consumers(Shape::kConsumers);
    add_weights(tile, keys);
    sync_consumers(Shape::kConsumers);
    decay_sums();
    add_values(tile + value_offset);
  }

  __device__ void finish(const AttnDivision& d) {
#pragma unroll
    for (int32_t i = 0; i < Shape::kHeadsOfWarp; ++i) {
      const int32_t h = warp_ * Shape::kHeadsOfWarp + i;
      const float sum = warp_sum(sum_[i]);
      if (lane_ != 0 || h >= task_.heads) continue;
      if (d.splits > 1) {
        d.partials.state[partial(d, h)] = {top_[i], sum};
        scratch_.ends[h] = 1 / Format::kWeightScale;
      } else {
        const SoftmaxEnd end = end_head(p_, task_.head + h, top_[i], sum);
        write_numbers(p_, task_.t, task_.head + h, top_[i], end.lse);
        scratch_.ends[h] = end.factor / Format::kWeightScale;
      }
    }
    sync_consumers(Shape::kConsumers);
    if (p_.value_dim == 0) return;
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t row = 0; row < 2; ++row) {
        const int32_t h = m * 16 + row * 8 + lane_ / 4;
        if (h < task_.heads) write_head(d, m, row, h);
      }
    }
  }

 private:
  __device__ int64_t partial(const AttnDivision& d, int32_t h) const {
    return (task_.t * p_.heads + task_.head + h) * d.splits + task_.split;
  }

  // Element (h, column) of the query as it lies; 0 outside. Every lane loads something, so that the
  // loads of all steps are under way together.
  __device__ uint32_t query_element(int32_t h, int32_t column) const {
    const RowTensor& q = p_.q[0];
    const RowTensor& q2 = p_.q[1];
    const int32_t first = static_cast<int32_t>(q.extent[1]);
    const bool second = column >= first;
    const int32_t in_second = column - first;
    const bool inside = h < task_.heads && (!second || (q2.given() && in_second < q2.extent[1]));
    const int64_t head = task_.head + min(h, task_.heads - 1);
    const char* at = query_row_[0] + (head * q.stride[0] + column * q.stride[1]) * 2;
    if (second) at = query_row_[1] + (head * q2.stride[0] + in_second * q2.stride[1]) * 2;
    const uint32_t x = *reinterpret_cast<const uint16_t*>(inside ? at : query_row_[0]);
    return inside ? x : 0;
  }

  // The A operand of one step: columns `at` and `at + next` of row l / 4, the same 8 rows further,
  // and both rows again `far` columns further.
  __device__ void load_step(uint32_t (&a)[4], int32_t m, int32_t at, int32_t next, int32_t far) {
#pragma unroll
    for (int32_t i = 0; i < 4; ++i) {
      const int32_t h = m * 16 + lane_ / 4 + i % 2 * 8;
      const int32_t column = at + i / 2 * far;
      a[i] = query_element(h, column) | query_element(h, column + next) << 16;
    }
  }

  __device__ void load_query() {
    query_row_[0] = p_.q[0].row(task_.t);
    query_row_[1] = p_.q[1].given() ? p_.q[1].row(task_.t) : nullptr;
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t i = 0; i < Shape::kKeySteps; ++i) {
        if constexpr (Format::kIsFp8) {
          if (i < Shape::kUnits) {  // as e4m3x4_to_bf16 hands out the keys' columns
            load_step(query_[m][i], m, (first_unit_ + i) * 16 + lane_ % 4 * 4, 2, 1);
          } else {
            load_step(query_[m][i], m, 512 + warp_ * 16 + lane_ % 4 * 2, 1, 8);
          }
        } else {
          load_step(query_[m][i], m, (first_step_ + i) * 16 + lane_ % 4 * 2, 1, 8);
        }
      }
    }
  }

  // Products of one step of 16 columns that lie at `columns` of each row, 16-bit elements.
  __device__ void add_step(float (&logits)[M][4][4], int32_t step, uint32_t columns) {
#pragma unroll
    for (int32_t half = 0; half < 2; ++half) {
      const int32_t key = half * 16 + lane_ / 16 * 8 + lane_ % 8;
      uint32_t b[4];
      load_matrices(b, columns + key * call_.pitch + lane_ / 8 % 2 * 16);
#pragma unroll
      for (int32_t m = 0; m < M; ++m) {
        mma_16x8x16<Element>(logits[m][half * 2], query_[m][step], b[0], b[1]);
        mma_16x8x16<Element>(logits[m][half * 2 + 1], query_[m][step], b[2], b[3]);
      }
    }
  }

  __device__ void add_fp8_steps(float (&logits)[M][4][4], uint32_t tile) {
#pragma unroll
    for (int32_t i = 0; i < Shape::kUnits; ++i) {
      uint32_t x[4];  // 16 columns of keys 8 j + l / 4
      load_matrices(x, tile + lane_ * call_.pitch + (first_unit_ + i) * 16);
#pragma unroll
      for (int32_t j = 0; j < 4; ++j) {
        const Bf16Pairs b = e4m3x4_to_bf16<true>(x[j]);
#pragma unroll
        for (int32_t m = 0; m < M; ++m) {
          mma_16x8x16<Element>(logits[m][j], query_[m][i], b.even, b.odd);
        }
      }
    }
    const uint32_t scales = tile + 512 + first_unit_ / 8 * 4;
#pragma unroll
    for (int32_t j = 0; j < 4; ++j) {
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        const float scale = load_shared(scales + (j * 8 + lane_ % 4 * 2 + i) * call_.pitch);
#pragma unroll
        for (int32_t m = 0; m < M; ++m) logits[m][j][i] *= scale, logits[m][j][i + 2] *= scale;
      }
    }
    if (warp_ < 4) add_step(logits, Shape::kUnits, tile + 528 + warp_ * 32);
  }

  __device__ static float load_shared(uint32_t address) {
    float x;
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(x) : "r"(address) : "memory");
    return x;
  }

  __device__ void add_logits(uint32_t tile) {
    float logits[M][4][4] = {};
    if constexpr (Format::kIsFp8) {
      add_fp8_steps(logits, tile);
    } else {
#pragma unroll
      for (int32_t i = 0; i < Shape::kKeySteps; ++i) {
        if (i < steps_) add_step(logits, i, tile + (first_step_ + i) * 32);
      }
    }
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t j = 0; j < 4; ++j) {
#pragma unroll
        for (int32_t row = 0; row < 2; ++row) {
          float* const to =
              &scratch_.logits[warp_][m * 16 + row * 8 + lane_ / 4][j * 8 + lane_ % 4 * 2];
          *reinterpret_cast<float2*>(to) = {logits[m][j][row * 2], logits[m][j][row * 2 + 1]};
        }
      }
    }
  }

  // Of this warp's 4 heads: lane l has key l.
  __device__ void add_weights(uint32_t tile, int32_t keys) {
    float scales[Scratch::kGroups];
    scales[0] = Format::kWeightScale;
    if constexpr (Format::kIsFp8) {
#pragma unroll
      for (int32_t g = 0; g < kFp8Groups; ++g) {
        scales[g] = load_shared(tile + lane_ * call_.pitch + 512 + g * 4);
      }
    }
#pragma unroll
    for (int32_t i = 0; i < Shape::kHeadsOfWarp; ++i) {
      const int32_t h = warp_ * Shape::kHeadsOfWarp + i;
      float z = 0;
#pragma unroll
      for (int32_t w = 0; w < Shape::kWarps; ++w) z += scratch_.logits[w][h][lane_];
      z = lane_ < keys ? z * p_.scale : -CUDART_INF_F;
      const float now = max_or_nan(top_[i], warp_max_or_nan(z));
      const float base = finite_top(now);
      const float decay = __expf(top_[i] - base);
      const float weight = __expf(z - base);
      sum_[i] = sum_[i] * decay + weight;
      top_[i] = now;
      if (lane_ == 0) scratch_.decay[h] = decay;
#pragma unroll
      for (int32_t g = 0; g < Scratch::kGroups; ++g) {
        // 0 times an infinite scale must stay 0 where the key is missing.
        const float scaled = lane_ < keys ? weight * scales[g] : 0;
        reinterpret_cast<Element*>(scratch_.weights[g][h])[lane_] = round_to<Element>(scaled);
      }
    }
  }

  __device__ void decay_sums() {
    float decay[M][2];
    bool same = true;
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t row = 0; row < 2; ++row) {
        decay[m][row] = scratch_.decay[m * 16 + row * 8 + lane_ / 4];
        same = same && decay[m][row] == 1;
      }
    }
    if (__all_sync(~0u, same)) return;
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t u = 0; u < Shape::kUnits * 2; ++u) {
#pragma unroll
        for (int32_t i = 0; i < 4; ++i) sums_[m][u][i] *= decay[m][i / 2];
      }
    }
  }

  __device__ void add_values(uint32_t values) {
    const int32_t group = Format::kIsFp8 ? first_unit_ / 8 : 0;
#pragma unroll
    for (int32_t half = 0; half < 2; ++half) {
      uint32_t a[M][4];
#pragma unroll
      for (int32_t m = 0; m < M; ++m) {
        load_matrices(a[m], shared_address(scratch_.weights[group][m * 16 + lane_ % 16]) +
                                half * 32 + lane_ / 16 * 16);
      }
      const uint32_t keys = values + (half * 16 + lane_ % 16) * call_.pitch + lane_ / 16 * 16;
      if constexpr (Format::kIsFp8) {
#pragma unroll
        for (int32_t u = 0; u < Shape::kUnits; u += 2) {  // 32 columns a load
          if (u >= units_) break;
          uint32_t x[4];
          load_matrices_transposed(x, keys + (first_unit_ + u) * 16);
#pragma unroll
          for (int32_t i = 0; i < 2; ++i) {
            const Bf16Pairs low = e4m3x4_to_bf16<false>(x[i * 2]);
            const Bf16Pairs high = e4m3x4_to_bf16<false>(x[i * 2 + 1]);
#pragma unroll
            for (int32_t m = 0; m < M; ++m) {
              mma_16x8x16<Element>(sums_[m][(u + i) * 2], a[m], low.even, high.even);
              mma_16x8x16<Element>(sums_[m][(u + i) * 2 + 1], a[m], low.odd, high.odd);
            }
          }
        }
      } else {
#pragma unroll
        for (int32_t u = 0; u < Shape::kUnits; ++u) {
          if (u >= units_) break;
          uint32_t b[4];
          load_matrices_transposed(b, keys + (first_unit_ + u) * 32);
#pragma unroll
          for (int32_t m = 0; m < M; ++m) {
            mma_16x8x16<Element>(sums_[m][u * 2], a[m], b[0], b[1]);
            mma_16x8x16<Element>(sums_[m][u * 2 + 1], a[m], b[2], b[3]);
          }
        }
      }
    }
  }

  __device__ void write_head(const AttnDivision& d, int32_t m, int32_t row, int32_t h) {
    const float factor = scratch_.ends[h];
    if (d.splits > 1) {
      write_columns<DSA_F32>(d.partials.out + partial(d, h) * p_.value_dim, 1, m, row, factor);
      return;
    }
    const int64_t head = (task_.head + h) * p_.out.stride[0];
    char* const out = p_.out.row(task_.t) + head * p_.out.bytes;
    const int64_t stride = p_.out.stride[1];
    if (p_.out.dtype == DSA_BF16) {
      write_columns<DSA_BF16>(out, stride, m, row, factor);
    } else if (p_.out.dtype == DSA_F16) {
      write_columns<DSA_F16>(out, stride, m, row, factor);
    } else {
      write_columns<DSA_F32>(out, stride, m, row, factor);
    }
  }

  template <int32_t dtype>
  __device__ void write_columns(void* out, int64_t stride, int32_t m, int32_t row, float factor) {
#pragma unroll
    for (int32_t u = 0; u < Shape::kUnits * 2; ++u) {
      if (u / 2 >= units_) break;
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        const int32_t column = (first_unit_ + u / 2) * 16 + Format::value_column(u % 2, i);
        if (column >= p_.value_dim) continue;
        // Selected, not indexed: sums_ must stay in registers.
        const float x = row == 0 ? sums_[m][u][i] : sums_[m][u][i + 2];
        store_element(static_cast<char*>(out), dtype, column * stride, x * factor);
      }
    }
  }

  const SparseAttnParams& p_;
  const MmaCall& call_;
  const AttnTask& task_;
  Scratch& scratch_;
  int32_t warp_, lane_;
  int32_t first_step_ = 0, steps_ = 0;  // of the plain keys' columns
  int32_t first_unit_ = 0, units_ = 0;  // of V's columns
  const char* query_row_[2];
  uint32_t query_[M][Shape::kKeySteps][4];
  float sums_[M][Shape::kUnits * 2][4];
  float top_[Shape::kHeadsOfWarp], sum_[Shape::kHeadsOfWarp];
};

}  // namespace dsa::cuda

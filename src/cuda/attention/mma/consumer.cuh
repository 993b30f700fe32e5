// The consumer warps of a block: 16 M heads of one row. Each warp owns a slice of the columns, for
// both products, so that a byte of a tile leaves shared memory once a product (and an FP8 element
// is converted by one warp): partial logits are summed through shared memory, by the warp that then
// has the softmax of 4 heads.
#pragma once

#include "cuda/attention/finish.cuh"
#include "cuda/attention/mma/query.cuh"
#include "cuda/attention/mma/reader.cuh"
#include "cuda/attention/mma/weights.cuh"
#include "cuda/attention/output.cuh"
#include "cuda/mma.cuh"

namespace dsa::cuda {

template <int M>
struct MmaShape {
  static constexpr int32_t kHeads = 16 * M;
  static constexpr int32_t kWarps = 4 * M;
  static constexpr int32_t kConsumers = 32 * kWarps;
  static constexpr int32_t kThreads = kConsumers + 32 * kProducerWarps;
  static constexpr int32_t kKeySteps = (36 + kWarps - 1) / kWarps;  // most of a warp, of 16 columns
  static constexpr int32_t kUnits = 32 / kWarps;  // most of a warp, of 16 columns of V
  static constexpr int32_t kBlocksOfSm = M == 1 ? 2 : 1;
  // Exchanges: with two, which need 3 stages, the products of a tile, the softmax of the next and
  // the logits of the one after run between the same barriers; with one, another block fills the
  // waits.
  static constexpr int32_t kExchanges = M == 1 ? 1 : 2;
  static constexpr int32_t kLeastStages = M == 1 ? 1 : 3;
  // On sm_90: 256 threads of 128, or 384 of 168.
  static constexpr int32_t kProducerRegisters = 72;
  static constexpr int32_t kConsumerRegisters = M == 1 ? 184 : 216;
};

// Floats from one head's sums to the next in shared memory: stores of 8 heads meet no bank twice.
DSA_HOST_DEVICE constexpr int32_t mma_sum_pitch(int32_t value_dim) {
  return (value_dim + 31) / 32 * 32 + 8;
}

// Of a block, behind the stages.
template <class Format, int M>
struct MmaScratch {
  MmaExchange<Format, MmaShape<M>::kWarps> exchange[MmaShape<M>::kExchanges];
  float ends[MmaShape<M>::kHeads];
};

template <class Format, int M>
class MmaConsumer {
  using Shape = MmaShape<M>;
  using Element = typename Format::Element;
  using Exchange = MmaExchange<Format, Shape::kWarps>;
  using Scratch = MmaScratch<Format, M>;

 public:
  __device__ MmaConsumer(const SparseAttnParams& p, const MmaCall& call, const AttnTask& task,
                         Scratch& scratch, int32_t warp, int32_t lane)
      : p_(p),
        call_(call),
        task_(task),
        scratch_(scratch),
        warp_(warp),
        lane_(lane),
        pitch_(call.pitch),
        weights_(scratch.exchange[0], warp, lane, p.scale) {
    own_columns();
    load_query();
    const int32_t pitch = key_pitch();
    const int32_t plain = (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 16;
    if constexpr (Format::kIsFp8) {
      key_at_ = lane * pitch + first_unit_ * 16;
      rope_at_ = plain + kFp8RopeOffset + warp % 4 * 32;
      scale_at_ = lane % 4 * 2 * pitch + kFp8ScaleOffset + group_ * 4;
      value_at_ = lane % 16 * pitch + lane / 16 * 16 + first_unit_ * 16;
    } else {
      key_at_ = plain + first_step_ * 32;
      value_at_ = lane % 16 * pitch + lane / 16 * 16 + first_unit_ * 32;
    }
    logits_to_ = &scratch.exchange[0].logits[warp][lane / 4][lane % 4 * 2];
    weights_from_ = shared_address(scratch.exchange[0].weights[group_][lane % 16]) + lane / 16 * 16;
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t u = 0; u < Shape::kUnits * 2; ++u) {
#pragma unroll
        for (int32_t i = 0; i < 4; ++i) sums_[m][u][i] = 0;
      }
    }
  }

  __device__ void run(TileReader& reader) {
    if constexpr (Shape::kExchanges == 1) {
      for (HeldTile tile; reader.take(tile); reader.release(tile)) {
        add_logits(tile.address, 0);
        sync_consumers(Shape::kConsumers);
        add_weights(tile, 0);
        sync_consumers(Shape::kConsumers);
        add_values(tile, 0);
      }
      return;
    }
    HeldTile first = {}, second = {}, third = {};
    bool has_first = false, has_second = false, more = true;
    for (int32_t turn = 0;; turn ^= 1) {
      if (has_first) {
        add_values(first, turn);
        reader.release(first);
      }
      if (has_second) add_weights(second, turn ^ 1);
      more = more && reader.take(third);
      if (more) add_logits(third.address, turn);
      if (!has_second && !more) return;
      sync_consumers(Shape::kConsumers);
      first = second, has_first = has_second;
      second = third, has_second = more;
    }
  }

  // `tiles`: the stages' memory, which is free by now.
  __device__ void finish(const AttnDivision& d, float* tiles) {
    float top, sum;
    weights_.end(top, sum);
    const int32_t h = warp_ * kHeadsOfWarp + lane_;
    if (lane_ < kHeadsOfWarp && h < task_.heads) {
      if (d.splits > 1) {
        d.partials.state[partial(d, h)] = {top, sum};
        scratch_.ends[h] = 1;
      } else {
        const SoftmaxEnd end = end_head(p_, task_.head + h, top, sum);
        write_numbers(p_, task_.t, task_.head + h, top, end.lse);
        scratch_.ends[h] = end.factor;
      }
    }
    sync_consumers(Shape::kConsumers);
    if (p_.value_dim == 0) return;
    const int32_t pitch = mma_sum_pitch(p_.value_dim);
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
      store_sums(tiles, m, pitch);
      sync_consumers(Shape::kConsumers);
#pragma unroll 1
      for (int32_t row = warp_; row < 16; row += Shape::kWarps) {
        if (m * 16 + row < task_.heads) write_head(d, m * 16 + row, tiles + row * pitch);
      }
      sync_consumers(Shape::kConsumers);
    }
  }

 private:
  __device__ void add_weights(const HeldTile& tile, int32_t turn) {
    weights_.add(tile.keys, tile.address + lane_ * key_pitch() + kFp8ScaleOffset, turn);
  }

  __device__ int32_t key_pitch() const { return Format::kIsFp8 ? kFp8RowBytes : pitch_; }

  __device__ void own_columns() {
    const int32_t units = (p_.value_dim + 15) / 16;
    if constexpr (Format::kIsFp8) {  // a warp's columns are of one group of scales
      first_unit_ = Shape::kUnits * warp_;
      units_ = min(max(units - first_unit_, 0), Shape::kUnits);
      group_ = first_unit_ / 8;
    } else {
      first_step_ = warp_ * call_.key_steps / Shape::kWarps;
      steps_ = (warp_ + 1) * call_.key_steps / Shape::kWarps - first_step_;
      first_unit_ = warp_ * units / Shape::kWarps;
      units_ = (warp_ + 1) * units / Shape::kWarps - first_unit_;
    }
  }

  __device__ void load_query() {
    const QueryRows rows(p_, task_);
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t i = 0; i < Shape::kKeySteps; ++i) {
        if constexpr (Format::kIsFp8) {
          if (i < Shape::kUnits) {  // 4 neighbouring bytes of a key are two pairs of the operand
            rows.load<true>(query_[m][i], m, (first_unit_ + i) * 16);
          } else {  // warps past the fourth have no columns of rope: zeros, past the end
            rows.load<false>(query_[m][i], m, 512 + warp_ * 16);
          }
        } else {
          const int32_t step = i < steps_ ? first_step_ + i : call_.key_steps;  // zeros as well
          rows.load<false>(query_[m][i], m, step * 16);
        }
      }
      if constexpr (Format::kIsFp8) query_to_f16<Shape::kUnits>(query_[m], undo_[m]);
    }
  }

  // 16 columns of 16-bit elements of 32 keys, at `columns` in this lane's row.
  __device__ void load_step(uint32_t (&b)[2][4], uint32_t columns) const {
    load_matrices(b[0], columns);
    load_matrices(b[1], columns + 16 * key_pitch());
  }

  template <class T>
  __device__ void add_step(float (&logits)[M][4][4], int32_t step, const uint32_t (&b)[2][4]) {
#pragma unroll
    for (int32_t j = 0; j < 4; ++j) {
#pragma unroll
      for (int32_t m = 0; m < M; ++m) {
        mma_16x8x16<T>(logits[m][j], query_[m][step], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
      }
    }
  }

  // Fragments are loaded kAhead steps before their use: a warp meets the latency of shared memory
  // alone, there are no others to hide it. A step past the warp's share has a query of 0 and reads
  // its first columns again.
  __device__ void add_plain_steps(float (&logits)[M][4][4], uint32_t tile) {
    constexpr int32_t kAhead = M == 1 ? 2 : 1;
    uint32_t b[kAhead + 1][2][4];
#pragma unroll
    for (int32_t i = 0; i < kAhead + Shape::kKeySteps; ++i) {
      if (i < Shape::kKeySteps) {
        load_step(b[i % (kAhead + 1)], tile + key_at_ + (i < steps_ ? i * 32 : 0));
      }
      if (i >= kAhead) add_step<Element>(logits, i - kAhead, b[(i - kAhead) % (kAhead + 1)]);
    }
  }

  __device__ void add_fp8_steps(float (&logits)[M][4][4], uint32_t tile) {
    constexpr int32_t kAhead = 2;
    uint32_t x[kAhead + 1][4];  // 16 columns of keys 8 j + l / 4
    uint32_t rope[2][4];
#pragma unroll
    for (int32_t i = 0; i < kAhead + Shape::kUnits; ++i) {
      if (i < Shape::kUnits) load_matrices(x[i % (kAhead + 1)], tile + key_at_ + i * 16);
      if (i == Shape::kUnits) load_step(rope, tile + rope_at_);
      if (i < kAhead) continue;
#pragma unroll
      for (int32_t j = 0; j < 4; ++j) {
        const uint2 b = e4m3x4_to_f16x4(x[(i - kAhead) % (kAhead + 1)][j]);
#pragma unroll
        for (int32_t m = 0; m < M; ++m) {
          mma_16x8x16<__half>(logits[m][j], query_[m][i - kAhead], b.x, b.y);
        }
      }
    }
#pragma unroll
    for (int32_t j = 0; j < 4; ++j) {
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        float scale;
        asm volatile("ld.shared.f32 %0, [%1];"
                     : "=f"(scale)
                     : "r"(tile + scale_at_ + (j * 8 + i) * key_pitch())
                     : "memory");
#pragma unroll
        for (int32_t m = 0; m < M; ++m) {
          logits[m][j][i] = logits[m][j][i] * undo_[m][0] * scale;
          logits[m][j][i + 2] = logits[m][j][i + 2] * undo_[m][1] * scale;
        }
      }
    }
    add_step<__nv_bfloat16>(logits, Shape::kUnits, rope);
  }

  __device__ void add_logits(uint32_t tile, int32_t turn) {
    float logits[M][4][4] = {};
    if constexpr (Format::kIsFp8) {
      add_fp8_steps(logits, tile);
    } else {
      add_plain_steps(logits, tile);
    }
    float* const to = logits_to_ + turn * static_cast<int32_t>(sizeof(Exchange) / sizeof(float));
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t j = 0; j < 4; ++j) {
#pragma unroll
        for (int32_t row = 0; row < 2; ++row) {
          *reinterpret_cast<float2*>(to + (m * 16 + row * 8) * kLogitPitch + j * 8) = {
              logits[m][j][row * 2], logits[m][j][row * 2 + 1]};
        }
      }
    }
  }

  __device__ void decay_sums(int32_t turn) {
    float decay[M][2];
    bool same = true;
#pragma unroll
    for (int32_t m = 0; m < M; ++m) {
#pragma unroll
      for (int32_t row = 0; row < 2; ++row) {
        decay[m][row] = scratch_.exchange[turn].decay[m * 16 + row * 8 + lane_ / 4];
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

  // Loads ahead of their use, as the logits'. Units past the warp's share read its first again;
  // what they sum is not written.
  __device__ void add_values(const HeldTile& tile, int32_t turn) {
    decay_sums(turn);
    const uint32_t values = tile.address + tile.value_offset;
    const uint32_t weights = weights_from_ + turn * static_cast<uint32_t>(sizeof(Exchange));
    uint32_t a[2][M][4];
#pragma unroll
    for (int32_t i = 0; i < 2 * M; ++i) {
      load_matrices(a[i % 2][i / 2], weights + i / 2 * 16 * kWeightPitch + i % 2 * 32);
    }
    // A load is 16 keys times 32 bytes: 2 units of FP8, 1 of 16 bits.
    constexpr int32_t kLoads = Format::kIsFp8 ? Shape::kUnits / 2 : Shape::kUnits;
    constexpr int32_t kAhead = M == 1 ? 3 : 2;
    uint32_t x[kAhead + 1][4];
#pragma unroll
    for (int32_t i = 0; i < kAhead + 2 * kLoads; ++i) {
      if (i < 2 * kLoads) {
        const int32_t load = i % kLoads, half = i / kLoads;
        const bool own = load * (Format::kIsFp8 ? 2 : 1) < units_;
        load_matrices_transposed(x[i % (kAhead + 1)], values + value_at_ + (own ? load * 32 : 0) +
                                                          half * 16 * key_pitch());
      }
      if (i >= kAhead) {
        const int32_t done = i - kAhead;
        multiply_values(done % kLoads, a[done / kLoads], x[done % (kAhead + 1)]);
      }
    }
  }

  __device__ void multiply_values(int32_t load, const uint32_t (&a)[M][4], const uint32_t (&x)[4]) {
    if constexpr (Format::kIsFp8) {
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        const ColumnPairs low = e4m3_columns(x[i * 2]), high = e4m3_columns(x[i * 2 + 1]);
        const int32_t u = load * 2 + i;
#pragma unroll
        for (int32_t m = 0; m < M; ++m) {
          mma_16x8x16<Element>(sums_[m][u * 2], a[m], low.even, high.even);
          mma_16x8x16<Element>(sums_[m][u * 2 + 1], a[m], low.odd, high.odd);
        }
      }
    } else {
#pragma unroll
      for (int32_t m = 0; m < M; ++m) {
        mma_16x8x16<Element>(sums_[m][load * 2], a[m], x[0], x[1]);
        mma_16x8x16<Element>(sums_[m][load * 2 + 1], a[m], x[2], x[3]);
      }
    }
  }

  __device__ int64_t partial(const AttnDivision& d, int32_t h) const {
    return (task_.t * p_.heads + task_.head + h) * d.splits + task_.split;
  }

  // Sums of m16 block m into rows of `pitch` floats; what lies past Dv there is not read.
  __device__ void store_sums(float* to, int32_t m, int32_t pitch) const {
    constexpr int32_t kRun = Format::kRun;  // neighbouring columns of a lane in a unit
    float* const row = to + lane_ / 4 * pitch + first_unit_ * 16 + lane_ % 4 * kRun;
#pragma unroll
    for (int32_t u = 0; u < Shape::kUnits * 4 / kRun; ++u) {
      if (u * 4 * kRun / 16 >= units_) break;
#pragma unroll
      for (int32_t half = 0; half < 4; half += 2) {
        float* const at = row + half * 4 * pitch + u * 4 * kRun;
        if constexpr (kRun == 4) {
          const auto& even = sums_[m][u * 2];
          const auto& odd = sums_[m][u * 2 + 1];
          *reinterpret_cast<float4*>(at) = {even[half], odd[half], even[half + 1], odd[half + 1]};
        } else {
          *reinterpret_cast<float2*>(at) = {sums_[m][u][half], sums_[m][u][half + 1]};
        }
      }
    }
  }

  // By all consumers: head h of the block from `sums`.
  __device__ void write_head(const AttnDivision& d, int32_t h, const float* sums) const {
    const float factor = scratch_.ends[h] / Format::kWeightScale;
    if (d.splits > 1) {
      write_row(reinterpret_cast<char*>(d.partials.out + partial(d, h) * p_.value_dim), DSA_F32, 1,
                sums, p_.value_dim, factor);
    } else {
      const int64_t head = (task_.head + h) * p_.out.stride[0];
      write_row(p_.out.row(task_.t) + head * p_.out.bytes, p_.out.dtype, p_.out.stride[1], sums,
                p_.value_dim, factor);
    }
  }

  const SparseAttnParams& p_;
  const MmaCall& call_;
  const AttnTask& task_;
  Scratch& scratch_;
  const int32_t warp_, lane_;
  const int32_t pitch_;
  MmaWeights<Format, Shape::kWarps> weights_;
  int32_t first_step_ = 0, steps_ = 0;  // of the plain keys' columns
  int32_t first_unit_ = 0, units_ = 0;  // of V's columns
  int32_t group_ = 0;                   // of scales
  // Of this lane, in bytes in a tile: where its rows of ldmatrix and its scales lie.
  uint32_t key_at_ = 0, rope_at_ = 0, scale_at_ = 0, value_at_ = 0;
  float* logits_to_;
  uint32_t weights_from_;
  uint32_t query_[M][Shape::kKeySteps][4];
  float undo_[M][2];  // powers of two that the query's rows were divided by
  float sums_[M][Shape::kUnits * 2][4];
};

}  // namespace dsa::cuda

// The consumer warpgroups of a block: 64 heads of one row, pairs of tiles of 32 keys. Each
// warpgroup has the logits of one tile of a pair and half of the output's columns: the weights of
// the other tile come through shared memory, those of its own stay in registers. That the
// warpgroups halve the output and share weights is an idea of FlashMLA's kernels for Hopper.
#pragma once

#include "cuda/attention/finish.cuh"
#include "cuda/attention/output.cuh"
#include "cuda/attention/softmax.cuh"
#include "cuda/attention/wgmma/query.cuh"
#include "cuda/e4m3.cuh"

namespace dsa::cuda {

__device__ inline void sync_threads(int32_t barrier, int32_t threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

// Registers that wgmma writes, for the compiler: nothing moves across.
template <int kCount>
__device__ __forceinline__ void pin(float (&x)[kCount]) {
#pragma unroll
  for (int32_t i = 0; i < kCount; ++i) asm volatile("" : "+f"(x[i])::"memory");
}

constexpr int32_t kNothing = static_cast<int32_t>(0xff800000u ^ 0x7fffffffu);  // float_order(-inf)

template <bool kFp8>
class WgmmaConsumer {
  // Weights of a tile as the A operand of its two steps of 16 keys: for FP8 once for each of the
  // scales of the warpgroup's columns.
  static constexpr int32_t kVersions = kFp8 ? 2 : 1;
  using Weights = uint32_t[kVersions][2][4];

 public:
  __device__ WgmmaConsumer(const WgmmaArguments& arguments, const AttnTask& task,
                           WgmmaShared<kFp8>& shared)
      : p_(arguments.p),
        d_(arguments.d),
        task_(task),
        shared_(shared),
        panels_(arguments.rows.key_steps / 4),
        group_(__shfl_sync(~0u, threadIdx.x / kGroupThreads, 0)),
        lane_(threadIdx.x % 32),
        row_(threadIdx.x % kGroupThreads / 32 * 16 + lane_ / 4) {}

  __device__ __forceinline__ void run() {
    fetch_query(p_, task_, panels_, shared_address(shared_.query), kWgmmaConsumers);
    wait_for_copies();
    fence_async_proxy();
    sync_consumers();
    float out[2][64];
#pragma unroll
    for (int32_t i = 0; i < 128; ++i) out[i / 64][i % 64] = 0;
    base_[0] = base_[1] = -CUDART_INF_F;
    int32_t pair = 0, parity = 0, keys;
    if (take(pair, parity, keys)) {
      float s[16];
      Weights weights;
      find_logits(s, pair);
      weigh(s, keys);
      for (;;) {
        store_weights(s, weights, pair);
        sync_consumers();  // the other warpgroup's are there
        add_values(out, weights, pair);
        release(pair);
        pair ^= 1;
        parity ^= pair == 0;
        if (!take(pair, parity, keys)) break;
        find_logits(s, pair);
        weigh(s, keys);
        decay(out);
      }
    }
    finish(out);
  }

 private:
  __device__ __forceinline__ void sync_consumers() const { sync_threads(1, kWgmmaConsumers); }
  __device__ __forceinline__ void sync_group() const { sync_threads(2 + group_, kGroupThreads); }

  // Waits for a pair; false: there are no more. `keys`: of this warpgroup's tile.
  __device__ __forceinline__ bool take(int32_t pair, int32_t parity, int32_t& keys) {
    sm90::barrier_spin(&shared_.full[2 * pair], parity);
    if (shared_.keys[2 * pair] < 0) return false;
    sm90::barrier_spin(&shared_.full[2 * pair + 1], parity);
    keys = max(shared_.keys[2 * pair + group_], 0);
    fence_async_proxy();
    return true;
  }

  // Every lane says so, as in mma: racecheck follows barriers lane by lane.
  __device__ __forceinline__ void release(int32_t pair) {
    barrier_arrive(&shared_.empty[2 * pair]);
    barrier_arrive(&shared_.empty[2 * pair + 1]);
  }

  __device__ __forceinline__ uint32_t tile(int32_t i) const {
    return shared_address(shared_.tile[0]) + i * kTileBytes;
  }

  // Products of the query with this warpgroup's tile. The next pair's are not started before the
  // values of this one are done: the ring holds two pairs, and the sooner one is given back the
  // longer its successor has to arrive.
  __device__ __forceinline__ void find_logits(float (&s)[16], int32_t pair) {
    uint64_t query = sm90::operand_at(shared_address(shared_.query));
    uint64_t keys = sm90::operand_at(tile(2 * pair + group_));
    sm90::wgmma_fence();
    if constexpr (kFp8) {
      constexpr int32_t kRope = kPanels - 1;
      add_panel<true>(s, query + kRope * kNextQuery, keys + kRope * kNextKeys);
#pragma unroll 1
      for (int32_t g = 0; g < kFp8Groups; ++g) {
        float of_group[16];
        sm90::wgmma_fence();
        add_panel<true>(of_group, query, keys);
        add_panel<false>(of_group, query + kNextQuery, keys + kNextKeys);
        sm90::wgmma_commit();
        sm90::wgmma_wait<0>();
        pin(s), pin(of_group);
        add_scaled(s, of_group, pair, g);
        query += 2 * kNextQuery, keys += 2 * kNextKeys;
      }
    } else {
      add_panel<true>(s, query, keys);
#pragma unroll 1
      for (int32_t panel = 1; panel < panels_; ++panel) {
        query += kNextQuery, keys += kNextKeys;
        add_panel<false>(s, query, keys);
      }
      sm90::wgmma_commit();
      sm90::wgmma_wait<0>();
      pin(s);
    }
  }

  // From a panel's operand to that of the next one.
  static constexpr uint32_t kNextQuery = kQueryPanelBytes >> 4, kNextKeys = kTilePanelBytes >> 4;

  // Products of 64 columns; kFirst: s holds nothing yet.
  template <bool kFirst>
  __device__ __forceinline__ static void add_panel(float (&s)[16], uint64_t query, uint64_t keys) {
    constexpr uint32_t kNext = sm90::kMmaBytes >> 4;
    if constexpr (kFirst) {
      sm90::Bf16::mma_first(s, query, keys);
    } else {
      sm90::Bf16::mma(s, query, keys, 1);
    }
#pragma unroll
    for (uint32_t i = 1; i < 4; ++i) {
      sm90::Bf16::mma(s, query + i * kNext, keys + i * kNext, 1);
    }
  }

  // The key of register 4 j + i (and 4 j + 2 + i) in the tile.
  __device__ __forceinline__ int32_t key(int32_t j, int32_t i) const {
    return 8 * j + 2 * (lane_ % 4) + i;
  }

  __device__ __forceinline__ void add_scaled(float (&s)[16], const float (&a)[16], int32_t pair,
                                             int32_t g) {
    const float* const scale = reinterpret_cast<const float*>(shared_.scale[2 * pair + group_]) + g;
#pragma unroll
    for (int32_t j = 0; j < 4; ++j) {
#pragma unroll
      for (int32_t i = 0; i < 2; ++i) {
        const float of_key = scale[key(j, i) * kFp8Groups];
        s[4 * j + i] = fmaf(a[4 * j + i], of_key, s[4 * j + i]);
        s[4 * j + 2 + i] = fmaf(a[4 * j + 2 + i], of_key, s[4 * j + 2 + i]);
      }
    }
  }

  // Logits to weights; top_, base_, sum_ and decay_ of rows row_ and row_ + 8.
  __device__ __forceinline__ void weigh(float (&s)[16], int32_t keys) {
    constexpr float kLog2E = 1.44269504088896340736f;
    int32_t now[2] = {top_[0], top_[1]};
#pragma unroll
    for (int32_t i = 0; i < 16; ++i) {
      s[i] = key(i / 4, i % 2) < keys ? s[i] * p_.scale : -CUDART_INF_F;
      now[i / 2 % 2] = max(now[i / 2 % 2], float_order(s[i]));
    }
#pragma unroll
    for (int32_t half = 0; half < 2; ++half) {
      now[half] = max(now[half], __shfl_xor_sync(~0u, now[half], 1));
      now[half] = max(now[half], __shfl_xor_sync(~0u, now[half], 2));
      if (lane_ % 4 == 0) shared_.number[group_][row_ + 8 * half] = now[half];
    }
    sync_consumers();
#pragma unroll
    for (int32_t half = 0; half < 2; ++half) {
      now[half] = max(now[half], shared_.number[group_ ^ 1][row_ + 8 * half]);
      top_[half] = now[half];
      const float top = from_order(now[half]);
      decay_[half] = 1;
      if (top > base_[half] + kSlack) {
        decay_[half] = exp2_approximate((base_[half] - top) * kLog2E);
        base_[half] = top;
      }
      sum_[half] *= decay_[half];
      const float base = finite_top(base_[half]) * kLog2E;
#pragma unroll
      for (int32_t j = 0; j < 4; ++j) {
#pragma unroll
        for (int32_t i = 0; i < 2; ++i) {
          float& x = s[4 * j + 2 * half + i];
          x = exp2_approximate(fmaf(x, kLog2E, -base));
          sum_[half] += x;
        }
      }
    }
  }

  __device__ __forceinline__ void decay(float (&out)[2][64]) const {
    if (__all_sync(~0u, decay_[0] == 1 && decay_[1] == 1)) return;
#pragma unroll
    for (int32_t h = 0; h < 2; ++h) {
#pragma unroll
      for (int32_t i = 0; i < 64; ++i) out[h][i] *= decay_[i / 2 % 2];
      pin(out[h]);
    }
  }

  // This warpgroup's weights to registers, for its own columns, and to shared memory, for the other
  // one's.
  __device__ __forceinline__ void store_weights(const float (&s)[16], Weights& own, int32_t pair) {
    const int32_t stage = 2 * pair + group_;
    const uint32_t to = tile(stage) + kWeightsOffset;
#pragma unroll
    for (int32_t j = 0; j < 4; ++j) {
      const uint32_t at = sm90::narrow_offset(row_, j) + lane_ % 4 * 4;
      float4 scale[2];
      if constexpr (kFp8) {
#pragma unroll
        for (int32_t i = 0; i < 2; ++i) scale[i] = shared_.scale[stage][key(j, i)];
      }
#pragma unroll
      for (int32_t half = 0; half < 2; ++half) {
        const float x = s[4 * j + 2 * half], y = s[4 * j + 2 * half + 1];
        const uint32_t row = half * 8 * sm90::kNarrowRowBytes;
        uint32_t& of_first = own[0][j / 2][j % 2 * 2 + half];
        if constexpr (kFp8) {
          const float4 a = scale[0], b = scale[1];
          const bool first = group_ == 0;
          of_first = pack(x * (first ? a.x : a.z), y * (first ? b.x : b.z));
          own[1][j / 2][j % 2 * 2 + half] = pack(x * (first ? a.y : a.w), y * (first ? b.y : b.w));
          store(to + at + row, pack(x * (first ? a.z : a.x), y * (first ? b.z : b.x)));
          store(shared_address(shared_.weights[group_]) + at + row,
                pack(x * (first ? a.w : a.y), y * (first ? b.w : b.y)));
        } else {
          of_first = pack(x, y);
          store(to + at + row, of_first);
        }
      }
    }
    fence_async_proxy();
  }

  __device__ __forceinline__ static uint32_t pack(float low, float high) {
    return bits_of(__floats2bfloat162_rn(low, high));
  }
  __device__ __forceinline__ static void store(uint32_t at, uint32_t x) {
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(at), "r"(x) : "memory");
  }

  __device__ __forceinline__ void add_values(float (&out)[2][64], const Weights& own,
                                             int32_t pair) {
    sm90::wgmma_fence();
    const uint32_t mine = tile(2 * pair + group_), other = tile(2 * pair + (group_ ^ 1));
#pragma unroll
    for (int32_t h = 0; h < 2; ++h) {
      const uint32_t weights =
          kFp8 && h == 1 ? shared_address(shared_.weights[group_ ^ 1]) : other + kWeightsOffset;
#pragma unroll
      for (int32_t step = 0; step < 2; ++step) {
        const int32_t at =
            (4 * group_ + 2 * h) * kTilePanelBytes + step * 16 * sm90::kPanelRowBytes;
        sm90::Bf16::mma_transposed(out[h], own[kFp8 ? h : 0][step],
                                   sm90::transposed_operand_at(mine + at, kTilePanelBytes));
        sm90::Bf16::mma_transposed(out[h],
                                   sm90::narrow_operand_at(weights + step * sm90::kMmaBytes),
                                   sm90::transposed_operand_at(other + at, kTilePanelBytes), 1);
      }
    }
    sm90::wgmma_commit();
    sm90::wgmma_wait<0>();
    pin(out[0]), pin(out[1]);
  }

  __device__ __forceinline__ int64_t partial(int32_t h) const {
    return (task_.t * p_.heads + task_.head + h) * d_.splits + task_.split;
  }

  // The ring's memory is free by now.
  __device__ __forceinline__ void finish(float (&out)[2][64]) {
    float* const sums = reinterpret_cast<float*>(shared_.number);
    sync_consumers();
#pragma unroll
    for (int32_t half = 0; half < 2; ++half) {
      float sum = sum_[half];
      sum += __shfl_xor_sync(~0u, sum, 1);
      sum += __shfl_xor_sync(~0u, sum, 2);
      if (lane_ % 4 == 0) sums[group_ * kWgmmaHeads + row_ + 8 * half] = sum;
    }
    sync_consumers();
    float factor[2];
#pragma unroll
    for (int32_t half = 0; half < 2; ++half) {
      const int32_t h = row_ + 8 * half;
      const float top = from_order(top_[half]);
      factor[half] = expf(finite_top(base_[half]) - finite_top(top));
      const float sum = (sums[h] + sums[kWgmmaHeads + h]) * factor[half];
      if (h >= task_.heads) continue;
      const bool writes = group_ == 0 && lane_ % 4 == 0;
      if (d_.splits > 1) {
        if (writes) d_.partials.state[partial(h)] = {top, sum};
      } else {
        const SoftmaxEnd end = end_head(p_, task_.head + h, top, sum);
        if (writes) write_numbers(p_, task_.t, task_.head + h, top, end.lse);
        factor[half] *= end.factor;
      }
    }
    constexpr int32_t kPitch = 256 + 8;  // floats: stores of 4 heads meet no bank twice
    float* const to = reinterpret_cast<float*>(shared_.tile) + group_ * kWgmmaHeads * kPitch;
#pragma unroll
    for (int32_t i = 0; i < 64; ++i) {
      const int32_t half = i % 2, column = i / 32 * 128 + i / 2 % 16 * 8 + lane_ % 4 * 2;
      const float* const x = &out[i / 32][i / 2 % 16 * 4 + 2 * half];
      *reinterpret_cast<float2*>(to + (row_ + 8 * half) * kPitch + column) = {x[0] * factor[half],
                                                                              x[1] * factor[half]};
    }
    sync_group();
    const int32_t first = group_ * 256;
    const int32_t columns = min(p_.value_dim - first, 256);
    if (columns <= 0) return;
    // Two loops: the one over partial results knows dtype and stride, and saves 4 us of a call of
    // one query.
    const int32_t warp = threadIdx.x % kGroupThreads / 32;
    if (d_.splits > 1) {
#pragma unroll 1
      for (int32_t h = warp; h < task_.heads; h += kGroupThreads / 32) {
        write_row(reinterpret_cast<char*>(d_.partials.out + partial(h) * p_.value_dim + first),
                  DSA_F32, 1, to + h * kPitch, columns, 1);
      }
      return;
    }
    char* const row = p_.out.row(task_.t) + first * p_.out.stride[1] * p_.out.bytes;
#pragma unroll 1
    for (int32_t h = warp; h < task_.heads; h += kGroupThreads / 32) {
      write_row(row + (task_.head + h) * p_.out.stride[0] * p_.out.bytes, p_.out.dtype,
                p_.out.stride[1], to + h * kPitch, columns, 1);
    }
  }

  const SparseAttnParams& p_;
  const AttnDivision& d_;
  const AttnTask& task_;
  WgmmaShared<kFp8>& shared_;
  const int32_t panels_;
  const int32_t group_;  // warpgroup
  const int32_t lane_;
  const int32_t row_;  // of two, the other is 8 further
  int32_t top_[2] = {kNothing, kNothing};
  float sum_[2] = {0, 0};  // of this thread's keys
  // What exponents are relative to: the largest logit of some tile before, and kSlack above it at
  // most, where weights are e^kSlack, until the sums follow it. They seldom have to (an idea of
  // FlashAttention 4).
  static constexpr float kSlack = 6;
  float base_[2];
  float decay_[2];
};

}  // namespace dsa::cuda

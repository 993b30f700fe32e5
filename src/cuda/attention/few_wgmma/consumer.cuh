// The consumer warpgroups: products and softmax of the heads of one row.
//
// Weights are taken relative to a reference that stays: the largest logit of the first tile. A tile
// with a logit whose weight would be above 2^16 moves it, which later ones hardly ever have.
// Weights are numbers of 8 exponent bits, so that none of this costs precision, and the tile's
// maximum, which takes the warps two rounds to agree on, is off the way from logits to weights.
// (That rescaling may wait until it must be is an idea of FlashAttention 4.)
#pragma once

#include "cuda/attention/few_wgmma/output.cuh"
#include "cuda/attention/softmax.cuh"
#include "cuda/e4m3.cuh"

namespace dsa::cuda {

// Four 8 x 8 matrices of 16-bit elements, transposed; lane l gives the address of row l % 8 of
// matrix l / 8.
__device__ __forceinline__ void store_matrices_transposed(uint32_t row, const uint32_t (&x)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row),
               "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
               : "memory");
}

template <class Shape>
class FewConsumer {
  using Fragment = FewFragment<Shape>;
  using Sums = typename Fragment::Sums;
  static constexpr int32_t kRegisters = Fragment::kRegisters, kOwnHeads = Fragment::kOwnHeads;
  using Logits = float[kRegisters];
  static constexpr float kHeadroom = 16;  // binary orders above the reference

 public:
  __device__ FewConsumer(const FewArguments& arguments, FewShared<Shape>& shared)
      : arguments_(arguments),
        shared_(shared),
        group_(__shfl_sync(~0u, threadIdx.x / Shape::kGroupThreads, 0)),
        warp_(__shfl_sync(~0u, threadIdx.x / 32 % 4, 0)),
        lane_(threadIdx.x % 32),
        scale_(arguments.p.scale),
        query_(of_warp(shared_address(shared.query))),
        weights_(of_warp(shared_address(shared.weights[group_]))) {
    if (group_ == 1) list_.advance();
  }

  __device__ __forceinline__ void run() {
    int32_t parity = 0;
    for (FewTasks tasks(arguments_.d); tasks.more(); tasks.advance(), parity ^= 1) {
#pragma unroll
      for (int32_t i = 0; i < kOwnHeads; ++i) {
        top_[i] = float_order(-CUDART_INF_F), sum_[i] = 0;
        base_[i] = 0, limit_[i] = -CUDART_INF_F;
      }
      Sums out;
#pragma unroll
      for (int32_t i = 0; i < kFewValuePanels * kRegisters; ++i) {
        out[i / kRegisters][i % kRegisters] = 0;
      }
      sm90::barrier_spin(&shared_.query_full, parity);
      attend(out);
#pragma unroll
      for (int32_t i = 0; i < kOwnHeads; ++i) {
        if (limit_[i] == -CUDART_INF_F) base_[i] = CUDART_INF_F;  // none
      }
      FewOutput<Shape>(arguments_, tasks.now(), shared_, ring_, together_)
          .write(out, top_, sum_, base_);
    }
  }

 private:
  __device__ __forceinline__ void attend(Sums& out) {
    if (take()) {
      Logits s;
      add_logits(s, 0);
      add_logits(s, 1);
      add_logits(s, 2);
      sm90::wgmma_wait<0>();
      sm90::pin_registers(s);
      for (;;) {
        weigh(s, out);
        sm90::wgmma_fence();
        int32_t part[kParts];
#pragma unroll
        for (int32_t i = 0; i < kParts; ++i) {
          part[i] = values_.at;
          add_values(out, values_.at, i);
          values_.advance();
        }
        const bool more = take();
        sm90::wgmma_wait<2>();
        release(part[0]);
        sm90::wgmma_wait<1>();
        release(part[1]);
        if constexpr (Shape::kGroups == 2) {
          sm90::wgmma_wait<0>();
          release(part[2]);
        }
        // One way out, at the end: from here ptxas would have all products wait for each other.
        if (more) {
          add_logits(s, 0);
          if constexpr (Shape::kGroups == 1) {  // the next logits stand in line behind the values
            sm90::wgmma_wait<1>();
            release(part[2]);
          }
          add_logits(s, 1);
          add_logits(s, 2);
        }
        sm90::wgmma_wait<0>();
        sm90::pin_registers(s);
        sm90::pin_registers(out);
        if (!more) {
          if constexpr (Shape::kGroups == 1) release(part[2]);
          break;
        }
      }
    }
    barrier_arrive(&shared_.query_empty);
  }

  // Waits for the next tile's list; false: the task has no more.
  __device__ __forceinline__ bool take() {
    sm90::barrier_spin(&shared_.listed[list_.at][0], list_.parity);
    sm90::barrier_spin(&shared_.listed[list_.at][1], list_.parity);
    keys_ = shared_.keys[list_.at][warp_ / 2];
    ring_ = ring_.from_number(of_warp(shared_.place[list_.at]));
    values_ = ring_;
    const bool more = __all_sync(~0u, shared_.keys[list_.at][0] >= 0);
    barrier_arrive(&shared_.taken[list_.at][0]);
    barrier_arrive(&shared_.taken[list_.at][1]);
    list_.advance(Shape::kGroups);
    return more;
  }

  // Every lane says so, as in mma: racecheck follows barriers lane by lane.
  __device__ __forceinline__ void release(int32_t part) { barrier_arrive(&shared_.empty[part]); }

  // Addresses of operands are the warp's: ptxas keeps what comes from one lane in uniform
  // registers, where the tensor cores want descriptors.
  __device__ __forceinline__ static uint32_t of_warp(uint32_t x) { return __shfl_sync(~0u, x, 0); }
  __device__ __forceinline__ uint32_t part_address(int32_t part) const {
    return of_warp(shared_address(shared_.part) + part * kPartBytes);
  }

  __device__ __forceinline__ void add_logits(Logits& s, int32_t part) {
    sm90::barrier_spin(&shared_.full[ring_.at], ring_.parity);
    fence_async_proxy();
    const uint32_t from = part_address(ring_.at);
    sm90::wgmma_fence();
#pragma unroll
    for (int32_t i = 0; i < kPartPanels; ++i) {
      const int32_t panel = part * kPartPanels + i;
#pragma unroll
      for (uint32_t k = 0; k < 4; ++k) {
        const uint32_t step = k * sm90::kMmaBytes;
        const uint64_t keys = sm90::operand_at(from, i * kFewPanelBytes + step);
        const uint64_t query = sm90::operand_at(query_, panel * Shape::kQueryPanelBytes + step);
        if (panel == 0 && k == 0) {
          sm90::Bf16::mma_first(s, keys, query);
        } else {
          sm90::Bf16::mma(s, keys, query, 1);
        }
      }
    }
    sm90::wgmma_commit();
    ring_.advance();
  }

  __device__ __forceinline__ void add_values(Sums& out, int32_t at, int32_t part) {
    const uint32_t from = part_address(at);
#pragma unroll
    for (int32_t i = 0; i < kPartPanels; ++i) {
      const int32_t panel = part * kPartPanels + i;
      if (panel >= kFewValuePanels) break;
#pragma unroll
      for (int32_t k = 0; k < 4; ++k) {
        sm90::Bf16::mma_transposed_a(
            out[panel], sm90::operand_at(from, i * kFewPanelBytes + k * 16 * sm90::kPanelRowBytes),
            sm90::operand_at(weights_, k * sm90::kMmaBytes), 1);
      }
    }
    sm90::wgmma_commit();
  }

  // Logits of a tile to weights in shared memory.
  __device__ __forceinline__ void weigh(Logits& s, Sums& out) {
    bool above = false;
#pragma unroll
    for (int32_t i = 0; i < kRegisters; ++i) {
      const int32_t own = Fragment::own_of(i);
      s[i] = key(i / 2 % 2) % 32 < keys_ ? s[i] * scale_ : -CUDART_INF_F;
      top_[own] = max(top_[own], float_order(s[i]));
      above = above || s[i] > limit_[own];
    }
    float weight[kRegisters];
    store_weights(s, weight);
    if (any_of_group(above)) {
      move_reference(out);
      store_weights(s, weight);
      sync_few<Shape>(group_);
    }
#pragma unroll
    for (int32_t i = 0; i < kRegisters; ++i) sum_[Fragment::own_of(i)] += weight[i];
  }

  // In the tile, of this thread's two.
  __device__ __forceinline__ int32_t key(int32_t half) const {
    return warp_ * 16 + lane_ / 4 + half * 8;
  }

  // By all of the group; whether any says so.
  __device__ __forceinline__ bool any_of_group(bool mine) const {
    int32_t any;
    asm volatile(
        "{\n.reg .pred mine, any;\nsetp.ne.s32 mine, %1, 0;\n"
        "barrier.red.or.pred any, %2, %3, mine;\nselp.s32 %0, 1, 0, any;\n}"
        : "=r"(any)
        : "r"(static_cast<int32_t>(mine)), "r"(1 + group_), "n"(Shape::kGroupThreads)
        : "memory");
    return any != 0;
  }

  __device__ __forceinline__ void store_weights(const float (&s)[kRegisters],
                                                float (&weight)[kRegisters]) const {
#pragma unroll
    for (int32_t i = 0; i < kRegisters; ++i) {
      weight[i] = exp2_approximate(fmaf(s[i], kLog2OfE, -base_[Fragment::own_of(i)]));
    }
    // Of two blocks of 8 heads each, the matrices of keys 0-7 and 8-15 of the warp's.
    const int32_t chunk = warp_ * 2 + lane_ / 8 % 2;
#pragma unroll
    for (int32_t j = 0; j < kRegisters / 4; j += 2) {
      uint32_t x[4];
#pragma unroll
      for (int32_t i = 0; i < 4; ++i) {
        const float* const pair = &weight[(j + i / 2) * 4 + i % 2 * 2];
        x[i] = bits_of(__floats2bfloat162_rn(pair[0], pair[1]));
      }
      const int32_t head = (j + lane_ / 16) * 8 + lane_ % 8;
      store_matrices_transposed(weights_ + sm90::panel_offset(head, chunk), x);
    }
    fence_async_proxy();
  }

  // To the largest logit so far; what has been summed follows.
  __device__ __forceinline__ void move_reference(Sums& out) {
    int32_t top[kOwnHeads];
    Fragment::find_top(top_, top, shared_, group_, warp_, lane_);
    sync_few<Shape>(group_);
    float decay[kOwnHeads];
#pragma unroll
    for (int32_t i = 0; i < kOwnHeads; ++i) {
      const int32_t h = Fragment::head_of(i, lane_);
#pragma unroll
      for (int32_t w = 0; w < 4; ++w) top[i] = max(top[i], shared_.top[group_ * 4 + w][h]);
      const float reference = from_order(top[i]);
      const float base = finite_top(reference) * kLog2OfE;
      // Before the first reference everything summed is 0, and stays so.
      decay[i] = limit_[i] == -CUDART_INF_F ? 1 : exp2_approximate(base_[i] - base);
      base_[i] = base;
      limit_[i] = reference + kHeadroom / kLog2OfE;
      sum_[i] *= decay[i];
    }
#pragma unroll
    for (int32_t p = 0; p < kFewValuePanels; ++p) {
#pragma unroll
      for (int32_t i = 0; i < kRegisters; ++i) out[p][i] *= decay[Fragment::own_of(i)];
      sm90::pin_registers(out[p]);
    }
  }

  const FewArguments& arguments_;
  FewShared<Shape>& shared_;
  const int32_t group_, warp_, lane_;
  const float scale_;
  const uint32_t query_, weights_;  // addresses
  int32_t top_[kOwnHeads];          // of this thread's keys, as float_order
  float sum_[kOwnHeads];            // of this thread's keys
  float base_[kOwnHeads];           // the reference times log2(e)
  float limit_[kOwnHeads];          // what no logit may be above
  int32_t together_ = 0;            // parity of the barrier of all consumers
  RingPlace<kLists> list_ = RingPlace<kLists>(0);
  int32_t keys_ = 0;  // of this warp's half of the tile
  // Of the next part for logits, and for values.
  RingPlace<Shape::kRing> ring_ = RingPlace<Shape::kRing>(0);
  RingPlace<Shape::kRing> values_ = RingPlace<Shape::kRing>(0);
};

}  // namespace dsa::cuda

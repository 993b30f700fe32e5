// A task's end: what the consumer groups have summed, brought to one reference, to memory.
#pragma once

#include "cuda/attention/few_wgmma/shared.cuh"
#include "cuda/attention/finish.cuh"
#include "cuda/attention/output.cuh"
#include "cuda/attention/softmax.cuh"

namespace dsa::cuda {

constexpr float kLog2OfE = 1.44269504088896340736f;

// Barrier of a consumer group.
template <class Shape>
__device__ __forceinline__ void sync_few(int32_t group) {
  asm volatile("bar.sync %0, %1;" ::"r"(1 + group), "n"(Shape::kGroupThreads) : "memory");
}

// What a thread has of a product's 64 rows and the heads as columns: two rows, 8 apart, and of each
// 8 heads two. Register 4 j + 2 half + i has head 8 j + 2 (lane % 4) + i: the thread's own head
// 2 j + i.
template <class Shape>
struct FewFragment {
  static constexpr int32_t kRegisters = Shape::kMostHeads / 2;
  static constexpr int32_t kOwnHeads = Shape::kMostHeads / 4;
  using Sums = float[kFewValuePanels][kRegisters];  // of V, transposed: a row a column

  __device__ __forceinline__ static constexpr int32_t own_of(int32_t i) {
    return i / 4 * 2 + i % 2;
  }
  __device__ __forceinline__ static int32_t head_of(int32_t own, int32_t lane) {
    return own / 2 * 8 + lane % 4 * 2 + own % 2;
  }

  // Largest of the warp's threads with the same heads, also into shared memory.
  __device__ __forceinline__ static void find_top(const int32_t (&mine)[kOwnHeads],
                                                  int32_t (&top)[kOwnHeads],
                                                  FewShared<Shape>& shared, int32_t group,
                                                  int32_t warp, int32_t lane) {
#pragma unroll
    for (int32_t i = 0; i < kOwnHeads; ++i) {
      top[i] = mine[i];
#pragma unroll
      for (int32_t step = 4; step < 32; step *= 2) {
        top[i] = max(top[i], __shfl_xor_sync(~0u, top[i], step));
      }
      if (lane / 4 == 0) shared.top[group * 4 + warp][head_of(i, lane)] = top[i];
    }
  }
};

template <class Shape>
class FewOutput {
  using Fragment = FewFragment<Shape>;
  using Sums = typename Fragment::Sums;
  static constexpr int32_t kRegisters = Fragment::kRegisters, kOwnHeads = Fragment::kOwnHeads;
  static constexpr int32_t kPitch = 512 + 4;  // floats: stores of 4 heads meet no bank twice
  static_assert(8 * kPitch * 4 <= kPartBytes);

 public:
  // `ring`: the place of the output's parts, which the copying warps leave to it.
  // `together`: parity of the barrier of all consumers.
  __device__ FewOutput(const FewArguments& arguments, const AttnTask& task,
                       FewShared<Shape>& shared, RingPlace<Shape::kRing> ring, int32_t& together)
      : p_(arguments.p),
        d_(arguments.d),
        task_(task),
        shared_(shared),
        ring_(ring),
        together_(together),
        group_(threadIdx.x / Shape::kGroupThreads),
        warp_(threadIdx.x / 32 % 4),
        lane_(threadIdx.x % 32) {}

  // `base`: the group's reference times log2(e), +inf: none.
  __device__ __forceinline__ void write(const Sums& out, const int32_t (&top)[kOwnHeads],
                                        const float (&sum)[kOwnHeads],
                                        const float (&base)[kOwnHeads]) {
    float factor[kOwnHeads];
    write_numbers_of_heads(top, sum, base, factor);
    float* to[Shape::kOutputParts];
    RingPlace<Shape::kRing> place = ring_;
#pragma unroll
    for (int32_t j = 0; j < Shape::kOutputParts; ++j) {
      sm90::barrier_spin(&shared_.full[place.at], place.parity);
      to[j] = reinterpret_cast<float*>(shared_.part[place.at]);
      place.advance();
    }
    if constexpr (Shape::kGroups == 1) {
      store_panels<false>(out, factor, to, 0, kFewValuePanels);
    } else {  // each group adds half of the columns to what the other has left there
      store_panels<false>(out, factor, to, group_ == 0 ? 4 : 0, 4);
      sync_all();
      store_panels<true>(out, factor, to, group_ == 0 ? 0 : 4, 4);
    }
    sync_all();
    // A part's heads by one group, which gives it back.
#pragma unroll 1
    for (int32_t j = 0; j < Shape::kOutputParts; ++j, ring_.advance()) {
      if (j % Shape::kGroups != group_) continue;
      const float* const sums = reinterpret_cast<const float*>(shared_.part[ring_.at]);
#pragma unroll 1
      for (int32_t h = warp_; h < min(task_.heads - j * 8, 8); h += 4) {
        write_head(j * 8 + h, sums + h * kPitch);
      }
      barrier_arrive(&shared_.empty[ring_.at]);
    }
  }

 private:
  // Both groups. Not a barrier of the hardware: racecheck takes no notice of one that two
  // warpgroups share.
  __device__ __forceinline__ void sync_all() {
    barrier_arrive(&shared_.together);
    sm90::barrier_spin(&shared_.together, together_);
    together_ ^= 1;
  }

  // Largest logit, lse and partial state of each head, by a thread each: what they take is long.
  // `factor`: of this group's sums.
  __device__ __forceinline__ void write_numbers_of_heads(const int32_t (&mine)[kOwnHeads],
                                                         const float (&sum)[kOwnHeads],
                                                         const float (&base)[kOwnHeads],
                                                         float (&factor)[kOwnHeads]) {
    int32_t top[kOwnHeads];
    sync_all();  // what was there has been read
    Fragment::find_top(mine, top, shared_, group_, warp_, lane_);
#pragma unroll
    for (int32_t i = 0; i < kOwnHeads; ++i) {
      const int32_t h = Fragment::head_of(i, lane_);
      float x = sum[i];
#pragma unroll
      for (int32_t step = 4; step < 32; step *= 2) x += __shfl_xor_sync(~0u, x, step);
      if (lane_ / 4 == 0) shared_.sum[group_ * 4 + warp_][h] = x;
      if (warp_ == 0 && lane_ / 4 == 0) shared_.base[group_][h] = base[i];
    }
    sync_all();
    const int32_t h = threadIdx.x;
    if (h < task_.heads) end_of_head(h);
    sync_all();
#pragma unroll
    for (int32_t i = 0; i < kOwnHeads; ++i) {
      factor[i] = shared_.factor[group_][Fragment::head_of(i, lane_)];
    }
  }

  __device__ __forceinline__ void end_of_head(int32_t h) {
    int32_t top = shared_.top[0][h];
#pragma unroll
    for (int32_t w = 1; w < 4 * Shape::kGroups; ++w) top = max(top, shared_.top[w][h]);
    const float largest = from_order(top);
    float all = 0;
    float factor[Shape::kGroups];
#pragma unroll
    for (int32_t g = 0; g < Shape::kGroups; ++g) {
      const float from = shared_.base[g][h];
      // From the group's reference to the largest logit.
      factor[g] =
          from == CUDART_INF_F ? 1 : exp2_approximate(-fmaf(finite_top(largest), kLog2OfE, -from));
      float of_group = 0;
#pragma unroll
      for (int32_t w = 0; w < 4; ++w) of_group += shared_.sum[g * 4 + w][h];
      // Which group had which tiles follows from the block's earlier tasks: no sum may tell.
      all = __fadd_rn(all, __fmul_rn(of_group, factor[g]));
    }
    float last = 1;
    if (d_.splits > 1) {
      d_.partials.state[partial(h)] = {largest, all};
    } else {
      const SoftmaxEnd end = end_head(p_, task_.head + h, largest, all);
      write_numbers(p_, task_.t, task_.head + h, largest, end.lse);
      last = end.factor;
    }
#pragma unroll
    for (int32_t g = 0; g < Shape::kGroups; ++g) shared_.factor[g][h] = factor[g] * last;
  }

  // Columns of `panels` panels to rows of heads in shared memory.
  template <bool kAdds>
  __device__ __forceinline__ void store_panels(const Sums& out, const float (&factor)[kOwnHeads],
                                               float* const (&to)[Shape::kOutputParts],
                                               int32_t first, int32_t panels) const {
#pragma unroll
    for (int32_t p = 0; p < kFewValuePanels; ++p) {
      if (p < first || p >= first + panels) continue;
#pragma unroll
      for (int32_t i = 0; i < kRegisters; ++i) {
        float& at = to[i / 4][(lane_ % 4 * 2 + i % 2) * kPitch + p * 64 + warp_ * 16 +
                              i / 2 % 2 * 8 + lane_ / 4];
        const float x = __fmul_rn(out[p][i], factor[Fragment::own_of(i)]);
        at = kAdds ? at + x : x;
      }
    }
  }

  __device__ __forceinline__ int64_t partial(int32_t h) const {
    return (task_.t * p_.heads + task_.head + h) * d_.splits + task_.split;
  }

  __device__ __forceinline__ void write_head(int32_t h, const float* sums) const {
    if (d_.splits > 1) {
      write_row(reinterpret_cast<char*>(d_.partials.out + partial(h) * p_.value_dim), DSA_F32, 1,
                sums, p_.value_dim, 1);
    } else {
      write_row(p_.out.row(task_.t) + (task_.head + h) * p_.out.stride[0] * p_.out.bytes,
                p_.out.dtype, p_.out.stride[1], sums, p_.value_dim, 1);
    }
  }

  const SparseAttnParams& p_;
  const AttnDivision& d_;
  const AttnTask task_;
  FewShared<Shape>& shared_;
  RingPlace<Shape::kRing> ring_;
  int32_t& together_;
  const int32_t group_, warp_, lane_;
};

}  // namespace dsa::cuda

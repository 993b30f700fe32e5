#include <algorithm>
#include <type_traits>

#include "cuda/ptx.cuh"
#include "cuda/topk/crossing.cuh"
#include "cuda/topk/row.cuh"
#include "cuda/topk/visible.h"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kWarps = 8;              // of a block
constexpr int32_t kAtOnce = 16;            // scores of a lane
constexpr int64_t kOfWarp = 32 * kAtOnce;  // of a row

template <class T>
constexpr T kNan = static_cast<T>(~T{0});  // of f32, f16, bf16

// So many elements that are read and written at once.
template <class T, int kCount>
struct alignas(kCount * sizeof(T) < 16 ? kCount * sizeof(T) : 16) Pack {
  T x[kCount];
};

template <class T>
__device__ bool is_aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % alignof(T) == 0;
}

// Score and Mask: their bits. Mask void: none is given.
template <class Score, class Mask>
struct Source {
  static constexpr int32_t kCount = 16 / sizeof(Score);
  static constexpr bool kMasked = !std::is_void_v<Mask>;
  using MaskBits = std::conditional_t<kMasked, Mask, uint8_t>;
  using Scores = Pack<Score, kCount>;
  using Masks = Pack<MaskBits, kCount>;

  const Score* scores;
  int64_t score_stride;
  const MaskBits* mask = nullptr;
  int64_t mask_stride = 0;
  HidingBits hiding = {};

  __device__ Source(const TopkCall& c, const RowScores& row)
      : scores(reinterpret_cast<const Score*>(row.first)), score_stride(c.p.scores.stride[0]) {
    if constexpr (kMasked) {
      const RowTensor& tensor = c.p.rows.mask;
      mask_stride = tensor.stride[0];
      mask = tensor.row_as<const MaskBits>(row.t) +
             c.p.rows.column(row.span, row.span.begin) * mask_stride;
      hiding = hiding_bits(tensor.dtype);
    }
  }
  // Whether packs can be read.
  __device__ bool has_packs() const {
    return score_stride == 1 && is_aligned<Scores>(scores) &&
           (!kMasked || (mask_stride == 1 && is_aligned<Masks>(mask)));
  }
  __device__ Score seen(Score score, MaskBits mask_bits) const {
    if constexpr (!kMasked) return score;
    return mask_bits == hiding.inf || mask_bits == hiding.lowest ? kNan<Score> : score;
  }
  __device__ Score at(int32_t j) const {
    return seen(scores[j * score_stride], kMasked ? mask[j * mask_stride] : MaskBits{});
  }
};

// Keys [begin, end) of a row by a warp, an element a lane at a time.
template <class S, class Score>
__device__ void copy_elements(const S& source, int32_t begin, int32_t end, Score* to) {
#pragma unroll 8
  for (int32_t j = begin + lane_id(); j < end; j += 32) to[j] = source.at(j);
}

// The same, 16 bytes of scores at a time, for up to kOfWarp. `begin` is a multiple of that.
template <class S, class Score>
__device__ void copy_packs(const S& source, int32_t begin, int32_t end, Score* to) {
  constexpr int32_t kCount = S::kCount, kPacks = kAtOnce / kCount;
  const int32_t whole = end - end % kCount;
  const int32_t first = begin + lane_id() * kCount;
  typename S::Scores scores[kPacks];
  typename S::Masks masks[kPacks];
#pragma unroll
  for (int32_t i = 0; i < kPacks; ++i) {
    const int32_t j = first + i * 32 * kCount;
    if (j >= whole) break;
    scores[i] = *reinterpret_cast<const typename S::Scores*>(source.scores + j);
    if constexpr (S::kMasked) {
      masks[i] = *reinterpret_cast<const typename S::Masks*>(source.mask + j);
    }
  }
#pragma unroll
  for (int32_t i = 0; i < kPacks; ++i) {
    const int32_t j = first + i * 32 * kCount;
    if (j >= whole) break;
#pragma unroll
    for (int32_t e = 0; e < kCount; ++e) {
      scores[i].x[e] = source.seen(scores[i].x[e], masks[i].x[e]);
    }
    *reinterpret_cast<typename S::Scores*>(to + j) = scores[i];
  }
  copy_elements(source, max(begin, whole), end, to);
}

template <class Score, class Mask>
__global__ void __launch_bounds__(kWarps * 32)
    visible(const __grid_constant__ TopkCall c, Score* to, int64_t to_stride, int32_t parts) {
  let_next_start();
  wait_for_previous();
  const int64_t unit = int64_t{blockIdx.x} * kWarps + warp_id();
  const int64_t i = unit / parts;
  if (i >= c.row_count) return;
  const RowScores row(c.p, c.first_row + i);
  const Source<Score, Mask> source(c, row);
  const int32_t begin = static_cast<int32_t>(unit % parts * kOfWarp);
  const int32_t end = static_cast<int32_t>(min(int64_t{row.n}, begin + kOfWarp));
  if (source.has_packs()) {
    copy_packs(source, begin, end, to + i * to_stride);
  } else {
    copy_elements(source, begin, end, to + i * to_stride);
  }
}

// f(a kernel for scores and masks of these sizes).
template <class Score, class F>
cudaError_t with_kernel(int32_t mask_bytes, F f) {
  switch (mask_bytes) {
    case 0:
      return f(visible<Score, void>);
    case 1:
      return f(visible<Score, uint8_t>);
    case 2:
      return f(visible<Score, uint16_t>);
    default:
      return f(visible<Score, uint32_t>);
  }
}

template <class Score>
cudaError_t enqueue(const TopkCall& c, const RowTensor& to, const Run& run) {
  const int64_t parts = std::max<int64_t>((c.p.rows.max_length() + kOfWarp - 1) / kOfWarp, 1);
  const LaunchShape shape = {
      .grid = static_cast<uint32_t>((c.row_count * parts + kWarps - 1) / kWarps),
      .block = kWarps * 32,
      .overlap_previous = run.device->compute_capability >= 90};
  return with_kernel<Score>(c.p.rows.mask.given() ? c.p.rows.mask.bytes : 0, [&](auto kernel) {
    return launch_function(kernel, shape, stream_of(run), c,
                           reinterpret_cast<Score*>(to.row(c.first_row)),
                           to.row_stride / int64_t{sizeof(Score)}, static_cast<int32_t>(parts));
  });
}

template <class Score>
cudaError_t load() {
  return load_functions(0, visible<Score, void>, visible<Score, uint8_t>, visible<Score, uint16_t>,
                        visible<Score, uint32_t>);
}

}  // namespace

cudaError_t enqueue_visible(const TopkCall& c, const RowTensor& to, const Run& run) {
  return c.p.scores.bytes == 4 ? enqueue<uint32_t>(c, to, run) : enqueue<uint16_t>(c, to, run);
}

cudaError_t load_visible() {
  const cudaError_t error = load<uint32_t>();
  return error == cudaSuccess ? load<uint16_t>() : error;
}

}  // namespace dsa::cuda::topk

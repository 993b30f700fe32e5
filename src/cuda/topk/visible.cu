#include <algorithm>
#include <type_traits>

#include "cuda/ptx.cuh"
#include "cuda/topk/crossing.cuh"
#include "cuda/topk/row.cuh"
#include "cuda/topk/visible.h"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kWarps = 8;         // of a block
constexpr int32_t kOfLane = 8;        // scores at a time
constexpr int64_t kOfWarp = 32 * 32;  // scores of a row

template <class T>
constexpr T kNan = static_cast<T>(~T{0});  // of f32, f16, bf16

// Score and Mask: their bits. Mask void: none is given.
template <class Score, class Mask>
struct Source {
  const Score* scores;
  int64_t score_stride;
  const Mask* mask;
  int64_t mask_stride;
  HidingBits hiding;

  __device__ Source(const TopkCall& c, const RowScores& row)
      : scores(reinterpret_cast<const Score*>(row.first)), score_stride(c.p.scores.stride[0]) {
    if constexpr (!std::is_void_v<Mask>) {
      const RowTensor& tensor = c.p.rows.mask;
      mask_stride = tensor.stride[0];
      mask = tensor.row_as<const Mask>(row.t) +
             c.p.rows.column(row.span, row.span.begin) * mask_stride;
      hiding = hiding_bits(tensor.dtype);
    }
  }
  __device__ Score at(int32_t j) const {
    const Score score = __ldg(scores + j * score_stride);
    if constexpr (!std::is_void_v<Mask>) {
      const uint32_t bits = __ldg(mask + j * mask_stride);
      if (bits == hiding.inf || bits == hiding.lowest) return kNan<Score>;
    }
    return score;
  }
};

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
  Score* const out = to + i * to_stride;
#pragma unroll 1
  for (int32_t first = begin + lane_id(); first < end; first += 32 * kOfLane) {
    Score scores[kOfLane];
#pragma unroll
    for (int32_t j = 0; j < kOfLane; ++j) {
      if (first + j * 32 < end) scores[j] = source.at(first + j * 32);
    }
#pragma unroll
    for (int32_t j = 0; j < kOfLane; ++j) {
      if (first + j * 32 < end) out[first + j * 32] = scores[j];
    }
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

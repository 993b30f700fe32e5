// cuda.topk.warp: short dense rows, 8 to 32 lanes each. Their time goes by the number of
// instructions, executed and fetched: 4096 x 128 take 3.5 us, of which 1.4 read and write.
#include <algorithm>

#include "cuda/topk/lanes.cuh"
#include "cuda/topk/short_row.cuh"
#include "cuda/topk/staged_scores.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int32_t kLongestRow = 2048;
constexpr int32_t kThreads = 128;
// Of so many a multiprocessor fewer lanes a row take fewer instructions in all: 32768 x 256 take 13
// to 18 us (by k) with 16 lanes and 20 with 32, but 4096 x 256 4.5 to 5.2 and 4.0 to 4.5.
constexpr int64_t kManyRows = 64;

// G lanes a row of up to G * M places, held in registers.
template <class Element, int G, int M, int kBlock = kThreads>
__global__ void __launch_bounds__(kBlock)
    held(const __grid_constant__ DenseCall c, const NormalRank rank) {
  extern __shared__ uint16_t all_staged[];
  const uint32_t row_number = blockIdx.x * (kBlock / G) + threadIdx.x / G;
  uint16_t* const staged = all_staged + threadIdx.x / G * min(c.k, c.length);
  let_next_start();
  const Lanes<G> lanes;
  const DenseRow row = short_row(c, row_number);
  const auto own = load_scores<Element, M>(row, G * M, Element(c.dtype), lanes.lane());
  const int32_t first = lanes.lane() * M - ShortSlabs<Element>(row, G * M).shift();
  select_short(c, row_number, lanes, own, row.n, first, rank, staged);
}

// A warp a row of up to 32 M places, staged in shared memory.
template <class Element, int M>
__global__ void __launch_bounds__(kThreads, M > 32 ? 6 : 7)
    staged(const __grid_constant__ DenseCall c, const NormalRank rank) {
  constexpr int32_t kSlabs = M / Element::kCount, kRowSlabs = 32 * kRunSlabs<kSlabs>;
  extern __shared__ __align__(16) uint4 rows[];
  const uint32_t row_number = blockIdx.x * (kThreads / 32) + warp_id();
  uint4* const scores = rows + warp_id() * kRowSlabs;
  uint16_t* const selected = reinterpret_cast<uint16_t*>(rows + kThreads / 32 * kRowSlabs) +
                             warp_id() * min(c.k, c.length);
  let_next_start();
  const Lanes<32> lanes;
  const DenseRow row = short_row(c, row_number);
  stage_row<Element, kSlabs>(row, scores);
  const OwnScores<StagedScores<Element, M>> own = {
      {Element(c.dtype), shared_address(scores + lane_id() * kRunSlabs<kSlabs>)}};
  const int32_t first = lane_id() * M - ShortSlabs<Element>(row, 32 * M).shift();
  if constexpr (M <= 32) {  // 7.7 us of 4096 x 1024 against 8.4
    OwnScores<HeldScores<M>> held;
    own.each([&](int32_t i, float x) { held.x[i] = x; });
    select_short(c, row_number, lanes, held, row.n, first, rank, selected);
  } else {
    select_short(c, row_number, lanes, own, row.n, first, rank, selected);
  }
}

const char* refuse(const TopkCall& c) {
  if (c.p.rows.max_length() > kLongestRow) return "rows above 2048";
  if (c.row_count > INT32_MAX) return "rows above 2^31 - 1";
  return refuse_but_dense(c, INT32_MAX);
}

// Of blocks of so many threads and rows, with shared memory for slabs besides the selected.
cudaError_t launch_as(void (*kernel)(DenseCall, NormalRank), int32_t threads, int32_t rows,
                      int32_t slabs, const TopkCall& c, const Run& run) {
  const int64_t length = c.p.rows.max_length();
  const int64_t selected = std::min<int64_t>(c.p.select.k, length);
  const LaunchShape shape = {.grid = static_cast<uint32_t>((c.row_count + rows - 1) / rows),
                             .block = static_cast<uint32_t>(threads),
                             .shared_bytes = static_cast<int32_t>(slabs * 16 + rows * selected * 2),
                             .overlap_previous = run.device->compute_capability >= 90};
  const NormalRank rank(static_cast<float>(selected), static_cast<float>(length));
  return launch_function(kernel, shape, stream_of(run), make_dense(c), rank);
}

template <class Element, int G, int M, int kBlock = kThreads>
cudaError_t launch_held(const TopkCall& c, const Run& run) {
  return launch_as(held<Element, G, M, kBlock>, kBlock, kBlock / G, 0, c, run);
}

template <class Element, int M>
constexpr int32_t kStagedSlabs = kRunSlabs<M / Element::kCount>* kThreads;

template <class Element, int M>
cudaError_t launch_staged(const TopkCall& c, const Run& run) {
  return launch_as(staged<Element, M>, kThreads, kThreads / 32, kStagedSlabs<Element, M>, c, run);
}

template <class Element>
cudaError_t launch_of(const TopkCall& c, const Run& run) {
  constexpr int kOfSlab = Element::kCount;
  const int64_t places = most_places(c);
  const bool many = c.row_count >= kManyRows * run.device->multiprocessors;
  if (places <= 64) {
    if (many) return launch_held<Element, 8, 8>(c, run);
    // Half as many blocks start sooner, where there are many: 4096 in 3.0 us against 3.2.
    const bool some = c.row_count >= 8 * run.device->multiprocessors;
    return some ? launch_held<Element, 64 / kOfSlab, kOfSlab, 256>(c, run)
                : launch_held<Element, 64 / kOfSlab, kOfSlab>(c, run);
  }
  if (places <= 128) {
    if (many) return launch_held<Element, 8, 16>(c, run);
    return launch_held<Element, 128 / kOfSlab, kOfSlab>(c, run);
  }
  if (places <= 256) {
    if (many) return launch_held<Element, 16, 16>(c, run);
    return launch_held<Element, 32, 8>(c, run);
  }
  if (places <= 512) return launch_held<Element, 32, 16>(c, run);
  if (places <= 1024) return launch_staged<Element, 32>(c, run);
  return launch_staged<Element, 64>(c, run);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  return c.p.scores.dtype == DSA_F32 ? launch_of<Float32>(c, run) : launch_of<Float16>(c, run);
}

template <class Element>
cudaError_t load_of() {
  constexpr int kOfSlab = Element::kCount;
  const int32_t staged_bytes = kStagedSlabs<Element, 64> * 16 + kThreads / 32 * kLongestRow * 2;
  const cudaError_t error =
      load_functions(0, held<Element, 8, 8>, held<Element, 64 / kOfSlab, kOfSlab>,
                     held<Element, 64 / kOfSlab, kOfSlab, 256>, held<Element, 8, 16>,
                     held<Element, 128 / kOfSlab, kOfSlab>, held<Element, 16, 16>,
                     held<Element, 32, 8>, held<Element, 32, 16>);
  if (error != cudaSuccess) return error;
  return load_functions(staged_bytes, staged<Element, 32>, staged<Element, 64>);
}

cudaError_t load() {
  const cudaError_t error = load_of<Float32>();
  return error == cudaSuccess ? load_of<Float16>() : error;
}

}  // namespace

constinit const Form kWarp = {80, refuse, no_workspace, launch, load};

}  // namespace dsa::cuda::topk

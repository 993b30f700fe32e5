// cuda.topk.cluster: few long dense rows, a cluster of blocks each.
#include <algorithm>

#include "cuda/ptx.cuh"
#include "cuda/topk/cluster_count.cuh"
#include "cuda/topk/cluster_list.cuh"

namespace dsa::cuda::topk {
namespace {

constexpr int64_t kShortest = 16384;  // up to here one block is quicker: 5.4 us against 6.4
constexpr int64_t kMostRows = 66;     // two blocks each fill the machine
constexpr int64_t kLongestSlice = 1 << 17;

// Slices that 512 threads, with registers in plenty, are quicker at than 1024.
constexpr int64_t kLongestOf512 = 24576;

// Least scores of a slice that are worth a block more.
constexpr int64_t kSmallestSlice = 8192;

// So many that the clusters of all rows run at the same time: of clusters of 8 an H200 has 15, of 4
// it has 30.
int64_t most_ranks(int64_t rows) { return rows <= 15 ? kMostRanks : rows <= 30 ? 4 : 2; }

int64_t ranks_of(const TopkCall& c) {
  const int64_t most = most_ranks(c.row_count);
  int64_t ranks = 2;
  while (ranks < most && ranks * kSmallestSlice < c.p.rows.max_length()) ranks *= 2;
  return ranks;
}

int64_t slice_of(const TopkCall& c, int64_t ranks) { return most_places(c) / ranks + 8; }

// `varies`: rows may be short. The code for those costs the long ones 0.5 us, so that a call which
// has none goes without.
template <class Element, int kThreads, bool varies>
__global__ void __launch_bounds__(kThreads, 1) cluster(const __grid_constant__ DenseCall c) {
#if __CUDA_ARCH__ >= 900
  extern __shared__ __align__(16) char memory[];
  let_next_start();
  const Cluster cluster;
  const ClusterMemory m(memory, cluster.ranks, (c.length >> cluster.log_ranks) + 8);
  init_cluster_list(cluster, m);
  clear_cluster_list<kThreads>(m);
  const int64_t i = blockIdx.x >> cluster.log_ranks;
  const bool known = has_known_rows(c);
  if (!known) wait_for_previous();
  DenseRow row = longest_row(c, i);
  if (known) wait_for_previous();
  if constexpr (varies) {
    constexpr int32_t kShortThreads = 512;  // more do not select a short row sooner
    if (cluster.rank == 0 && threadIdx.x < kShortThreads) {
      uint16_t* const staged = reinterpret_cast<uint16_t*>(m.list);
      if (short_row<kShortThreads, Element>(c, i, row, staged, m.shared.block)) {
        cluster_wait();
        return;
      }
    } else if (reads_length(c)) {
      row.n = length_of_row(c, i);
    }
    // The others' barriers do not count threads that have ended.
    if (is_short(Slice<Element>(row.first, row.n))) {
      cluster_wait();
      return;
    }
  }
  const Slice<Element> whole(row.first, row.n);
  const Slice<Element> slice(whole, cluster.rank,
                             (whole.end + cluster.ranks - 1) >> cluster.log_ranks);
  const bool is_listed = list_row<kThreads>(c, i, whole, slice, cluster, m);
  wait_for_copies<kThreads>(cluster, m);
  if (is_listed) return;
  // All ranks have come here, and none is given anything before all have begun with the rest.
  __syncthreads();
  constexpr int32_t kSlabs = 32768 / kThreads / Element::kCount;
  if (whole.end <= cluster.ranks * kSlabs * kThreads) {
    count_row<Element, kThreads, kSlabs>(c, i, row, cluster.rank, cluster.ranks,
                                         *reinterpret_cast<CountShared*>(memory));
  } else if (cluster.rank == 0) {
    stream_row_of<kThreads>(c.full.p, c.full.first_row + i,
                            *reinterpret_cast<BlockShared*>(memory));
  }
#endif
}

const char* refuse(const TopkCall& c) {
  if (c.row_count > kMostRows) return "rows enough for a block each";
  if (c.p.rows.max_length() <= kShortest) return "rows that one block selects as fast";
  if (slice_of(c, most_ranks(c.row_count)) > kLongestSlice) return "rows above a cluster's memory";
  return refuse_but_dense(c, kLargestGatedK);
}

static_assert(sizeof(CountShared) + kLargestGatedK * sizeof(uint16_t) <= cluster_list_bytes(2, 0));

template <class Element, int kThreads>
cudaError_t launch_as(const TopkCall& c, int64_t ranks, const Run& run) {
  const DenseCall dense = make_dense(c);
  const auto kernel =
      has_one_length(dense) ? cluster<Element, kThreads, false> : cluster<Element, kThreads, true>;
  const LaunchShape shape = {.grid = static_cast<uint32_t>(c.row_count * ranks),
                             .block = kThreads,
                             .shared_bytes = static_cast<int32_t>(cluster_list_bytes(
                                 static_cast<int32_t>(ranks), slice_of(c, ranks))),
                             .cluster = static_cast<int32_t>(ranks),
                             .overlap_previous = true};
  return launch_function(kernel, shape, stream_of(run), dense);
}

template <class Element>
cudaError_t launch_of(const TopkCall& c, const Run& run) {
  const int64_t ranks = ranks_of(c);
  if (slice_of(c, ranks) <= kLongestOf512) return launch_as<Element, 512>(c, ranks, run);
  return launch_as<Element, 1024>(c, ranks, run);
}

cudaError_t launch(const TopkCall& c, const Run& run) {
  return c.p.scores.dtype == DSA_F32 ? launch_of<Float32>(c, run) : launch_of<Float16>(c, run);
}

template <class Element>
cudaError_t load_of() {
  return load_functions(static_cast<int32_t>(cluster_list_bytes(kMostRanks, kLongestSlice)),
                        cluster<Element, 512, false>, cluster<Element, 512, true>,
                        cluster<Element, 1024, false>, cluster<Element, 1024, true>);
}

cudaError_t load() {
  const cudaError_t error = load_of<Float32>();
  return error == cudaSuccess ? load_of<Float16>() : error;
}

}  // namespace

constinit const Form kCluster = {90, refuse, no_workspace, launch, load, 90};

}  // namespace dsa::cuda::topk

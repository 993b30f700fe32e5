// dsa_topk on the CPU: rows over lanes, or, where rows are long and few, parts of rows.
#include "cpu/topk/topk.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>

#include "core/params.h"
#include "cpu/simd/float_mode.h"
#include "cpu/topk/emit.h"
#include "cpu/topk/tier.h"

namespace dsa::cpu {
namespace {

using namespace topk;

// A row is worth dividing when a part takes longer (2 us and more) than handing it over does.
constexpr int64_t kDividedRow = 32768;
constexpr int64_t kSmallestPart = 8192;
constexpr int32_t kPartsPerLane = 2;
constexpr int64_t kLargestDividedShare = 16;  // k up to length / 16: the lists stay small

constexpr uint64_t align_up(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

int32_t int_length(int64_t length) {
  return static_cast<int32_t>(std::min<int64_t>(length, INT32_MAX));
}

// A lane's own memory: a list with its buffer, then what RowWriter needs.
struct LaneLayout {
  uint64_t emit;
  uint64_t total;
};

LaneLayout lane_layout(const TopkParams& p) {
  const int64_t length = p.rows.max_length();
  LaneLayout l;
  l.emit = align_up(scratch_bytes(int_length(length), p.select.k));
  l.total = l.emit + align_up(emit_bytes(p.select, length));
  return l;
}

// Few and long rows are divided into equal parts, each filtered into its own list.
struct Division {
  int32_t parts = 1;  // of a row; 1: not divided
  int64_t rows = 0;
  uint64_t list = 0;  // bytes of one part's list
};

int64_t most_parts(const TopkParams& p, int32_t lanes) {
  return std::min<int64_t>(int64_t{kPartsPerLane} * lanes, p.rows.max_length() / kSmallestPart);
}

uint64_t part_list_bytes(const TopkParams& p) {
  const int64_t length = p.rows.max_length();
  const int64_t k = std::min<int64_t>(p.select.k, length / kLargestDividedShare);
  return align_up(list_bytes(int_length(length), static_cast<int32_t>(k)));
}

Division divide(const TopkParams& p, int32_t lanes) {
  Division d;
  d.rows = p.rows.count;
  const int64_t length = p.rows.max_length();
  if (lanes == 1 || length < kDividedRow || p.select.k > length / kLargestDividedShare) return d;
  const int64_t wanted = int64_t{kPartsPerLane} * lanes;
  if (p.rows.count >= wanted) return d;
  const int64_t parts = std::min((wanted + p.rows.count - 1) / p.rows.count, most_parts(p, lanes));
  if (parts < 2) return d;
  d.parts = static_cast<int32_t>(parts);
  d.list = part_list_bytes(p);
  return d;
}

// Rows × parts is below twice the parts wanted, whatever the number of rows.
uint64_t division_bytes(const TopkParams& p, int32_t lanes) {
  if (lanes == 1 || p.rows.max_length() < kDividedRow) return 0;
  const int64_t wanted = int64_t{kPartsPerLane} * lanes;
  const int64_t rows = std::min(p.rows.count, wanted);
  const int64_t lists = std::min(rows * most_parts(p, lanes), 2 * wanted);
  return align_up(static_cast<uint64_t>(rows) * sizeof(std::atomic<int32_t>)) +
         static_cast<uint64_t>(lists) * (part_list_bytes(p) + sizeof(List));
}

uint64_t workspace(const TopkParams& p, int32_t lanes) {
  return static_cast<uint64_t>(lanes) * lane_layout(p).total + division_bytes(p, lanes);
}

const char* refuse(const TopkParams& p) {
  const int64_t width = std::min<int64_t>(p.select.k, p.rows.max_length());
  return width > INT32_MAX - 1024 ? "k above 2^31 - 1025 in rows as long" : nullptr;
}

// One row as the tier takes it; `source` must live as long.
Row make_row(const Tier& tier, const TopkParams& p, int64_t t, const RowSpan& span,
             ScoreSource& source) {
  Row row;
  row.n = span.end - span.begin;
  row.k = p.select.k;
  row.index_base = p.select.to_index(t, span, span.begin);
  row.select_neg_inf = p.select.select_neg_inf;
  if (row.n == 0) return row;
  const int64_t column = p.rows.column(span, span.begin);
  const int64_t stride = p.scores.stride[0];
  source.scores = p.scores.row(t) + column * stride * p.scores.bytes;
  source.dtype = p.scores.dtype;
  source.stride = stride;
  const RowTensor& mask = p.rows.mask;
  if (mask.given()) {
    source.mask = mask.row(t) + column * mask.stride[0] * mask.bytes;
    source.mask_dtype = mask.dtype;
    source.mask_stride = mask.stride[0];
  }
  if (p.scores.dtype == DSA_F32 && (stride == 1 || row.n == 1) && !mask.given()) {
    row.scores = reinterpret_cast<const float*>(source.scores);
  } else {
    row.fetch = tier.fetch;
    row.context = &source;
  }
  if (p.select.hint_bound.given()) {
    row.has_bound = true;
    row.bound = *p.select.hint_bound.row_as<const float>(t);
  }
  const RowTensor& hints = p.select.hint_indices;
  if (hints.given()) {
    row.previous = hints.row_as<const int32_t>(t);
    row.previous_count = int_length(std::min<int64_t>(hints.extent[0], p.select.k));
    row.previous_stride = hints.stride[0];
  }
  return row;
}

void select_rows(const Tier& tier, const TopkParams& p, char* scratch, int64_t begin, int64_t end) {
  const RowWriter writer(p.select, p.rows.max_length(), scratch + lane_layout(p).emit);
  for (int64_t t = begin; t < end; ++t) {
    const RowSpan span = p.rows.span(t);
    ScoreSource source;
    const Row row = make_row(tier, p, t, span, source);
    const Output out = writer.begin(t);
    const Cut cut = tier.select_row(row, scratch, out);
    writer.end(t, span, row.index_base, cut, out);
  }
}

// Rows in parts. A lane takes parts in order; the one that ends a row's last part joins the row's
// lists. The first bound is the same in all parts of a row: it depends on the row alone.
class DividedRows {
 public:
  DividedRows(const Tier& tier, const TopkParams& p, const Division& d, char* memory)
      : tier_(tier), p_(p), d_(d) {
    const uint64_t tasks = static_cast<uint64_t>(d.rows * d.parts);
    done_ = reinterpret_cast<std::atomic<int32_t>*>(memory);
    memory += align_up(static_cast<uint64_t>(d.rows) * sizeof(std::atomic<int32_t>));
    lists_ = memory;
    states_ = reinterpret_cast<List*>(memory + tasks * d.list);
    for (int64_t t = 0; t < d.rows; ++t) new (&done_[t]) std::atomic<int32_t>(0);
  }

  void run_lane(char* scratch) {
    const int64_t tasks = d_.rows * d_.parts;
    int64_t bound_row = -1;  // the row that `bound` is of
    float bound = 0.0f;
    for (;;) {
      const int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks) return;
      const int64_t t = task / d_.parts;
      const RowSpan span = p_.rows.span(t);
      ScoreSource source;
      const Row row = make_row(tier_, p_, t, span, source);
      if (t != bound_row && row.n > 0) bound = tier_.guess_bound(row, scratch);
      bound_row = t;
      filter_part(row, bound, task, scratch);
      if (done_[t].fetch_add(1, std::memory_order_acq_rel) + 1 == d_.parts) {
        join(row, t, span, scratch);
      }
    }
  }

 private:
  void filter_part(const Row& row, float bound, int64_t task, char* scratch) {
    List list = make_list(lists_ + static_cast<uint64_t>(task) * d_.list, row.n, row.k, bound,
                          row.select_neg_inf);
    const int64_t part = task % d_.parts;
    tier_.feed_row(list, row, static_cast<int32_t>(row.n * part / d_.parts),
                   static_cast<int32_t>(row.n * (part + 1) / d_.parts), scratch);
    states_[task] = list;
  }

  void join(const Row& row, int64_t t, const RowSpan& span, char* scratch) {
    const RowWriter writer(p_.select, p_.rows.max_length(), scratch + lane_layout(p_).emit);
    const Output out = writer.begin(t);
    const List* parts = &states_[t * d_.parts];
    List list = make_list(scratch, row.n, row.k, parts[0].bound, row.select_neg_inf);
    for (int32_t i = 0; i < d_.parts; ++i) tier_.append(list, parts[i]);
    // Too few: the bound was too high, unless it kept all that can be selected.
    const bool whole = list.size >= list.k || parts[0].bound == -__builtin_inff();
    const Cut cut =
        row.n > 0 && whole ? tier_.finish(list, out) : tier_.select_row(row, scratch, out);
    writer.end(t, span, row.index_base, cut, out);
  }

  const Tier& tier_;
  const TopkParams& p_;
  const Division d_;
  std::atomic<int32_t>* done_;  // [rows]: parts that are ready
  char* lists_;                 // [rows, parts, d.list]
  List* states_;                // [rows, parts]
  std::atomic<int64_t> next_{0};
};

// What a row costs on one AVX-512 core (Xeon, Sapphire Rapids): up to 2048 elements are read twice,
// and more survivors than two vectors hold are bisected.
double row_ns(const TopkParams& p) {
  const double length = double(p.rows.max_length());
  const double selected = std::min(length, double(p.select.k));
  return 60.0 + 0.15 * std::min(length, 2048.0) + 0.08 * length + 2.5 * selected +
         (selected > 20.0 ? 150.0 : 0.0);
}

// Whole rows: as many lanes as there are. Parts of a row: the lists of n lanes' parts are joined on
// one of them, at about 250 ns each, so ns / n + 250 n is to be small.
int32_t choose_lanes(const TopkParams& p, const Parallel& parallel) {
  const double ns = double(p.rows.count) * row_ns(p);
  // Batches of short rows: 128 x 128, k 8, takes 12 us on one core of 16 and 7.5 on all.
  constexpr double kLeastNs = 6000.0;
  const int32_t most = parallel.lanes_for(ns, kLeastNs);
  if (divide(p, most).parts > 1) return std::min(most, int32_t(std::sqrt(ns / 250.0)));
  return int32_t(std::min<int64_t>(most, std::max<int64_t>(p.rows.count, 1)));
}

// Rows that a lane takes at a time. Eight turns a lane even out rows of different length and lanes
// of different speed; but a turn under 2 us would be spent waiting for the shared counter (16
// lanes: 100 ns a turn).
int64_t choose_turn(const TopkParams& p, int32_t lanes) {
  const int64_t even = (p.rows.count + lanes - 1) / lanes;
  const int64_t worthwhile = static_cast<int64_t>(2000.0 / row_ns(p)) + 1;
  return std::min(even, std::max(worthwhile, p.rows.count / (int64_t{8} * lanes)));
}

void launch(const Tier& tier, const TopkParams& p, const Run& run) {
  const int32_t lanes = choose_lanes(p, *run.parallel);
  const uint64_t lane_bytes = lane_layout(p).total;
  if (lanes == 1) {
    const DefaultFloatMode mode;
    select_rows(tier, p, run.workspace, 0, p.rows.count);
    return;
  }
  const Division d = divide(p, lanes);
  if (d.parts > 1) {
    DividedRows divided(tier, p, d, run.workspace + uint64_t(run.max_lanes()) * lane_bytes);
    run.lanes(lanes, [&](int32_t lane) {
      const DefaultFloatMode mode;
      divided.run_lane(run.workspace + uint64_t(lane) * lane_bytes);
    });
    return;
  }
  const int64_t turn = choose_turn(p, lanes);
  std::atomic<int64_t> next{turn * lanes};  // a lane's first turn is its own
  run.lanes(lanes, [&](int32_t lane) {
    const DefaultFloatMode mode;
    for (int64_t begin = turn * lane; begin < p.rows.count;) {
      select_rows(tier, p, run.workspace + uint64_t(lane) * lane_bytes, begin,
                  std::min(begin + turn, p.rows.count));
      if (turn * lanes >= p.rows.count) return;
      begin = next.fetch_add(turn, std::memory_order_relaxed);
    }
  });
}

template <const Tier& (*tier)()>
void launch_tier(const TopkParams& p, const Run& run) {
  launch(tier(), p, run);
}

}  // namespace

constinit const Kernel kTopkScalar =
    make_cpu_kernel<TopkParams, refuse, workspace, launch_tier<tier_scalar>>(
        "cpu.topk.scalar", "scalar", CpuTier::kScalar);
#if defined(DSA_X86)
constinit const Kernel kTopkAvx2 =
    make_cpu_kernel<TopkParams, refuse, workspace, launch_tier<tier_avx2>>("cpu.topk.avx2", "avx2",
                                                                           CpuTier::kAvx2);
constinit const Kernel kTopkAvx512 =
    make_cpu_kernel<TopkParams, refuse, workspace, launch_tier<tier_avx512>>(
        "cpu.topk.avx512", "avx512", CpuTier::kAvx512);
#endif

}  // namespace dsa::cpu

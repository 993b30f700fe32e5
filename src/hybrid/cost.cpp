#include "hybrid/cost.h"

#include <algorithm>

namespace dsa {
namespace {

// Mean of x clamped to [0, high] over x in [from, to].
double mean_clamped(double from, double to, double high) {
  const auto integral = [high](double x) {
    if (x <= 0) return 0.0;
    return x <= high ? x * x / 2 : high * high / 2 + high * (x - high);
  };
  return to > from ? (integral(to) - integral(from)) / (to - from) : std::clamp(from, 0.0, high);
}

// Keys that a row sees on average, none of them counted beyond `most`.
double mean_visible(const Rows& rows, double most) {
  const auto longest = static_cast<double>(rows.max_length());
  if (rows.by != VisibleBy::kCausal || rows.count == 0) return std::min(longest, most);
  // Row t of a request sees (offset + t + 1) / ratio keys, rounded down: half a key less where
  // more than one token stands for a key.
  const double ratio = rows.ratio, rounding = (1 - 1 / ratio) / 2;
  const auto per_request = static_cast<double>(rows.batch == 1 ? rows.count : rows.per_request);
  const double from = static_cast<double>(rows.offset) + 0.5;
  return mean_clamped(from / ratio - rounding, (from + per_request) / ratio - rounding,
                      std::min(longest, most));
}

DtypeClass class_of(int32_t q, int32_t keys) {
  const auto is_16bit = [](int32_t dtype) { return dtype == DSA_F16 || dtype == DSA_BF16; };
  if (keys == DSA_F8_E4M3FN && (q == DSA_F8_E4M3FN || is_16bit(q))) return kClassFp8;
  return is_16bit(q) && is_16bit(keys) ? kClass16Bit : kClassF32;
}

double busy_factor(const ForwardLoad& load) {
  // A GPU that is said to be taken wholly still gets there in the end.
  return 1 / std::max(1 - load.gpu_busy, 1e-3);
}

// Fewer threads than were measured take longer; more are not believed to be faster.
double threads_factor(const Tune& tune, const ForwardLoad& load) {
  return std::max(1.0, tune.threads / std::max(load.lanes, 1));
}

double attend_seconds(const SideRates& side, const ForwardShape& s) {
  return s.attend_flop / (s.shared_kv ? side.attend_shared : side.attend_apart)[s.attend_class];
}

double alone(const SideRates& side, const ForwardShape& s) {
  return side.index[s.index_class].seconds(s.index_flop, s.visible) +
         s.visible / side.select_score + s.rows / side.select_row + s.selected / side.select_kept +
         attend_seconds(side, s);
}

// All inputs over the link before the call and the outputs back behind it.
double moved(const Tune& tune, const ForwardShape& s, bool to_device) {
  const HybridRates& h = tune.hybrid;
  const double in = to_device ? h.pageable_up : h.pageable_down;
  const double out = to_device ? h.pageable_down : h.pageable_up;
  return h.latency + h.copy * s.copies + s.input_bytes / in + s.output_bytes / out;
}

}  // namespace

ForwardShape shape_of(const IndexerTopkParams& select, const SparseAttnParams& attend,
                      bool on_device) {
  const IndexerParams& index = select.indexer;
  const AttnScope& first = attend.scope[0];
  ForwardShape s;
  s.rows = static_cast<double>(index.rows.count);
  s.longest = static_cast<double>(index.rows.max_length());
  s.visible = s.rows * mean_visible(index.rows, s.longest);
  s.selected = s.rows * mean_visible(index.rows, select.select.k);
  s.attended = s.selected * first.index_block;
  if (first.block_tail) s.attended += s.rows * (first.index_block - 1) / 2;
  if (attend.scopes > 1) {
    s.attended += s.rows * static_cast<double>(attend.scope[1].max_selected());
  }
  double key_width = 0;
  for (int32_t i = 0; i < first.pieces; ++i) key_width += first.piece[i].values.width;
  s.index_flop = 2 * s.visible * index.heads * index.dim;
  s.attend_flop = 2 * s.attended * attend.heads * (key_width + attend.value_dim);
  s.shared_kv = first.kv_heads == 1;
  s.index_class = class_of(index.q.dtype, index.keys.values.dtype);
  s.attend_class = class_of(attend.q[0].dtype, first.piece[0].values.dtype);
  s.on_device = on_device;
  return s;
}

HybridStages hybrid_stages(const Tune& tune, const ForwardShape& s, bool prefilter,
                           const ForwardLoad& load) {
  const HybridRates& h = tune.hybrid;
  const double busy = busy_factor(load), threads = threads_factor(tune, load);
  // A row that is not long against what is kept of it travels whole.
  const double shipped = prefilter ? std::min(s.visible, h.filter_kept * s.selected) : s.visible;
  HybridStages stages;
  stages.score = (tune.gpu.index[s.index_class].seconds(s.index_flop, s.visible) +
                  s.visible / (prefilter ? h.filter_score : h.pack_score)) *
                 busy;
  stages.copy = 4 * shipped / h.down;
  stages.select = (shipped / h.cut_score + s.rows / h.cut_row) * threads;
  stages.attend = (shipped / h.take_score + attend_seconds(tune.gpu, s)) * busy;
  return stages;
}

double predict(const Tune& tune, const ForwardShape& s, int32_t route, const ForwardLoad& load) {
  const double busy = busy_factor(load), threads = threads_factor(tune, load);
  switch (route) {
    case DSA_ROUTE_CPU:
      return tune.cpu.call + alone(tune.cpu, s) * threads +
             (s.on_device ? moved(tune, s, false) : 0);
    case DSA_ROUTE_GPU:
      return tune.gpu.call + alone(tune.gpu, s) * busy + (s.on_device ? 0 : moved(tune, s, true));
    default: {
      const bool prefilter = route == DSA_ROUTE_HYBRID_PREFILTER;
      const HybridStages stages = hybrid_stages(tune, s, prefilter, load);
      // Scores and attention share the GPU; the longest of the three runs through, of the others a
      // chunk stands before and behind it.
      const double gpu = stages.score + stages.attend;
      const double longest = std::max({gpu, stages.copy, stages.select});
      const double rest = gpu + stages.copy + stages.select - longest;
      return tune.hybrid.call + tune.hybrid.chunk * (s.chunks - 1) + longest + rest / s.chunks +
             (s.on_device ? 0 : moved(tune, s, true));
    }
  }
}

}  // namespace dsa

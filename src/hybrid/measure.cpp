#include "hybrid/measure.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/error.h"
#include "hybrid/gpu_lab.h"
#include "hybrid/ring.h"

namespace dsa {
namespace {

// Shapes that keep one side busy for some milliseconds at most: sixteen CPU cores, or a GPU.
struct Sizes {
  int64_t index_rows, index_keys;            // 4 heads of 32
  int64_t wide_index_rows, wide_index_keys;  // 32 heads of 128
  int64_t long_rows, short_rows;             // of a top-k: long ones, short ones
  int64_t attend_rows;                       // 4 heads of 32, 32 keys
  int64_t wide_attend_rows;                  // 16 heads over 576/512
  int32_t wide_attend_k;
};
constexpr Sizes kCpuSizes = {512, 1024, 64, 1024, 64, 4096, 512, 16, 256};
constexpr Sizes kGpuSizes = {8192, 1024, 512, 8192, 1024, 65536, 8192, 256, 2048};
constexpr int32_t kMultiprocessors = 132;  // of the GPU that they are made for

// As many rows as keep a GPU of another size as busy.
int64_t rows_for(int64_t rows, int32_t multiprocessors) {
  return std::max<int64_t>(rows * multiprocessors / kMultiprocessors, 2);
}
Sizes gpu_sizes(int32_t multiprocessors) {
  Sizes sizes = kGpuSizes;
  for (int64_t* rows : {&sizes.index_rows, &sizes.wide_index_rows, &sizes.long_rows,
                        &sizes.short_rows, &sizes.attend_rows, &sizes.wide_attend_rows}) {
    *rows = rows_for(*rows, multiprocessors);
  }
  return sizes;
}

constexpr int64_t kLong = 16384, kShort = 64;  // columns
constexpr int32_t kFew = 16, kMany = 2048;     // selected of a long row
constexpr int32_t kOfShort = 8;                // of a short one
constexpr int64_t kHeads = 4, kDim = 32;
constexpr int32_t kAttendK = 32;
constexpr int64_t kWideHeads = 32, kWideDim = 128;
constexpr int64_t kMlaHeads = 16, kMlaDim = 576, kMlaValueDim = 512;

int32_t dtype_of(int32_t dtype_class) {
  constexpr int32_t kDtypes[kDtypeClasses] = {DSA_F32, DSA_BF16, DSA_F8_E4M3FN};
  return kDtypes[dtype_class];
}

// What is left of a time when a known part of it is taken away: never less than a share of it, for
// measured times are not exact.
double rest(double seconds, double known) { return std::max(seconds - known, 0.05 * seconds); }

// Two times that share their two unknowns: seconds = flops / flop + items / item.
WorkRate solve(double flops1, double items1, double seconds1, double flops2, double items2,
               double seconds2) {
  const double determinant = flops1 * items2 - flops2 * items1;
  double per_flop = (seconds1 * items2 - seconds2 * items1) / determinant;
  double per_item = (flops1 * seconds2 - flops2 * seconds1) / determinant;
  // The first has few operations an item, the second many: each bounds one unknown from above.
  per_flop = std::clamp(per_flop, 0.05 * seconds2 / flops2, seconds2 / flops2);
  per_item = std::clamp(per_item, 0.05 * seconds1 / items1, seconds1 / items1);
  return {1 / per_flop, 1 / per_item};
}

double index_seconds(Lab& lab, int32_t dtype, int64_t rows, int64_t keys, int64_t heads,
                     int64_t dim) {
  dsa_indexer_desc d = dsa_indexer_desc_init();
  d.q = lab.numbers(dtype, {rows, heads, dim});
  d.keys = lab.numbers(dtype, {keys, dim});
  d.w = lab.numbers(DSA_F32, {rows, heads});
  d.scores = lab.numbers(DSA_F32, {rows, keys});
  const double seconds =
      lab.seconds([&](const dsa_exec* exec) { return dsa_indexer(lab.ctx(), &d, exec); });
  lab.clear();
  return seconds;
}

double select_seconds(Lab& lab, int64_t rows, int64_t columns, int32_t k) {
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = lab.numbers(DSA_F32, {rows, columns});
  d.k = k;
  d.indices = lab.selection(rows, k, columns);
  const double seconds =
      lab.seconds([&](const dsa_exec* exec) { return dsa_topk(lab.ctx(), &d, exec); });
  lab.clear();
  return seconds;
}

// Four heads with keys and values of their own.
double attend_seconds(Lab& lab, int32_t dtype, int64_t rows) {
  constexpr int64_t kKeys = 1024;
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.scale = 0.125f;
  d.k = kAttendK;
  d.q = lab.numbers(dtype, {rows, kHeads, kDim});
  d.kv = lab.numbers(dtype, {kKeys, kHeads, kDim});
  d.v = lab.numbers(dtype, {kKeys, kHeads, kDim});
  d.out = lab.numbers(DSA_F32, {rows, kHeads, kDim});
  d.indices = lab.selection(rows, kAttendK, kKeys);
  const double seconds =
      lab.seconds([&](const dsa_exec* exec) { return dsa_sparse_attn(lab.ctx(), &d, exec); });
  lab.clear();
  return seconds;
}

// A latent of 576 that serves all heads; FP8 in packed tokens, as caches hold it.
double wide_attend_seconds(Lab& lab, int32_t dtype, int64_t rows, int32_t k) {
  constexpr int64_t kKeys = 8192, kPackedBytes = 656;
  dsa_sparse_attn_desc d = dsa_sparse_attn_desc_init();
  d.scale = 0.04f;
  d.k = k;
  if (dtype == DSA_F8_E4M3FN) {
    d.key_format = DSA_FORMAT_KV_FP8_656;
    d.q = lab.numbers(DSA_BF16, {rows, kMlaHeads, kMlaDim});
    d.kv = lab.numbers(DSA_U8, {kKeys, kPackedBytes});
  } else {
    d.q = lab.numbers(dtype, {rows, kMlaHeads, kMlaDim});
    d.kv = lab.numbers(dtype, {kKeys, kMlaDim});
  }
  d.out = lab.numbers(dtype == DSA_F32 ? DSA_F32 : DSA_BF16, {rows, kMlaHeads, kMlaValueDim});
  d.indices = lab.selection(rows, k, kKeys);
  const double seconds =
      lab.seconds([&](const dsa_exec* exec) { return dsa_sparse_attn(lab.ctx(), &d, exec); });
  lab.clear();
  return seconds;
}

WorkRate index_rate(Lab& lab, const Sizes& sizes, int32_t dtype) {
  const double small = index_seconds(lab, dtype, sizes.index_rows, sizes.index_keys, kHeads, kDim);
  const double wide =
      index_seconds(lab, dtype, sizes.wide_index_rows, sizes.wide_index_keys, kWideHeads, kWideDim);
  if (small < 0 || wide < 0) return {};
  const auto scores = static_cast<double>(sizes.index_rows * sizes.index_keys);
  const auto wide_scores = static_cast<double>(sizes.wide_index_rows * sizes.wide_index_keys);
  return solve(2 * scores * kHeads * kDim, scores, small, 2 * wide_scores * kWideHeads * kWideDim,
               wide_scores, wide);
}

// A class that no kernel takes keeps its built-in rate: nothing of it runs anyway.
void measure_index(Lab& lab, const Sizes& sizes, SideRates& rates) {
  for (int32_t c = 0; c < kDtypeClasses; ++c) {
    const WorkRate found = index_rate(lab, sizes, dtype_of(c));
    if (found.flop > 0) rates.index[static_cast<size_t>(c)] = found;
  }
}

void measure_attend(Lab& lab, const Sizes& sizes, SideRates& rates) {
  const auto keys = static_cast<double>(sizes.attend_rows * kAttendK * kHeads);
  const auto wide_keys = static_cast<double>(sizes.wide_attend_rows * kMlaHeads) *
                         static_cast<double>(sizes.wide_attend_k);
  for (int32_t c = 0; c < kDtypeClasses; ++c) {
    const double apart = attend_seconds(lab, dtype_of(c), sizes.attend_rows);
    if (apart > 0) {
      rates.attend_apart[static_cast<size_t>(c)] = 2 * keys * (kDim + kDim) / apart;
    }
    const double shared =
        wide_attend_seconds(lab, dtype_of(c), sizes.wide_attend_rows, sizes.wide_attend_k);
    if (shared > 0) {
      rates.attend_shared[static_cast<size_t>(c)] =
          2 * wide_keys * (kMlaDim + kMlaValueDim) / shared;
    }
  }
}

// From long rows of which few are kept, short rows, where the row itself counts, and long rows of
// which many are kept.
void measure_select(Lab& lab, const Sizes& sizes, SideRates& rates) {
  const auto rows = static_cast<double>(sizes.short_rows);
  const double few = select_seconds(lab, sizes.long_rows, kLong, kFew);
  const double many = select_seconds(lab, sizes.long_rows, kLong, kMany);
  const double of_short = select_seconds(lab, sizes.short_rows, kShort, kOfShort);
  const double a_score = few / static_cast<double>(sizes.long_rows * kLong);
  rates.select_score = 1 / a_score;
  rates.select_row = rows / rest(of_short, a_score * rows * kShort);
  rates.select_kept = static_cast<double>(sizes.long_rows * kMany) / rest(many, few);
}

// The experiment's call: B requests of T causal queries on T keys.
class ForwardLab {
 public:
  ForwardLab(Lab& lab, int64_t batch, int64_t length, int32_t k) : lab_(lab) {
    select_.flags = DSA_CAUSAL;
    select_.key_layout = DSA_LAYOUT_BATCH;
    select_.k = k;
    select_.q = lab.numbers(DSA_F32, {batch, length, kHeads, kDim});
    select_.keys = lab.numbers(DSA_F32, {batch, length, kDim});
    select_.w = lab.numbers(DSA_F32, {batch, length, kHeads});
    attend_.key_layout = DSA_LAYOUT_BATCH;
    attend_.scale = 0.125f;
    attend_.q = lab.numbers(DSA_F32, {batch, length, kHeads, kDim});
    attend_.kv = lab.numbers(DSA_F32, {batch, length, kHeads, kDim});
    attend_.v = lab.numbers(DSA_F32, {batch, length, kHeads, kDim});
    attend_.out = lab.numbers(DSA_F32, {batch, length, kHeads, kDim});
    forward_.select = &select_;
    forward_.attend = &attend_;
  }
  ~ForwardLab() { lab_.clear(); }
  ForwardLab(const ForwardLab&) = delete;
  ForwardLab& operator=(const ForwardLab&) = delete;

  double seconds(int32_t route) {
    forward_.route = route;
    return lab_.seconds_waited(
        [&](const dsa_exec* exec) { return dsa_forward(lab_.ctx(), &forward_, exec); });
  }
  // Of a hybrid route: its stages, none beside another.
  StageSums stages(int32_t route) {
    HybridRing& ring = *lab_.ctx()->hybrid;
    StageSums sums;
    for (int i = 0; i < 3; ++i) {  // the last one is warm
      sums = {};
      ring.sums = &sums;
      forward_.route = route;
      const dsa_status status =
          lab_.run([&](const dsa_exec* exec) { return dsa_forward(lab_.ctx(), &forward_, exec); });
      ring.sums = nullptr;
      if (status != DSA_OK) fail(status, "tune: %s", dsa_last_error());
    }
    return sums;
  }

 private:
  Lab& lab_;
  dsa_indexer_topk_desc select_ = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc attend_ = dsa_sparse_attn_desc_init();
  dsa_forward_desc forward_ = dsa_forward_desc_init();
};
constexpr int64_t kTinyLength = 16;
constexpr int32_t kTinyK = 8;

double seconds_of(const StageSums& sums, Stage stage) {
  return sums.ms[static_cast<int>(stage)] * 1e-3;
}

// The shares of stages that no operation alone has, from a call whose rows are long.
void measure_hybrid(Lab& lab, Tune& tune, int32_t multiprocessors) {
  constexpr int64_t kBatch = 2, kLongest = 4096;
  constexpr int32_t kK = 64;
  const int64_t length = std::clamp<int64_t>(rows_for(kLongest, multiprocessors), 512, kLongest);
  const auto rows = static_cast<double>(kBatch * length);
  const double visible = rows * static_cast<double>(length + 1) / 2;
  HybridRates& h = tune.hybrid;
  ForwardLab call(lab, kBatch, length, kK);
  const double index = tune.gpu.index[kClassF32].seconds(2 * visible * kHeads * kDim, visible);
  const StageSums plain = call.stages(DSA_ROUTE_HYBRID);
  h.pack_score = visible / rest(seconds_of(plain, Stage::kScore), index);
  h.take_score = visible / seconds_of(plain, Stage::kCut);
  h.cut_score = visible / seconds_of(plain, Stage::kSelect);
  const StageSums filtered = call.stages(DSA_ROUTE_HYBRID_PREFILTER);
  h.filter_score = visible / rest(seconds_of(filtered, Stage::kScore), index);
  h.filter_kept = static_cast<double>(filtered.shipped_bytes) / 4 / (rows * kK);
}

// What a call and a chunk cost beside the work in them, from short rows.
void measure_hybrid_calls(Lab& lab, Tune& tune, int32_t multiprocessors) {
  constexpr int64_t kLength = 256;
  constexpr int32_t kK = 16;
  const int64_t batch = rows_for(64, multiprocessors);
  const auto rows = static_cast<double>(batch * kLength);
  const double visible = rows * (kLength + 1) / 2;
  HybridRates& h = tune.hybrid;
  {
    ForwardLab call(lab, batch, kLength, kK);
    const StageSums sums = call.stages(DSA_ROUTE_HYBRID);
    h.cut_row = rows / rest(seconds_of(sums, Stage::kSelect), visible / h.cut_score);
    double all = 0, longest = 0;
    for (int i = 0; i < kStages; ++i) {
      all += sums.ms[i] * 1e-3;
      longest = std::max(longest, sums.ms[i] * 1e-3);
    }
    const auto chunks = static_cast<double>(sums.chunks);
    const double overlapped = longest + (all - longest) / chunks;
    h.chunk = rest(call.seconds(DSA_ROUTE_HYBRID), overlapped) / chunks;
  }
  ForwardLab tiny(lab, 1, kTinyLength, kTinyK);
  h.call = tiny.seconds(DSA_ROUTE_HYBRID);
}

// Steps in order, so that whoever waits hears how far it is.
class Steps {
 public:
  void add(const char* what, std::function<void()> step) {
    steps_.emplace_back(what, std::move(step));
  }
  void run(const std::function<void(double, const char*)>& progress) const {
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (progress) {
        progress(static_cast<double>(i) / static_cast<double>(steps_.size()), steps_[i].first);
      }
      steps_[i].second();
    }
    if (progress) progress(1, "done");
  }

 private:
  std::vector<std::pair<const char*, std::function<void()>>> steps_;
};

struct SideTexts {
  const char *index, *select, *attend, *call;
};
constexpr SideTexts kCpuTexts = {"indexer on the CPU", "top-k on the CPU", "attention on the CPU",
                                 "a short call on the CPU"};
constexpr SideTexts kGpuTexts = {"indexer on the GPU", "top-k on the GPU", "attention on the GPU",
                                 "a short call on the GPU"};

void add_side(Steps& steps, Lab& lab, const Sizes& sizes, int32_t route, const SideTexts& texts,
              SideRates& rates) {
  steps.add(texts.index, [&lab, &sizes, &rates] { measure_index(lab, sizes, rates); });
  steps.add(texts.select, [&lab, &sizes, &rates] { measure_select(lab, sizes, rates); });
  steps.add(texts.attend, [&lab, &sizes, &rates] { measure_attend(lab, sizes, rates); });
  steps.add(texts.call, [&lab, &rates, route] {
    rates.call = ForwardLab(lab, 1, kTinyLength, kTinyK).seconds(route);
  });
}

// Passes over everything, a second apart: cores that other work shares are slow for a while, and
// then no longer. Of each constant the median is taken.
constexpr size_t kPasses = 3;

Tune median_of(const std::array<Tune, kPasses>& passes) {
  std::vector<std::array<double, kPasses>> found;
  for (size_t pass = 0; pass < kPasses; ++pass) {
    size_t i = 0;
    each_constant(passes[pass], [&](const std::string&, const char*, double value) {
      if (i == found.size()) found.emplace_back();
      found[i++][pass] = value;
    });
  }
  Tune tune = passes[0];
  size_t i = 0;
  each_constant(tune, [&](const std::string&, const char*, double& value) {
    std::array<double, kPasses>& values = found[i++];
    std::sort(values.begin(), values.end());
    value = values[kPasses / 2];
  });
  return tune;
}

// Cores that have slept, and threads that were never there, are slow at first.
void warm_threads(const Parallel& parallel) {
  constexpr double kSeconds = 20e-3;
  const double end = now() + kSeconds;
  parallel.run(
      parallel.max_lanes(), nullptr,
      [](void* until, int64_t) {
        while (now() < *static_cast<const double*>(until)) {
        }
      },
      const_cast<double*>(&end));
}

}  // namespace

Tune measure_machine(dsa_ctx& ctx, const std::function<void(double, const char*)>& progress) {
  std::array<Tune, kPasses> passes;
  CpuLab cpu(ctx);
  std::optional<GpuLab> gpu;
  if (ctx.device()) gpu.emplace(ctx);
  const int32_t multiprocessors = gpu ? ctx.device()->multiprocessors : 0;
  const Sizes sizes = gpu_sizes(multiprocessors);
  Steps steps;
  for (Tune& tune : passes) {
    tune = Tune::built_in();
    tune.has_gpu = gpu.has_value();
    tune.threads = ctx.parallel.max_lanes();
    steps.add("threads awake", [&ctx] { warm_threads(ctx.parallel); });
    add_side(steps, cpu, kCpuSizes, DSA_ROUTE_CPU, kCpuTexts, tune.cpu);
    if (!gpu) continue;
    add_side(steps, *gpu, sizes, DSA_ROUTE_GPU, kGpuTexts, tune.gpu);
    steps.add("the link between them", [&] { gpu->measure_link(tune.hybrid); });
    steps.add("stages of a hybrid call", [&] { measure_hybrid(*gpu, tune, multiprocessors); });
    steps.add("short hybrid calls", [&] { measure_hybrid_calls(*gpu, tune, multiprocessors); });
  }
  steps.run(progress);
  return median_of(passes);
}

}  // namespace dsa

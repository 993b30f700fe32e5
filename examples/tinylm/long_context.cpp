#include "long_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "progress.h"
#include "transformer.h"

namespace tinylm {
namespace {

constexpr int64_t kFirst = 2048;

// One mode's run over the text: it is read once, and what was spent up to a length is the cost of
// that length, since a position never sees later ones.
struct Run {
  Run(const Model &model, const Attention &attention, AttentionMode mode, int32_t dtype,
      int64_t capacity)
      : level(cost_level(mode)),
        transformer(model, attention, mode),
        cache(attention.compute(), model.config, dtype, capacity) {}

  void read(std::span<const uint8_t> text, int64_t to, const char *label) {
    const int64_t from = cache.length();
    Progress progress(label, to - from, "positions", level + static_cast<double>(from));
    transformer.forward(text.subspan(static_cast<size_t>(from), static_cast<size_t>(to - from)),
                        cache, nullptr, times, [&](double done) { progress.update(done); });
  }

  double level;
  Transformer transformer;
  KvCache cache;
  StageTimes times;
};

}  // namespace

void print_long_context(const Options &options, const Model &model, const Attention &attention,
                        std::span<const uint8_t> text) {
  const int64_t last = options.long_positions;
  std::vector<uint8_t> repeated(static_cast<size_t>(last));
  for (size_t i = 0; i < repeated.size(); ++i) repeated[i] = text[i % text.size()];

  Run sparse(model, attention, AttentionMode::kSparse, options.dtype, last);
  Run dense(model, attention, AttentionMode::kDense, options.dtype, last);
  fmt::print("   {:>9}  {:>27}  {:>9}  {:>13}\n", "positions", "sparse: selection + attention",
             "dense", "dense / sparse");
  for (int64_t length = kFirst;; length = std::min(2 * length, last)) {
    sparse.read(repeated, length, "sparse");
    dense.read(repeated, length, "dense");
    const StageTimes &s = sparse.times;
    const double total = s.selection + s.attention;
    fmt::print("   {:>9}  {:>9.2f} s = {:>6.2f} + {:>6.2f}  {:>7.2f} s  {:>14.1f}\n", length, total,
               s.selection, s.attention, dense.times.attention, dense.times.attention / total);
    std::fflush(stdout);
    if (length == last) break;
  }
}

}  // namespace tinylm

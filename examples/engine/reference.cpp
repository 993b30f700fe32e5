#include "reference.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "cache.h"

namespace engine {
namespace {

// f32 sums may order two keys otherwise whose scores are closer than this.
constexpr double kScoreSlack = 1e-4;

double dot(const Bf16 *a, const Bf16 *b, int count) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += static_cast<double>(widen(a[i])) * widen(b[i]);
  return sum;
}

}  // namespace

Reference::Reference(int longest) {
  const auto count = static_cast<size_t>(longest);
  tokens_.resize(count);
  scores_.resize(count);
  sorted_.resize(count);
  selected_.resize(count);
}

double Reference::index_score(const Token &token) const {
  double sum = 0;
  for (int h = 0; h < Shape::kIndexHeads; ++h) {
    sum += query_.index_w[h] *
           std::max(0.0, dot(query_.index_q[h], token.index_key, Shape::kIndexDim));
  }
  return sum;
}

// False when a slot lies outside the request, or comes twice.
bool Reference::find_positions(const int32_t *kv_table, const int32_t *slots, int count) {
  const int pages = static_cast<int>(tokens_.size() + Cache::kKvPage - 1) / Cache::kKvPage;
  selected_.assign(tokens_.size(), 0);
  for (int j = 0; j < count; ++j) {
    const int32_t *page = std::find(kv_table, kv_table + pages, slots[j] / Cache::kKvPage);
    const auto position = static_cast<size_t>((page - kv_table) * Cache::kKvPage) +
                          static_cast<size_t>(slots[j] % Cache::kKvPage);
    if (slots[j] < 0 || position >= tokens_.size() || selected_[position]) return false;
    selected_[position] = 1;
  }
  return true;
}

bool Reference::are_best() {
  const size_t want = std::min(scores_.size(), static_cast<size_t>(Shape::kTopk));
  if (static_cast<size_t>(std::count(selected_.begin(), selected_.end(), 1)) != want) return false;
  sorted_ = scores_;
  const auto last = sorted_.begin() + static_cast<ptrdiff_t>(want) - 1;
  std::nth_element(sorted_.begin(), last, sorted_.end(), std::greater<>());
  for (size_t s = 0; s < scores_.size(); ++s) {
    const double above_cut = scores_[s] - *last;
    if (selected_[s] ? above_cut < -kScoreSlack : above_cut > kScoreSlack) return false;
  }
  return true;
}

double Reference::error_of(const float *out) const {
  double worst = 0, largest = 0;
  for (int h = 0; h < Shape::kHeads; ++h) {
    double sum[Shape::kValueDim] = {}, total = 0;
    for (size_t s = 0; s < tokens_.size(); ++s) {
      if (!selected_[s]) continue;
      const Bf16 *kv = tokens_[s].kv;
      const double p = std::exp(Shape::kScale * dot(query_.q[h], kv, Shape::kDim));
      total += p;
      for (int d = 0; d < Shape::kValueDim; ++d) sum[d] += p * widen(kv[d]);
    }
    for (int d = 0; d < Shape::kValueDim; ++d) {
      worst = std::max(worst, std::fabs(out[h * Shape::kValueDim + d] - sum[d] / total));
      largest = std::max(largest, std::fabs(sum[d] / total));
    }
  }
  return worst / largest;
}

Verdict Reference::check(const std::vector<int> &tokens, int position, const int32_t *kv_table,
                         const int32_t *slots, int count, const float *out) {
  make_query(tokens[static_cast<size_t>(position)], position, query_.q[0], query_.index_q[0],
             query_.index_w);
  tokens_.resize(static_cast<size_t>(position) + 1);
  scores_.resize(tokens_.size());
  for (size_t s = 0; s < tokens_.size(); ++s) {
    make_key(tokens[s], static_cast<int>(s), tokens_[s].kv, tokens_[s].index_key);
    scores_[s] = index_score(tokens_[s]);
  }
  Verdict verdict;
  verdict.selection = find_positions(kv_table, slots, count) && are_best();
  if (verdict.selection) verdict.error = error_of(out);
  return verdict;
}

}  // namespace engine

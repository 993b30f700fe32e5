#include "fill.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numbers>
#include <stdexcept>

#include "real.h"
#include "team.h"

namespace bench {
namespace {

constexpr int64_t kPiece = 1 << 16;  // elements, each piece with a generator of its own
// More normal numbers than these repeat: 2 x 10^9 FP8 keys of a batch would take 10 s on 16 cores.
constexpr int64_t kDrawn = 1 << 26;

// splitmix64 (Steele, Lea, Flood 2014): any seed is a good one.
class Random {
 public:
  Random(uint64_t seed, uint64_t piece) : state_(seed * 0x9e3779b97f4a7c15u + (piece << 32)) {}

  uint64_t bits() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  float uniform() { return float(bits() >> 40) * 0x1p-24f; }  // [0, 1)
  int64_t below(int64_t n) { return int64_t((__uint128_t(bits()) * uint64_t(n)) >> 64); }

  // Two normal numbers (Box and Muller).
  std::pair<float, float> normal() {
    const float radius = std::sqrt(-2 * std::log(1 - uniform()));
    const float angle = 2 * std::numbers::pi_v<float> * uniform();
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }

 private:
  uint64_t state_;
};

// f(random, i) gives element i.
template <class F>
void fill_by(Array& array, uint64_t seed, F&& f) {
  for_pieces(array.size(), kPiece, [&](int64_t begin, int64_t end) {
    Random random(seed, uint64_t(begin / kPiece));
    for (int64_t i = begin; i < end; ++i) array.set(i, f(random, i));
  });
}

}  // namespace

const std::vector<std::string>& pattern_names() {
  static const std::vector<std::string> names = {"randn",  "relu-plateau", "all-equal", "low-bits",
                                                 "rising", "falling",      "real"};
  return names;
}

Pattern pattern_from_name(const std::string& name) {
  const auto& names = pattern_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw std::invalid_argument("no pattern '" + name + "'");
  return Pattern(found - names.begin());
}

void fill_normal(Array& array, uint64_t seed, float scale) {
  for_pieces(std::min(array.size(), kDrawn), kPiece, [&](int64_t begin, int64_t end) {
    Random random(seed, uint64_t(begin / kPiece));
    for (int64_t i = begin; i < end; i += 2) {
      const auto [a, b] = random.normal();
      array.set(i, scale * a);
      if (i + 1 < end) array.set(i + 1, scale * b);
    }
  });
  const int64_t element = dtype_bytes(array.dtype());
  for_pieces(array.size() - kDrawn, kPiece, [&](int64_t begin, int64_t end) {
    std::memcpy(array.data<char>() + (kDrawn + begin) * element,
                array.data<char>() + begin % kDrawn * element, size_t((end - begin) * element));
  });
}

void fill_scores(Array& scores, Pattern pattern, int32_t k, uint64_t seed,
                 const std::string& real_path) {
  const int64_t n = scores.extent(1);
  switch (pattern) {
    case Pattern::kRandn:
      return fill_normal(scores, seed);
    case Pattern::kReluPlateau: {
      const float share = float(k) / 2 / float(n);
      return fill_by(scores, seed, [share](Random& random, int64_t) {
        return random.uniform() < share ? 0.5f + random.uniform() : 0.0f;
      });
    }
    case Pattern::kAllEqual:
      return fill_by(scores, seed, [](Random&, int64_t) { return 0.5f; });
    case Pattern::kLowBits:
      return fill_by(scores, seed, [](Random& random, int64_t) {
        return std::bit_cast<float>(0x3f800000u | uint32_t(random.bits() >> 54));
      });
    case Pattern::kRising:
    case Pattern::kFalling: {
      // Steps of one unit in the last place where n is large: no two elements are equal in f32.
      const int32_t sign = pattern == Pattern::kRising ? 1 : -1;
      const int64_t step = std::max<int64_t>(1, (int64_t{1} << 23) / std::max<int64_t>(n, 1));
      return fill_by(scores, seed, [=](Random&, int64_t i) {
        const int64_t place = i % n - n / 2;
        return std::bit_cast<float>(uint32_t(0x40000000 + sign * place * step));
      });
    }
    case Pattern::kReal:
      return fill_real_scores(scores, real_path);
  }
}

void fill_lengths(Array& lengths, int64_t n, const std::string& kind, uint64_t seed) {
  int64_t all = 0;
  if (kind != "log-uniform") {
    char* rest = nullptr;
    all = std::strtoll(kind.c_str(), &rest, 10);
    if (*rest || all < 1 || all > n) {
      throw std::invalid_argument("'" + kind + "' is neither log-uniform nor a length up to n");
    }
  }
  Random random(seed, 0);
  for (int64_t t = 0; t < lengths.size(); ++t) {
    const int64_t drawn = int64_t(std::exp(random.uniform() * std::log(float(n))));
    lengths.data<int32_t>()[t] = int32_t(all > 0 ? all : std::clamp<int64_t>(drawn, 1, n));
  }
}

void fill_selection(Array& indices, int64_t keys, const std::string& kind, uint64_t seed) {
  const int64_t queries = indices.extent(0), k = indices.extent(1);
  int32_t* out = indices.data<int32_t>();
  for_pieces(queries, 1, [&](int64_t t, int64_t) {
    int32_t* row = out + t * k;
    if (kind == "window") {
      const int64_t used = std::min(k, keys);
      const int64_t end = std::clamp(keys - queries + t + 1, used, keys);
      for (int64_t j = 0; j < k; ++j) row[j] = j < used ? int32_t(end - used + j) : -1;
      return;
    }
    // Knuth's selection sampling: k of keys in one pass, in order.
    Random random(seed, kind == "shared" ? 0 : uint64_t(t));
    int64_t wanted = std::min(k, keys), j = 0;
    for (int64_t s = 0; s < keys && wanted > 0; ++s) {
      if (random.below(keys - s) >= wanted) continue;
      row[j++] = int32_t(s);
      --wanted;
    }
    for (; j < k; ++j) row[j] = -1;
  });
}

}  // namespace bench

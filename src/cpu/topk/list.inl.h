// The survivor list: the filter pass that fills it, cutting it down, and the final selection.
#pragma once

#include "cpu/topk/kth.inl.h"

namespace dsa::cpu::topk {
namespace {

// The lowest `n` set bits.
static inline uint32_t lowest_bits(uint32_t bits, int32_t n) {
  while (__builtin_popcount(bits) > n) bits &= ~(1u << (31 - __builtin_clz(bits)));
  return bits;
}

// Hands over, vector by vector and in index order, the lanes that belong to the selection `kth`
// describes, and returns the position of the last element taken in (score descending, index
// ascending) order.
template <class V, class Take>
int32_t for_selected(const List &list, Kth kth, Take take) {
  const auto value = V::set1(kth.value);
  int32_t last_equal = -1;
  for (int32_t i = 0; i < list.size; i += V::kWidth) {
    const auto x = V::load(list.values + i);
    uint32_t bits = V::gt_bits(x, value);
    if (uint32_t equal = V::eq_bits(x, value); equal != 0 && kth.quota > 0) {
      equal = lowest_bits(equal, kth.quota);
      kth.quota -= __builtin_popcount(equal);
      last_equal = i + 31 - __builtin_clz(equal);
      bits |= equal;
    }
    take(i, x, bits);
  }
  return last_equal;
}

// Where the selection of k > 0 of more than k elements ends. Plateaus of equal scores (what ReLU
// leaves) often are at the bound itself, which one count finds out.
template <class V>
Kth cut_of(const List &list) {
  if (list.inclusive || list.bound > -__builtin_inff()) {
    const auto bound = V::set1(list.bound);
    int32_t above = 0;
    for (int32_t i = 0; i < list.size; i += V::kWidth) {
      above += __builtin_popcount(V::gt_bits(V::load(list.values + i), bound));
    }
    if (above < list.k) return {list.bound, list.k - above};
  }
  return kth_largest<V>(list.values, list.size, list.k, list.spare);
}

// Cuts the list down to its k best. Whatever comes later has larger indices, so from here on only
// scores strictly above the k-th can enter.
template <class V>
void cut_down(List &list) {
  pad_with_nan<V>(list.values, list.size);
  const Kth kth = cut_of<V>(list);
  int32_t size = 0;
  for_selected<V>(list, kth, [&](int32_t i, auto x, uint32_t bits) {
    const typename V::Compressor compress(bits);
    const auto indices = V::loadi(list.indices + i);
    V::store(list.values + size, compress(x));
    V::storei(list.indices + size, compress(indices));
    size += __builtin_popcount(bits);
  });
  list.size = size;
  list.bound = kth.value;
  list.inclusive = false;
}

// `narrow`: at most half of the lanes are set.
template <class V, bool narrow>
[[gnu::always_inline]] static inline void append_lanes(List &list, typename V::F x,
                                                       typename V::I indices, uint32_t bits) {
  const typename V::Compressor compress(bits);
  if (narrow) {
    V::store_half(list.values + list.size, compress(x));
    V::store_halfi(list.indices + list.size, compress(indices));
  } else {
    V::store(list.values + list.size, compress(x));
    V::storei(list.indices + list.size, compress(indices));
  }
  list.size += __builtin_popcount(bits);
}

template <class V, bool inclusive>
static inline uint32_t passing(typename V::F x, typename V::F bound) {
  return inclusive ? V::ge_bits(x, bound) : V::gt_bits(x, bound);
}

// Appends at most two elements of a step, those whose bits are set. Both places are written
// whatever passes, so that no branch depends on where survivors lie.
template <int kStep>
static inline void append_two(List &list, const float *scores, uint64_t bits, int32_t first) {
  constexpr uint64_t kLast = uint64_t{1} << (kStep - 1);  // some element, where a bit is missing
  const int32_t a = __builtin_ctzll(bits | kLast);
  const int32_t b = __builtin_ctzll((bits & (bits - 1)) | kLast);
  list.values[list.size] = scores[a];
  list.values[list.size + 1] = scores[b];
  list.indices[list.size] = int32_t(uint32_t(first) + uint32_t(a));
  list.indices[list.size + 1] = int32_t(uint32_t(first) + uint32_t(b));
  list.size += __builtin_popcountll(bits);
}

// Stops early, and returns how far it came, when the list is full or, if equal scores pass, when it
// holds k elements: the smaller index wins, so no later score equal to the bound can. `few`: steps
// with none, one and two survivors are all common, so that branching on them would go wrong often.
template <class V, bool inclusive, bool few>
int32_t filter(List &list_, const float *scores, int32_t n, int32_t first) {
  constexpr int W = V::kWidth;
  constexpr int kStep = 4 * W;
  List list = list_;  // the stores through its pointers could alias the original
  const auto bound = V::set1(list.bound);
  const int32_t room = list.capacity - 2 * kStep;
  const int32_t full = inclusive && list.k - 1 < room ? list.k - 1 : room;
  int32_t i = 0;
  for (; n - i >= kStep && list.size <= full; i += kStep) {
    const auto a = V::load(scores + i);
    const auto b = V::load(scores + i + W);
    const auto c = V::load(scores + i + 2 * W);
    const auto d = V::load(scores + i + 3 * W);
    const uint32_t pass_a = passing<V, inclusive>(a, bound);
    const uint32_t pass_b = passing<V, inclusive>(b, bound);
    const uint32_t pass_c = passing<V, inclusive>(c, bound);
    const uint32_t pass_d = passing<V, inclusive>(d, bound);
    const uint64_t bits = uint64_t{pass_a} | uint64_t{pass_b} << W | uint64_t{pass_c} << 2 * W |
                          uint64_t{pass_d} << 3 * W;
    const int32_t passed = __builtin_popcountll(bits);
    if (few && passed <= 2) {
      append_two<kStep>(list, scores + i, bits, int32_t(uint32_t(first) + uint32_t(i)));
      continue;
    }
    if (!few && bits == 0) continue;
    const auto indices = V::addi(V::iota(), V::set1i(int32_t(uint32_t(first) + uint32_t(i))));
    const auto append_all = [&]<bool narrow>() {
      append_lanes<V, narrow>(list, a, indices, pass_a);
      append_lanes<V, narrow>(list, b, V::addi(indices, V::set1i(W)), pass_b);
      append_lanes<V, narrow>(list, c, V::addi(indices, V::set1i(2 * W)), pass_c);
      append_lanes<V, narrow>(list, d, V::addi(indices, V::set1i(3 * W)), pass_d);
    };
    if (passed <= W / 2) {
      append_all.template operator()<true>();
    } else {
      append_all.template operator()<false>();
    }
  }
  if (n - i < kStep) {
    for (; i < n && list.size <= full; i += W) {
      const int32_t lanes = n - i < W ? n - i : W;
      const auto x = V::load_n(scores + i, lanes);
      const uint32_t bits = passing<V, inclusive>(x, bound) & ((1u << lanes) - 1u);
      const auto indices = V::addi(V::iota(), V::set1i(int32_t(uint32_t(first) + uint32_t(i))));
      append_lanes<V, false>(list, x, indices, bits);
    }
  }
  list_.size = list.size;
  return i < n ? i : n;
}

template <class V, bool few = false>
void feed(List &list, const float *scores, int32_t n, int32_t first) {
  for (int32_t i = 0;;) {
    const int32_t at = int32_t(uint32_t(first) + uint32_t(i));
    i += list.inclusive ? filter<V, true, few>(list, scores + i, n - i, at)
                        : filter<V, false, few>(list, scores + i, n - i, at);
    if (i >= n) return;
    if (list.inclusive && list.size >= list.k) {
      list.inclusive = false;
    } else {
      cut_down<V>(list);
    }
  }
}

template <class V>
void append(List &list, const List &later) {
  for (int32_t i = 0; i < later.size; i += V::kWidth) {
    if (list.size > list.capacity - kSlack) cut_down<V>(list);
    if (list.size >= list.k) list.inclusive = false;
    const int32_t lanes = later.size - i < V::kWidth ? later.size - i : V::kWidth;
    const auto x = V::load(later.values + i);  // whole vectors: a list has slack behind it
    const auto bound = V::set1(list.bound);
    uint32_t bits = list.inclusive ? V::ge_bits(x, bound) : V::gt_bits(x, bound);
    bits &= (1u << lanes) - 1u;
    if (bits != 0) append_lanes<V, false>(list, x, V::loadi(later.indices + i), bits);
  }
}

template <class V>
Cut finish(List &list, const Output &out) {
  Cut cut;
  cut.count = list.size < list.k ? list.size : list.k;
  if (cut.count == 0) return cut;
  pad_with_nan<V>(list.values, list.size);
  Kth kth{0.0f, kAllEqual};
  if (list.size > list.k) {
    kth = cut_of<V>(list);
  } else {
    auto lowest = V::load(list.values);
    lowest = V::select(V::is_nan(lowest), V::set1(__builtin_inff()), lowest);
    for (int32_t i = V::kWidth; i < list.size; i += V::kWidth) {
      lowest = V::min(V::load(list.values + i), lowest);
    }
    kth.value = V::reduce_min(lowest);
  }
  int32_t size = 0;
  const int32_t last = for_selected<V>(list, kth, [&](int32_t i, auto x, uint32_t bits) {
    const typename V::Compressor compress(bits);
    const int32_t taken = __builtin_popcount(bits);
    const bool whole = size + V::kWidth <= cut.count;  // else keep off what is behind the output
    if (out.indices != nullptr) {
      const auto indices = compress(V::loadi(list.indices + i));
      if (whole) {
        V::storei(out.indices + size, indices);
      } else {
        V::storei_n(out.indices + size, indices, taken);
      }
    }
    if (out.values != nullptr) {
      if (whole) {
        V::store(out.values + size, compress(x));
      } else {
        V::store_n(out.values + size, compress(x), taken);
      }
    }
    size += taken;
  });
  cut.score = list.values[last];
  cut.index = list.indices[last];
  return cut;
}

}  // namespace
}  // namespace dsa::cpu::topk

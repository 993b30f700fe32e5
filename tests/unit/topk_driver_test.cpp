// dsa_topk's CPU driver: random descriptors through every tier's kernel, against a naive reading of
// section 7 of dsa.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "api/make_params.h"
#include "cpu/isa.h"
#include "cpu/simd/convert.h"
#include "cpu/topk/topk.h"

namespace dsa {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// A tensor of 4- or 2- or 1-byte elements with its own memory, [rows, columns] at any strides.
struct Matrix {
  std::vector<char> memory;
  dsa_tensor view{};
  int32_t bytes = 4;

  Matrix() = default;
  Matrix(int32_t dtype, int64_t rows, int64_t columns, int64_t row_stride, int64_t stride)
      : bytes(element_bytes(dtype)) {
    const int64_t last = (rows - 1) * row_stride + (columns - 1) * stride + 1;
    memory.assign(size_t(rows && columns ? last : 0) * size_t(bytes), char(0x5a));
    memory.shrink_to_fit();
    view = dsa_tensor_2d(memory.data(), dtype, rows, columns);
    view.stride[0] = row_stride;
    view.stride[1] = stride;
  }
  static Matrix list(int32_t dtype, int64_t n) {
    Matrix m(dtype, 1, n, n, 1);
    m.view = dsa_tensor_1d(m.memory.data(), dtype, n);
    return m;
  }
  char* at(int64_t row, int64_t column) {
    const int64_t inner = view.ndim == 1 ? view.stride[0] : view.stride[1];
    const int64_t outer = view.ndim == 1 ? 0 : view.stride[0];
    return memory.data() + (row * outer + column * inner) * bytes;
  }
  template <class T>
  T get(int64_t row, int64_t column) {
    T value;
    std::memcpy(&value, at(row, column), sizeof value);
    return value;
  }
  template <class T>
  void set(int64_t row, int64_t column, T value) {
    std::memcpy(at(row, column), &value, sizeof value);
  }
  float number(int64_t row, int64_t column) {
    if (view.dtype == DSA_F32) return get<float>(row, column);
    const uint16_t h = get<uint16_t>(row, column);
    return view.dtype == DSA_BF16 ? cpu::bf16_to_f32(h) : cpu::f16_to_f32(h);
  }
  void set_number(int64_t row, int64_t column, float x) {
    if (view.dtype == DSA_F32) {
      set<float>(row, column, x);
    } else {
      set<uint16_t>(row, column, view.dtype == DSA_BF16 ? cpu::f32_to_bf16(x) : cpu::f32_to_f16(x));
    }
  }
};

struct Call {
  dsa_topk_desc d = dsa_topk_desc_init();
  int64_t rows = 0, columns = 0, batch = 1;
  Matrix scores, mask, row_begin, row_end, row_request, seq_lens, index_base, slot_table, hints,
      bounds;
  Matrix indices, slots, values, counts, cut_score, cut_index;
};

class Random {
 public:
  explicit Random(uint32_t seed) : rng_(seed) {}
  int64_t below(int64_t n) { return n <= 0 ? 0 : int64_t(rng_() % uint64_t(n)); }
  bool one_in(int64_t n) { return below(n) == 0; }
  float normal() { return normal_(rng_); }
  int32_t any() { return int32_t(rng_()); }

 private:
  std::mt19937_64 rng_;
  std::normal_distribution<float> normal_;
};

Matrix random_layout(Random& r, int32_t dtype, int64_t rows, int64_t columns, bool broadcast) {
  if (broadcast && r.one_in(6)) return Matrix(dtype, rows, columns, 0, 1);
  if (r.one_in(4)) return Matrix(dtype, rows, columns, 1, std::max<int64_t>(rows, 1));
  if (r.one_in(4)) return Matrix(dtype, rows, columns, columns * 3 + r.below(5), 3);
  return Matrix(dtype, rows, columns, columns + r.below(9), 1);
}

void fill_scores(Random& r, Matrix& m, int64_t rows, int64_t columns) {
  const int64_t pattern = r.below(5);
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t s = 0; s < columns; ++s) {
      float x = r.normal();
      if (pattern == 1) x = std::max(0.0f, std::round(2 * x));
      if (pattern == 2 && r.one_in(2)) x = r.one_in(2) ? -kInf : std::nanf("");
      if (pattern == 3) x = r.one_in(2) ? 0.0f : -0.0f;
      if (pattern == 4) x = float(s % 700) - 350;
      if (r.one_in(500)) x = kInf;
      m.set_number(t, s, x);
    }
  }
}

void fill_mask(Random& r, Matrix& m, int64_t rows, int64_t columns) {
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t s = 0; s < columns; ++s) {
      const bool hide = r.one_in(3);
      if (m.view.dtype == DSA_U8) {
        m.set<uint8_t>(t, s, hide ? 0 : uint8_t(1 + r.below(255)));
      } else {
        const float lowest[] = {-3.40282347e38f, -65504.0f, -3.38953139e38f};
        m.set_number(t, s, !hide ? r.normal() : r.one_in(2) ? -kInf : lowest[m.view.dtype - 1]);
      }
    }
  }
}

void choose_visibility(Random& r, Call& c) {
  dsa_topk_desc& d = c.d;
  switch (r.below(4)) {
    case 1:
      c.row_end = Matrix::list(DSA_I32, c.rows);
      for (int64_t t = 0; t < c.rows; ++t) {
        c.row_end.set<int32_t>(0, t, r.one_in(9) ? r.any() : int32_t(r.below(c.columns + 1)));
      }
      d.row_end = c.row_end.view;
      if (r.one_in(2)) {
        c.row_begin = Matrix::list(DSA_I32, c.rows);
        for (int64_t t = 0; t < c.rows; ++t) {
          c.row_begin.set<int32_t>(0, t, r.one_in(9) ? r.any() : int32_t(r.below(c.columns / 2)));
        }
        d.row_begin = c.row_begin.view;
        if (r.one_in(2)) d.flags |= DSA_COLUMNS_FROM_BEGIN;
      }
      break;
    case 2:
      d.flags |= DSA_CAUSAL;
      d.offset = r.below(c.columns) - 3;
      d.ratio = int32_t(r.below(4));
      break;
    case 3:
      c.seq_lens = Matrix::list(DSA_I32, c.batch);
      for (int64_t b = 0; b < c.batch; ++b) {
        c.seq_lens.set<int32_t>(0, b, r.one_in(9) ? r.any() : int32_t(r.below(c.columns + 9)));
      }
      d.seq_lens = c.seq_lens.view;
      d.ratio = int32_t(r.below(3));
      break;
    default:
      break;
  }
  if (r.one_in(4)) d.max_keys = 1 + r.below(c.columns + 1);
}

void choose_outputs(Random& r, Call& c) {
  dsa_topk_desc& d = c.d;
  const auto out = [&](int32_t dtype) {
    Matrix m = random_layout(r, dtype, c.rows, d.k + r.below(7), false);
    return m;
  };
  const int64_t given = r.one_in(3) ? 63 : 1 + r.below(63);
  if (given & 1) d.indices = (c.indices = out(DSA_I32)).view;
  if (given & 2) {
    d.slots = (c.slots = out(DSA_I32)).view;
    d.slot_page_size = 1 + int32_t(r.below(70));
    d.slot_page_stride = r.one_in(2) ? 0 : d.slot_page_size + int32_t(r.below(5));
    const int64_t pages = 1 + (c.columns + d.slot_page_size) / d.slot_page_size - r.below(2);
    c.slot_table = Matrix(DSA_I32, c.batch, pages, pages, 1);
    for (int64_t b = 0; b < c.batch; ++b) {
      for (int64_t p = 0; p < pages; ++p) c.slot_table.set<int32_t>(b, p, int32_t(r.below(9999)));
    }
    d.slot_table = c.slot_table.view;
  }
  if (given & 4) d.values = (c.values = out(c.scores.view.dtype)).view;
  if (given & 8) d.counts = (c.counts = Matrix::list(DSA_I32, c.rows)).view;
  if (d.ties == DSA_TIES_SMALLER_INDEX) {
    if (given & 16) d.cut_score = (c.cut_score = Matrix::list(DSA_F32, c.rows)).view;
    if (given & 32) d.cut_index = (c.cut_index = Matrix::list(DSA_I32, c.rows)).view;
  }
  if (!(given & 15) && d.ties != DSA_TIES_SMALLER_INDEX)
    d.indices = (c.indices = out(DSA_I32)).view;
}

Call make_call(Random& r, int64_t rows, int64_t columns) {
  Call c;
  dsa_topk_desc& d = c.d;
  c.batch = 1 + r.below(3);
  c.rows = rows / c.batch * c.batch;
  c.columns = columns;
  const int32_t dtypes[] = {DSA_F32, DSA_F16, DSA_BF16};
  c.scores = random_layout(r, r.one_in(2) ? DSA_F32 : dtypes[r.below(3)], c.rows, columns, true);
  fill_scores(r, c.scores, c.rows, columns);
  d.scores = c.scores.view;
  d.batch = c.batch;
  choose_visibility(r, c);
  if (!(d.flags & DSA_CAUSAL) && !given(d.seq_lens) && r.one_in(3)) {
    c.row_request = Matrix::list(DSA_I32, c.rows);
    for (int64_t t = 0; t < c.rows; ++t) {
      c.row_request.set<int32_t>(0, t, r.one_in(5) ? r.any() : int32_t(r.below(c.batch)));
    }
    d.row_request = c.row_request.view;
  }
  if (r.one_in(3)) {
    const int32_t mask_dtypes[] = {DSA_U8, DSA_F32, DSA_F16, DSA_BF16};
    const int64_t extent = std::max<int64_t>(1, columns - r.below(3));
    c.mask = random_layout(r, mask_dtypes[r.below(4)], c.rows, extent, true);
    fill_mask(r, c.mask, c.rows, extent);
    d.mask = c.mask.view;
  }
  d.k = 1 + int32_t(r.one_in(3) ? r.below(columns + 4) : r.below(columns / 8 + 1));
  d.order = int32_t(r.below(3));
  d.ties = r.one_in(5) ? DSA_TIES_ANY : DSA_TIES_SMALLER_INDEX;
  if (r.one_in(3)) d.flags |= DSA_SELECT_NEG_INF;
  if (r.one_in(3)) {
    c.index_base = Matrix::list(DSA_I32, c.rows);
    for (int64_t t = 0; t < c.rows; ++t) c.index_base.set<int32_t>(0, t, r.any());
    d.index_base = c.index_base.view;
  }
  if (r.one_in(4)) {
    c.bounds = Matrix::list(DSA_F32, c.rows);
    for (int64_t t = 0; t < c.rows; ++t) {
      c.bounds.set<float>(0, t, r.one_in(8) ? std::nanf("") : r.normal());
    }
    d.hint_bound = c.bounds.view;
  }
  if (r.one_in(4)) {
    c.hints = random_layout(r, DSA_I32, c.rows, 1 + r.below(d.k + 3), true);
    for (int64_t t = 0; t < c.rows; ++t) {
      for (int64_t j = 0; j < c.hints.view.shape[1]; ++j) {
        c.hints.set<int32_t>(t, j, r.one_in(9) ? r.any() : int32_t(r.below(columns)));
      }
    }
    d.hint_indices = c.hints.view;
  }
  choose_outputs(r, c);
  return c;
}

int64_t clamp(int64_t x, int64_t low, int64_t high) { return std::min(std::max(x, low), high); }

// Key positions of the span of row t, from the descriptor's own fields.
void naive_span(Call& c, int64_t t, int64_t& request, int64_t& begin, int64_t& end) {
  const dsa_topk_desc& d = c.d;
  const int64_t per = c.rows / c.batch;
  request =
      given(d.row_request) ? clamp(c.row_request.get<int32_t>(0, t), 0, c.batch - 1) : t / per;
  const bool from_begin = d.flags & DSA_COLUMNS_FROM_BEGIN;
  const int64_t ratio = d.ratio ? d.ratio : 1;
  int64_t limit = from_begin ? INT32_MAX : c.columns;
  begin = given(d.row_begin) ? c.row_begin.get<int32_t>(0, t) : 0;
  end = limit;
  if (given(d.row_end)) end = c.row_end.get<int32_t>(0, t);
  if (given(d.seq_lens)) {
    end = std::max<int64_t>(0, c.seq_lens.get<int32_t>(0, request) - per + 1 + t % per) / ratio;
  }
  if (d.flags & DSA_CAUSAL) end = std::max<int64_t>(0, d.offset + t % per + 1) / ratio;
  begin = clamp(begin, 0, limit);
  end = clamp(end, begin, limit);
  if (d.max_keys) end = std::min(end, begin + d.max_keys);
  const int64_t columns = given(d.mask) ? std::min(c.columns, d.mask.shape[1]) : c.columns;
  end = std::min(end, from_begin ? begin + columns : columns);
  begin = std::min(begin, end);
}

bool naive_hidden(Call& c, int64_t t, int64_t column) {
  if (!given(c.d.mask)) return false;
  if (c.mask.view.dtype == DSA_U8) return c.mask.get<uint8_t>(t, column) == 0;
  const float x = c.mask.number(t, column);
  const float lowest[] = {-3.40282347e38f, -65504.0f, -3.38953139e38f};
  return x == -kInf || x == lowest[c.mask.view.dtype - 1];
}

void check_row(Call& c, int64_t t) {
  const dsa_topk_desc& d = c.d;
  int64_t request, begin, end;
  naive_span(c, t, request, begin, end);
  const int64_t shift = d.flags & DSA_COLUMNS_FROM_BEGIN ? begin : 0;
  const auto score = [&](int64_t s) { return c.scores.number(t, s - shift); };
  std::vector<int64_t> keys;
  for (int64_t s = begin; s < end; ++s) {
    if (std::isnan(score(s)) || naive_hidden(c, t, s - shift)) continue;
    if (score(s) == -kInf && !(d.flags & DSA_SELECT_NEG_INF)) continue;
    keys.push_back(s);
  }
  const auto before = [&](int64_t a, int64_t b) { return score(a) > score(b); };
  std::stable_sort(keys.begin(), keys.end(), before);
  if (int64_t(keys.size()) > d.k) keys.resize(size_t(d.k));
  const int64_t last = keys.empty() ? -1 : keys.back();
  if (d.order != DSA_ORDER_SCORE) std::sort(keys.begin(), keys.end());
  const int64_t count = int64_t(keys.size());
  const auto index_of = [&](int64_t s) {
    if (!given(d.index_base)) return int32_t(s);
    return int32_t(uint32_t(s) - uint32_t(begin) + uint32_t(c.index_base.get<int32_t>(0, t)));
  };
  if (given(d.counts)) {
    ASSERT_EQ(c.counts.get<int32_t>(0, t), count);
  }
  if (given(d.cut_score)) {
    const float expected = count ? score(last) : kInf;
    ASSERT_EQ(cpu::f32_bits(c.cut_score.get<float>(0, t)), cpu::f32_bits(expected));
  }
  if (given(d.cut_index)) {
    ASSERT_EQ(c.cut_index.get<int32_t>(0, t), count ? index_of(last) : -1);
  }
  if (given(d.indices)) {
    for (int64_t j = 0; j < d.indices.shape[1]; ++j) {
      ASSERT_EQ(c.indices.get<int32_t>(t, j), j < count ? index_of(keys[size_t(j)]) : -1) << j;
    }
  }
  if (given(d.slots)) {
    const int64_t stride = d.slot_page_stride ? d.slot_page_stride : d.slot_page_size;
    for (int64_t j = 0; j < d.slots.shape[1]; ++j) {
      int64_t slot = -1;
      if (j < count) {
        const int64_t s = keys[size_t(j)];
        const int64_t page = s / d.slot_page_size;
        if (page < d.slot_table.shape[1]) {
          slot = c.slot_table.get<int32_t>(request, page) * stride + s % d.slot_page_size;
        }
      }
      ASSERT_EQ(c.slots.get<int32_t>(t, j), slot) << j;
    }
  }
  if (given(d.values)) {
    for (int64_t j = 0; j < d.values.shape[1]; ++j) {
      const float expected = j < count ? score(keys[size_t(j)]) : -kInf;
      ASSERT_EQ(cpu::f32_bits(c.values.number(t, j)), cpu::f32_bits(expected)) << j;
    }
  }
}

void run_threads(void*, int64_t count, dsa_parallel_body body, void* arg) {
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < count; ++i) threads.emplace_back(body, arg, i);
  body(arg, 0);
  for (auto& thread : threads) thread.join();
}

void run_backwards(void*, int64_t count, dsa_parallel_body body, void* arg) {
  for (int64_t i = count - 1; i >= 0; --i) body(arg, i);
}

std::vector<const Kernel*> usable_kernels() {
  std::vector<const Kernel*> kernels = {&cpu::kTopkScalar};
#if defined(DSA_X86)
  if (cpu::detect_isa().tier >= CpuTier::kAvx2) kernels.push_back(&cpu::kTopkAvx2);
  if (cpu::detect_isa().tier >= CpuTier::kAvx512) kernels.push_back(&cpu::kTopkAvx512);
#endif
  return kernels;
}

void clear_outputs(Call& c) {
  for (Matrix* m : {&c.indices, &c.slots, &c.values, &c.counts, &c.cut_score, &c.cut_index}) {
    std::fill(m->memory.begin(), m->memory.end(), char(0x5a));
  }
}

void run_and_check(Call& c, const Parallel& parallel) {
  const TopkParams p = make_params(c.d, {.needs_data = true});
  for (const Kernel* kernel : usable_kernels()) {
    SCOPED_TRACE(kernel->name);
    ASSERT_EQ(kernel->refuse(&p), nullptr);
    const uint64_t bytes = kernel->workspace(&p, parallel.max_lanes());
    std::vector<char> memory(bytes + 256, char(0x5a));
    dsa::Run run;
    run.parallel = &parallel;
    run.workspace = memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 255);
    clear_outputs(c);
    kernel->launch(&p, run);
    for (int64_t t = 0; t < c.rows; ++t) {
      SCOPED_TRACE("row " + std::to_string(t));
      ASSERT_NO_FATAL_FAILURE(check_row(c, t));
    }
    const char* end = memory.data() + memory.size();
    ASSERT_TRUE(std::all_of<const char*>(run.workspace + bytes, end, [](char b) {
      return b == char(0x5a);
    })) << "written behind the workspace";
  }
}

TEST(TopkDriver, RandomCalls) {
  const Parallel serial(1, nullptr, nullptr);
  const Parallel threads(3, run_threads, nullptr);
  const Parallel backwards(7, run_backwards, nullptr);
  const Parallel* const parallels[] = {&serial, &threads, &backwards};
  for (uint32_t seed = 0; seed < 600; ++seed) {
    Random r(seed);
    const int64_t columns = 1 + r.below(r.one_in(2) ? 40 : 1500);
    Call c = make_call(r, 3 + r.below(r.one_in(10) ? 200 : 12), columns);
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_NO_FATAL_FAILURE(run_and_check(c, *parallels[seed % 3]));
  }
}

TEST(TopkDriver, DividedRows) {
  const Parallel threads(4, run_threads, nullptr);
  const Parallel backwards(16, run_backwards, nullptr);
  for (uint32_t seed = 0; seed < 40; ++seed) {
    Random r(1000 + seed);
    Call c = make_call(r, 3 + r.below(4), 32768 + r.below(50000));
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_NO_FATAL_FAILURE(run_and_check(c, seed % 2 ? threads : backwards));
  }
}

// A bound that no count proves, in rows that lanes share: all parts have to be done again.
TEST(TopkDriver, DividedRowsWithHintsTooHigh) {
  const Parallel threads(4, run_threads, nullptr);
  for (uint32_t seed = 0; seed < 12; ++seed) {
    Random r(2000 + seed);
    Call c = make_call(r, 3, 50000);
    c.d.k = 1 + int32_t(r.below(40));
    c.indices = Matrix(DSA_I32, c.rows, c.d.k, c.d.k, 1);
    c.d.indices = c.indices.view;
    c.d.slots.ndim = c.d.values.ndim = 0;
    c.bounds = Matrix::list(DSA_F32, c.rows);
    for (int64_t t = 0; t < c.rows; ++t) c.bounds.set<float>(0, t, seed % 2 ? 1e30f : 3.5f);
    c.d.hint_bound = c.bounds.view;
    SCOPED_TRACE("seed " + std::to_string(seed));
    ASSERT_NO_FATAL_FAILURE(run_and_check(c, threads));
  }
}

TEST(TopkDriver, WorkspaceGrowsWithEveryExtent) {
  for (const Kernel* kernel : usable_kernels()) {
    uint64_t before = 0;
    const auto bytes = [&](int64_t rows, int64_t columns, int32_t k, int32_t lanes) {
      dsa_topk_desc d = dsa_topk_desc_init();
      d.scores = dsa_tensor_2d(nullptr, DSA_F32, rows, columns);
      d.k = k;
      d.order = DSA_ORDER_SCORE;
      d.indices = dsa_tensor_2d(nullptr, DSA_I32, rows, k);
      const TopkParams p = make_params(d, {.needs_data = false});
      return kernel->workspace(&p, lanes);
    };
    for (int64_t rows : {1, 2, 5, 31, 32, 33, 64, 1000}) {
      ASSERT_GE(bytes(rows, 100000, 64, 16), before);
      before = bytes(rows, 100000, 64, 16);
    }
    before = 0;
    for (int64_t columns : {1, 100, 32767, 32768, 32769, 60000, 131072, 5000000}) {
      ASSERT_GE(bytes(3, columns, 2048, 16), before);
      before = bytes(3, columns, 2048, 16);
    }
    before = 0;
    for (int32_t k : {1, 2, 64, 4096, 8191, 8192, 8193, 60000, 131072, 200000, INT32_MAX}) {
      ASSERT_GE(bytes(3, 131072, k, 16), before);
      before = bytes(3, 131072, k, 16);
    }
  }
}

#if defined(DSA_X86)
TEST(TopkDriver, CallersFloatModeChangesNothing) {
  // Denormals as zero would make these scores equal.
  std::vector<float> scores(1000);
  for (size_t j = 0; j < scores.size(); ++j) scores[j] = float(j) * 1.4e-45f;
  std::vector<int32_t> indices(5);
  dsa_topk_desc d = dsa_topk_desc_init();
  d.scores = dsa_tensor_2d(scores.data(), DSA_F32, 1, 1000);
  d.k = 5;
  d.indices = dsa_tensor_2d(indices.data(), DSA_I32, 1, 5);
  const TopkParams p = make_params(d, {.needs_data = true});
  const Parallel serial(1, nullptr, nullptr);
  for (const Kernel* kernel : usable_kernels()) {
    std::vector<char> memory(kernel->workspace(&p, 1) + 256);
    dsa::Run run;
    run.parallel = &serial;
    run.workspace = memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 255);
    const uint32_t mode = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(mode | 0x8040);  // denormals as zero, flush to zero
    kernel->launch(&p, run);
    const uint32_t after = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(mode);
    EXPECT_EQ(after & 0xffc0u, (mode | 0x8040) & 0xffc0u);
    EXPECT_EQ(indices, (std::vector<int32_t>{995, 996, 997, 998, 999}));
  }
}
#endif

}  // namespace
}  // namespace dsa

// Top-k in order of score, under masks, of strided scores: what stands before and behind a form.
// The GPU's answer is the CPU's, bit for bit; and the form is the one that the plain call takes.
#include <cmath>
#include <cstring>
#include <map>

#include "gpu_test.h"
#include "support/random.h"

using namespace support;

namespace {

constexpr float kInf = INFINITY;

// Outputs of a call, as wide as asked, and what was there before.
struct Outputs {
  Outputs(int64_t rows, int64_t width)
      : indices(size_t(rows * width), 77),
        slots(indices),
        values(indices),
        counts(size_t(rows), 77),
        cut_index(counts),
        cut_score(counts) {}
  bool operator==(const Outputs&) const = default;

  std::vector<int32_t> indices, slots, values, counts, cut_index, cut_score;
};

// Which outputs a call asks for, and how the keys are written.
struct Wish {
  const char* name;
  bool indices, slots, values, cut, counts, base;
};
const Wish kWishes[] = {
    {"indices", true, false, false, false, false, false},
    {"indices and values", true, false, true, false, false, false},
    {"values", false, false, true, false, false, false},
    {"slots and values", false, true, true, false, true, false},
    {"all, from a base", true, true, true, true, true, true},
};

struct Problem {
  int64_t rows, columns;
  int32_t k;
  int64_t wider = 0;  // outputs
  int32_t dtype = DSA_F32;
  int32_t mask_dtype = 0;  // 0: none
  bool mask_is_shared = false, is_transposed = false, has_ranges = false, selects_inf = false;
  int32_t order = DSA_ORDER_SCORE;
};

// What rows of scores are made of.
enum class Scores { kNormal, kPlateaus, kEqual, kLastBits, kRising, kSpecials };

float draw(Random& random, Scores kind, int64_t s) {
  switch (kind) {
    case Scores::kPlateaus:
      return std::max(0.0f, float(int(random.normal() * 4)) / 4);
    case Scores::kEqual:
      return 1.5f;
    case Scores::kLastBits:
      return std::nextafter(1.0f, 2.0f) + float(random.between(0, 7)) * 0x1p-23f;
    case Scores::kRising:
      return float(s);
    case Scores::kSpecials:
      return random.chance(0.5)
                 ? random.pick({float(NAN), -kInf, kInf, 0.0f, -0.0f, 1e-40f, -1e-44f, 3e38f})
                 : float(random.normal());
    default:
      return float(random.normal());
  }
}

void store(char* at, int32_t dtype, float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint16_t upper = uint16_t(bits >> 16);  // a bf16; of an f16 any bits will do
  if (dtype == DSA_F32) {
    std::memcpy(at, &x, 4);
  } else {
    std::memcpy(at, &upper, 2);
  }
}

// A row of mask elements; a third of them hides.
std::vector<char> draw_mask(Random& random, int32_t dtype, size_t n) {
  const size_t bytes = dtype == DSA_F32 ? 4 : dtype == DSA_U8 ? 1 : 2;
  std::vector<char> mask(n * bytes);
  for (size_t i = 0; i < n; ++i) {
    const bool hides = random.chance(0.3), is_lowest = random.chance(0.5);
    uint32_t bits = 0;
    switch (dtype) {
      case DSA_U8:
        bits = hides ? 0 : 1 + uint32_t(random.between(0, 200));
        break;
      case DSA_F32:
        bits = !hides ? 0 : is_lowest ? 0xff7fffffu : 0xff800000u;
        break;
      case DSA_F16:
        bits = !hides ? 0 : is_lowest ? 0xfbffu : 0xfc00u;
        break;
      default:
        bits = !hides ? 0x3f80u : is_lowest ? 0xff7fu : 0xff80u;
    }
    std::memcpy(&mask[i * bytes], &bits, bytes);
  }
  return mask;
}

class Case {
 public:
  Case(const Problem& p, Scores kind, uint64_t seed) : p_(p), random_(seed) {
    const size_t bytes = p.dtype == DSA_F32 ? 4 : 2;
    scores_.resize(size_t(p.rows * p.columns) * bytes);
    for (int64_t i = 0; i < p.rows * p.columns; ++i) {
      store(&scores_[size_t(i) * bytes], p.dtype, draw(random_, kind, i % p.columns));
    }
    if (p.mask_dtype) {
      mask_ = draw_mask(random_, p.mask_dtype, size_t((p.mask_is_shared ? 1 : p.rows) * p.columns));
    }
    begins_.resize(size_t(p.rows));
    ends_.resize(size_t(p.rows));
    bases_.resize(size_t(p.rows));
    for (size_t t = 0; t < begins_.size(); ++t) {
      begins_[t] = random_.chance(0.5) ? 0 : int32_t(random_.between(0, p.columns));
      ends_[t] = random_.chance(0.3) ? int32_t(p.columns) : int32_t(random_.between(0, p.columns));
      if (random_.chance(0.2)) ends_[t] = random_.pick({0, -1, INT32_MIN, INT32_MAX});
      bases_[t] = int32_t(random_.between(-9, 1000));  // so that some index is -1
    }
    table_.resize(size_t(p.columns / kPage + 1));
    for (int32_t& page : table_) page = int32_t(random_.between(-1, 5000));
  }

  dsa_topk_desc desc(const Wish& wish, Outputs& out) {
    const int64_t width = p_.k + p_.wider;
    dsa_topk_desc d = dsa_topk_desc_init();
    d.k = p_.k;
    d.order = p_.order;
    if (p_.selects_inf) d.flags |= DSA_SELECT_NEG_INF;
    d.scores = dsa_tensor_2d(scores_.data(), p_.dtype, p_.rows, p_.columns);
    if (p_.is_transposed) {
      d.scores.stride[0] = 1;
      d.scores.stride[1] = p_.rows;
    }
    if (p_.mask_dtype) {
      d.mask = dsa_tensor_2d(mask_.data(), p_.mask_dtype, p_.rows, p_.columns);
      if (p_.mask_is_shared) d.mask.stride[0] = 0;
    }
    if (p_.has_ranges) {
      d.row_begin = dsa_tensor_1d(begins_.data(), DSA_I32, p_.rows);
      d.row_end = dsa_tensor_1d(ends_.data(), DSA_I32, p_.rows);
    }
    if (wish.base) d.index_base = dsa_tensor_1d(bases_.data(), DSA_I32, p_.rows);
    if (wish.indices) d.indices = dsa_tensor_2d(out.indices.data(), DSA_I32, p_.rows, width);
    if (wish.values) d.values = dsa_tensor_2d(out.values.data(), p_.dtype, p_.rows, width);
    if (wish.counts) d.counts = dsa_tensor_1d(out.counts.data(), DSA_I32, p_.rows);
    if (wish.cut) {
      d.cut_score = dsa_tensor_1d(out.cut_score.data(), DSA_F32, p_.rows);
      d.cut_index = dsa_tensor_1d(out.cut_index.data(), DSA_I32, p_.rows);
    }
    if (wish.slots) {
      d.slots = dsa_tensor_2d(out.slots.data(), DSA_I32, p_.rows, width);
      d.slot_page_size = kPage;
      d.slot_table = dsa_tensor_2d(table_.data(), DSA_I32, 1, int64_t(table_.size()));
    }
    return d;
  }

 private:
  static constexpr int32_t kPage = 16;
  Problem p_;
  Random random_;
  std::vector<char> scores_, mask_;
  std::vector<int32_t> begins_, ends_, bases_, table_;
};

class TopkStages : public testing::Test {
 protected:
  void SetUp() override {
    cpu_ = make_context("cpu.topk.*", 0);
    ASSERT_TRUE(cpu_);
    gpu_ = make_gpu_context("cuda.*");
    if (gpu_) return;
    ASSERT_FALSE(device_wanted()) << dsa_last_error();
    GTEST_SKIP() << dsa_last_error();
  }

  // On the kernel that the GPU's context picks.
  void compare(const Problem& p, Scores kind, const Wish& wish, uint64_t seed) {
    Case problem(p, kind, seed);
    Outputs want(p.rows, p.k + p.wider), found(want);
    dsa_topk_desc d = problem.desc(wish, want);
    ASSERT_EQ(dsa_topk(cpu_.get(), &d, nullptr), DSA_OK) << dsa_last_error();
    d = problem.desc(wish, found);
    ASSERT_EQ(run(gpu_.get(), d), DSA_OK) << dsa_last_error();
    ASSERT_TRUE(found == want) << picked(d) << ": " << p.rows << " x " << p.columns << ", k " << p.k
                               << ", dtype " << p.dtype << ", mask " << p.mask_dtype << ", scores "
                               << int(kind) << ", " << wish.name;
    ++compared_[picked(d)];
  }

  std::string picked(const dsa_topk_desc& d) {
    dsa_plan* plan = nullptr;
    EXPECT_EQ(make_plan(gpu_.get(), d, &plan), DSA_OK) << dsa_last_error();
    const std::string name = plan ? dsa_plan_kernel(plan) : "";
    dsa_plan_destroy(plan);
    return name;
  }

  void TearDown() override {
    for (const auto& [name, calls] : compared_) {
      std::printf("[  JUDGED  ] %s: %d calls\n", name.c_str(), calls);
    }
  }

  Context cpu_, gpu_;
  std::map<std::string, int> compared_;
};

constexpr Scores kAllScores[] = {Scores::kNormal,   Scores::kPlateaus, Scores::kEqual,
                                 Scores::kLastBits, Scores::kRising,   Scores::kSpecials};

// Each number of keys at which another sort takes over, and one more.
TEST_F(TopkStages, OrderOfScore) {
  uint64_t seed = 1;
  for (const int32_t k : {1, 2, 31, 32, 33, 64, 65, 128, 129, 500, 512, 513, 1024, 1025, 2000, 2048,
                          2049, 8192, 8193}) {
    for (const Scores kind : kAllScores) {
      const Wish& wish = kWishes[seed % std::size(kWishes)];
      Problem p = {3, k + 500, k};
      p.wider = int64_t(seed % 3);
      p.dtype = seed % 4 == 0 ? DSA_BF16 : seed % 7 == 0 ? DSA_F16 : DSA_F32;
      p.has_ranges = seed % 2 == 0;
      p.selects_inf = seed % 5 == 0;
      ASSERT_NO_FATAL_FAILURE(compare(p, kind, wish, seed)) << "seed " << seed;
      ++seed;
    }
  }
}

// Through every form, all outputs.
TEST_F(TopkStages, OrderOfScoreOnEveryForm) {
  uint64_t seed = 100;
  for (const auto& [rows, columns, k] : {std::tuple<int64_t, int64_t, int32_t>{700, 600, 50},
                                         {40, 4000, 600},
                                         {3, 70000, 2048},
                                         {70, 40000, 512},
                                         {3, 20000, 5000},
                                         {600, 100, 200}}) {
    for (const Wish& wish : kWishes) {
      for (const Scores kind : {Scores::kNormal, Scores::kPlateaus, Scores::kSpecials}) {
        Problem p = {rows, columns, k};
        p.has_ranges = seed % 2 == 0;
        ASSERT_NO_FATAL_FAILURE(compare(p, kind, wish, seed)) << "seed " << seed;
        ++seed;
      }
    }
  }
}

// More rows than a batch has: lists of 8 MiB, copies of 24 MiB.
TEST_F(TopkStages, Batches) {
  Problem many = {5000, 700, 600};
  ASSERT_NO_FATAL_FAILURE(compare(many, Scores::kNormal, kWishes[2], 1));
  many.has_ranges = true;
  ASSERT_NO_FATAL_FAILURE(compare(many, Scores::kPlateaus, kWishes[3], 2));
  Problem masked = {110, 70000, 100};
  masked.mask_dtype = DSA_U8;
  ASSERT_NO_FATAL_FAILURE(compare(masked, Scores::kNormal, kWishes[1], 3));
  masked.order = DSA_ORDER_INDEX;
  masked.has_ranges = true;
  ASSERT_NO_FATAL_FAILURE(compare(masked, Scores::kPlateaus, kWishes[4], 4));
}

TEST_F(TopkStages, MasksAndStrides) {
  uint64_t seed = 1;
  for (const int32_t mask :
       {0, int32_t(DSA_U8), int32_t(DSA_F32), int32_t(DSA_F16), int32_t(DSA_BF16)}) {
    for (const auto& [rows, columns, k] : {std::tuple<int64_t, int64_t, int32_t>{700, 33, 5},
                                           {20, 1025, 300},
                                           {3, 5000, 64},
                                           {2, 70000, 2048}}) {
      for (const int32_t dtype : {int32_t(DSA_F32), int32_t(DSA_BF16)}) {
        Problem p = {rows, columns, k};
        p.dtype = dtype;
        p.mask_dtype = mask;
        p.mask_is_shared = seed % 3 == 0;
        p.is_transposed = mask == 0 || seed % 5 == 0;
        p.has_ranges = seed % 2 == 0;
        p.selects_inf = seed % 4 == 0;
        p.order = seed % 3 == 1 ? DSA_ORDER_SCORE : DSA_ORDER_INDEX;
        ASSERT_NO_FATAL_FAILURE(compare(p, kAllScores[seed % std::size(kAllScores)],
                                        kWishes[seed % std::size(kWishes)], seed))
            << "seed " << seed;
        ++seed;
      }
    }
  }
}

// A mask that hides everything, and rows without keys.
TEST_F(TopkStages, NothingToSelect) {
  Problem p = {5, 3000, 40};
  p.wider = 3;
  ASSERT_NO_FATAL_FAILURE(compare({5, 0, 40, 3}, Scores::kNormal, kWishes[4], 1));
  Case problem(p, Scores::kNormal, 2);
  std::vector<uint8_t> hides(3000, 0);
  Outputs out(p.rows, p.k + p.wider);
  dsa_topk_desc d = problem.desc(kWishes[4], out);
  d.mask = dsa_tensor_2d(hides.data(), DSA_U8, p.rows, p.columns);
  d.mask.stride[0] = 0;
  ASSERT_EQ(run(gpu_.get(), d), DSA_OK) << dsa_last_error();
  EXPECT_EQ(out.indices, std::vector<int32_t>(out.indices.size(), -1));
  EXPECT_EQ(out.slots, out.indices);
  EXPECT_EQ(out.values, std::vector<int32_t>(out.values.size(), int32_t(0xff800000u)));
  EXPECT_EQ(out.counts, std::vector<int32_t>(5, 0));
  EXPECT_EQ(out.cut_index, std::vector<int32_t>(5, -1));
  EXPECT_EQ(out.cut_score, std::vector<int32_t>(5, 0x7f800000));
}

// Only what no other form does goes to the slow one.
TEST_F(TopkStages, TheFormIsThatOfThePlainCall) {
  for (const auto& [rows, columns, k] : {std::tuple<int64_t, int64_t, int32_t>{4096, 1024, 64},
                                         {64, 4096, 512},
                                         {64, 65536, 2048},
                                         {100, 65536, 2048},
                                         {64, 8192, 8192}}) {
    Problem plain = {rows, columns, k};
    plain.order = DSA_ORDER_INDEX;
    Problem ordered = plain, masked = plain, transposed = plain;
    ordered.order = DSA_ORDER_SCORE;
    masked.mask_dtype = DSA_U8;
    transposed.is_transposed = true;
    const auto form_of = [&](const Problem& p) {
      float none = 0;
      dsa_topk_desc d = dsa_topk_desc_init();
      d.k = p.k;
      d.order = p.order;
      d.scores = dsa_tensor_2d(&none, DSA_F32, p.rows, p.columns);
      if (p.is_transposed) {
        d.scores.stride[0] = 1;
        d.scores.stride[1] = p.rows;
      }
      if (p.mask_dtype) d.mask = dsa_tensor_2d(&none, p.mask_dtype, p.rows, p.columns);
      d.indices = dsa_tensor_2d(&none, DSA_I32, p.rows, p.k);
      d.values = dsa_tensor_2d(&none, DSA_F32, p.rows, p.k);
      return picked(d);
    };
    const std::string form = form_of(plain);
    EXPECT_EQ(form.find("block"), std::string::npos) << form;
    EXPECT_EQ(form_of(ordered), form);
    // A batch of the copies may be of fewer rows.
    EXPECT_EQ(form_of(masked).find("block"), std::string::npos) << form_of(masked);
    EXPECT_EQ(form_of(transposed).find("block"), std::string::npos) << form_of(transposed);
  }
  Problem too_many = {2, 10000, 8193};
  Case problem(too_many, Scores::kNormal, 1);
  Outputs out(too_many.rows, too_many.k);
  EXPECT_EQ(picked(problem.desc(kWishes[0], out)), "cuda.topk.block.sm80");
}

// What a call takes is enough for one of fewer keys, of shorter rows, of fewer rows.
TEST_F(TopkStages, WorkspaceNeverShrinks) {
  const auto bytes_of = [&](int64_t rows, int64_t columns, int32_t k, int32_t order, bool masked) {
    float none = 0;
    dsa_topk_desc d = dsa_topk_desc_init();
    d.k = k;
    d.order = order;
    d.scores = dsa_tensor_2d(&none, DSA_F32, rows, columns);
    d.values = dsa_tensor_2d(&none, DSA_F32, rows, k);
    if (masked) d.mask = dsa_tensor_2d(&none, DSA_U8, rows, columns);
    uint64_t bytes = 0;
    EXPECT_EQ(workspace_size(gpu_.get(), d, &bytes), DSA_OK) << dsa_last_error();
    return bytes;
  };
  const std::vector<int64_t> all_rows = {1, 60, 66, 67, 600, 30000};
  const std::vector<int64_t> all_columns = {100, 500, 5000, 32768, 32769, 300000};
  const std::vector<int32_t> all_k = {1, 100, 2048, 2049, 8192, 8193, 40000};
  for (const bool masked : {false, true}) {
    for (const int32_t order : {int32_t(DSA_ORDER_INDEX), int32_t(DSA_ORDER_SCORE)}) {
      for (size_t r = 0; r < all_rows.size(); ++r) {
        for (size_t c = 0; c < all_columns.size(); ++c) {
          for (size_t k = 0; k < all_k.size(); ++k) {
            const auto bytes = [&](size_t r, size_t c, size_t k) {
              return bytes_of(all_rows[r], all_columns[c], all_k[k], order, masked);
            };
            const uint64_t all = bytes(r, c, k);
            const std::string call = std::to_string(all_rows[r]) + " x " +
                                     std::to_string(all_columns[c]) + ", k " +
                                     std::to_string(all_k[k]);
            if (r > 0) {
              EXPECT_LE(bytes(r - 1, c, k), all) << call << ", fewer rows";
            }
            if (c > 0) {
              EXPECT_LE(bytes(r, c - 1, k), all) << call << ", shorter rows";
            }
            if (k > 0) {
              EXPECT_LE(bytes(r, c, k - 1), all) << call << ", fewer keys";
            }
          }
        }
      }
    }
  }
}

}  // namespace

// Top-k of rows that break sampled gates and shared-memory histograms, at sizes that reach every
// form: the GPU's answer is the CPU's, bit for bit.
#include <cstring>

#include "gpu_test.h"
#include "support/random.h"

using namespace support;

namespace {

using Fill = float (*)(Random&, int64_t s, int64_t n);

float from_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

struct Pattern {
  const char* name;
  Fill fill;
};

const Pattern kPatterns[] = {
    {"normal", [](Random& r, int64_t, int64_t) { return float(r.normal()); }},
    {"all equal", [](Random&, int64_t, int64_t) { return 1.5f; }},
    {"one bin: low mantissa bits",
     [](Random& r, int64_t, int64_t) {
       return from_bits(0x3f800000u + uint32_t(r.between(0, 255)));
     }},
    {"one bin: 4 values",
     [](Random& r, int64_t, int64_t) {
       return from_bits(0x3f800000u + uint32_t(r.between(0, 3)));
     }},
    {"rising", [](Random&, int64_t s, int64_t) { return float(s); }},
    {"falling", [](Random&, int64_t s, int64_t n) { return float(n - s); }},
    {"plateau of zeros",
     [](Random& r, int64_t, int64_t) { return r.chance(0.7) ? 0.0f : float(r.normal()); }},
    {"zeros of both signs, few above",
     [](Random& r, int64_t, int64_t) {
       return r.chance(0.01) ? 1.0f : r.chance(0.5) ? 0.0f : -0.0f;
     }},
    {"periodic: large values where a strided sample never looks",
     [](Random&, int64_t s, int64_t) {
       return s % 64 == 13 ? 5.0f + float(s % 4096) : float(s % 7);
     }},
    {"the large ones in one run",
     [](Random&, int64_t s, int64_t n) {
       return s > n / 2 && s < n / 2 + 3000 ? 9.0f + float(s % 11) : -1.0f;
     }},
    {"few outliers over a plateau",
     [](Random& r, int64_t, int64_t) { return r.chance(0.0005) ? 1e30f : -3.0f; }},
    {"negative, NaN and infinities",
     [](Random& r, int64_t, int64_t) {
       const int64_t i = r.between(0, 9);
       return i == 0   ? from_bits(0x7fc00000u)
              : i == 1 ? from_bits(0xff800000u)
              : i == 2 ? from_bits(0x7f800000u)
                       : -std::abs(float(r.normal()));
     }},
    {"both sides of zero, nearer than an f16 tells",
     [](Random& r, int64_t, int64_t) {
       return float(r.normal()) * from_bits(uint32_t(r.between(96, 112)) << 23);
     }},
    {"beyond f16",
     [](Random& r, int64_t, int64_t) {
       return float(r.normal()) * from_bits(uint32_t(r.between(140, 180)) << 23);
     }},
    {"mostly -inf",
     [](Random& r, int64_t, int64_t) {
       return r.chance(0.002) ? float(r.normal()) : from_bits(0xff800000u);
     }},
};

struct Size {
  int64_t rows, columns;
  int32_t k;
};

TEST(Adversarial, TopkEqualsTheCpu) {
  const Context cpu = make_context("cpu.topk.*", 0);
  ASSERT_TRUE(cpu);
  DSA_GPU_OR_SKIP(any);
  for (const Kernel& kernel : kernels_of(DSA_OP_TOPK)) {
    if (!kernel.usable || kernel.on_cpu()) continue;
    int compared = 0;
    for (const Size n : {Size{2, 4096, 512},
                         {3, 16000, 2048},
                         {2, 40000, 1024},
                         {2, 131072, 2048},
                         {1, 400000, 2048},
                         {90, 70001, 2048},
                         {500, 20000, 512},
                         {9000, 60, 8},
                         {9000, 120, 16},
                         {9000, 250, 64},
                         {600, 512, 32},
                         {600, 1000, 64},
                         {300, 2048, 128},
                         {600, 2048, 128},
                         {40, 100, 100},
                         {3, 30000, 5000},
                         {1, 9000, 20000}}) {
      for (const Pattern& pattern : kPatterns) {
        Random random(uint64_t(n.columns * 31 + n.k));
        std::vector<float> scores(size_t(n.rows * n.columns));
        for (size_t i = 0; i < scores.size(); ++i) {
          scores[i] = pattern.fill(random, int64_t(i) % n.columns, n.columns);
        }
        const size_t out = size_t(n.rows) * size_t(n.k);
        std::vector<int32_t> want(out), found(out, 77), want_cut(size_t(n.rows)),
            cut(size_t(n.rows), 77);
        std::vector<float> want_values(out), values(out, 77);
        dsa_topk_desc d = dsa_topk_desc_init();
        d.scores = dsa_tensor_2d(scores.data(), DSA_F32, n.rows, n.columns);
        d.k = n.k;
        d.indices = dsa_tensor_2d(want.data(), DSA_I32, n.rows, n.k);
        d.values = dsa_tensor_2d(want_values.data(), DSA_F32, n.rows, n.k);
        d.cut_index = dsa_tensor_1d(want_cut.data(), DSA_I32, n.rows);
        if (supports(kernel.ctx.get(), d) != DSA_OK) break;
        ASSERT_EQ(dsa_topk(cpu.get(), &d, nullptr), DSA_OK) << dsa_last_error();
        d.indices.data = found.data();
        d.values.data = values.data();
        d.cut_index.data = cut.data();
        ASSERT_EQ(run(kernel.ctx.get(), d), DSA_OK) << kernel.name << dsa_last_error();
        const std::string context = kernel.name + ": " + pattern.name + ", " +
                                    std::to_string(n.rows) + " x " + std::to_string(n.columns) +
                                    ", k " + std::to_string(n.k);
        ASSERT_EQ(found, want) << context;
        ASSERT_EQ(cut, want_cut) << context;
        ASSERT_EQ(std::memcmp(values.data(), want_values.data(), out * 4), 0) << context;
        ++compared;
      }
    }
    std::printf("[  JUDGED  ] %s: %d calls\n", kernel.name.c_str(), compared);
  }
}

}  // namespace

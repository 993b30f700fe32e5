// Top-k at the lengths where its forms end and their slabs, warps and clusters are just full, on
// rows that begin anywhere in a slab: the GPU's answer is the CPU's, bit for bit.
#include <cmath>
#include <cstring>

#include "gpu_test.h"
#include "support/random.h"
#include "support/seeds.h"

using namespace support;

namespace {

// Outputs of a call, and the scores that they are of.
struct Call {
  Call(int64_t rows, int32_t k, int32_t dtype, bool others)
      : indices(size_t(rows * k), 77),
        counts(size_t(rows), 77),
        cut_index(size_t(rows), 77),
        cut_score(size_t(rows), 77),
        values(size_t(rows * k) * (dtype == DSA_F32 ? 4 : 2), 77) {
    d = dsa_topk_desc_init();
    d.k = k;
    d.indices = dsa_tensor_2d(indices.data(), DSA_I32, rows, k);
    if (others) {
      d.counts = dsa_tensor_1d(counts.data(), DSA_I32, rows);
      d.cut_index = dsa_tensor_1d(cut_index.data(), DSA_I32, rows);
      d.cut_score = dsa_tensor_1d(cut_score.data(), DSA_F32, rows);
      d.values = dsa_tensor_2d(values.data(), dtype, rows, k);
    }
  }
  bool operator==(const Call& other) const {
    return indices == other.indices && counts == other.counts && cut_index == other.cut_index &&
           cut_score == other.cut_score && values == other.values;
  }

  dsa_topk_desc d;
  std::vector<int32_t> indices, counts, cut_index;
  std::vector<uint32_t> cut_score;  // f32 bits
  std::vector<unsigned char> values;
};

// Bits of normal scores with some equal ones and specials among them.
std::vector<unsigned char> draw_scores(Random& random, size_t n, int32_t dtype) {
  std::vector<unsigned char> bytes(n * (dtype == DSA_F32 ? 4 : 2) + 64);
  const bool plateaus = random.chance(0.3);
  const float scale = random.pick({1.0f, 1.0f, 1.0f, 1e-7f, 1e6f});
  for (size_t i = 0; i < n; ++i) {
    float x = float(random.normal()) * scale;
    if (plateaus) x = float(int(x * 4)) / 4;
    if (random.chance(0.001))
      x = random.pick({float(NAN), float(INFINITY), -float(INFINITY), -0.0f});
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if (dtype == DSA_F32) {
      std::memcpy(&bytes[i * 4], &bits, 4);
    } else {
      // Any 16 bits are a score: those of the f32's upper half are spread well enough for f16 too.
      const uint16_t half = uint16_t(bits >> 16);
      std::memcpy(&bytes[i * 2], &half, 2);
    }
  }
  return bytes;
}

TEST(TopkForms, EveryLengthAndPlaceOfARow) {
  const Context cpu = make_context("cpu.topk.*", 0);
  ASSERT_TRUE(cpu);
  DSA_GPU_OR_SKIP(any);
  const std::vector<int64_t> lengths = {
      1,     31,    64,    65,    128,   129,    256,    257,    511,    513,   1024,  1025,
      2047,  2048,  2049,  4095,  4096,  4097,   8183,   8185,   8192,   8193,  16384, 16385,
      32765, 32768, 32769, 65536, 66001, 131072, 131077, 262144, 262145, 300001};
  for (const Kernel& kernel : kernels_of(DSA_OP_TOPK)) {
    if (!kernel.usable || kernel.on_cpu()) continue;
    Random random(7);
    int compared = 0;
    for (const int64_t length : lengths) {
      for (uint64_t round = 0; round < seeds(6); ++round) {
        const int32_t dtype = random.pick({DSA_F32, DSA_F32, DSA_BF16, DSA_F16});
        int64_t rows = length > 70000   ? random.between(1, 3)
                       : length <= 2048 ? random.pick({1, 20, 70, 600})
                                        : random.pick({1, 20, 40, 70});
        int32_t k = int32_t(random.pick<int64_t>(
            {1, 17, 128, 512, 2048, std::min<int64_t>(length, 5000), 2 * length % 5000 + 1}));
        if (length <= 256 && round == 5) {  // so many that they share warps
          rows = 9000;
          k = std::min(k, 40);
        }
        const int64_t pitch = length + random.pick({0, 0, 1, 3});
        const int64_t place = random.pick({0, 0, 1, 2, 3, 5, 7});  // of the first score
        const int32_t bytes = dtype == DSA_F32 ? 4 : 2;
        const size_t n = size_t(rows * pitch + place);
        std::vector<unsigned char> scores = draw_scores(random, n, dtype);
        std::vector<int32_t> begins(static_cast<size_t>(rows)), ends(begins);
        for (size_t t = 0; t < begins.size(); ++t) {
          begins[t] = int32_t(random.chance(0.5) ? 0 : random.between(0, length));
          ends[t] = int32_t(random.chance(0.5) ? length : random.between(0, length));
          if (random.chance(0.1)) ends[t] = random.pick({0, -1, INT32_MIN, INT32_MAX});
        }
        const bool others = random.chance(0.5), ranges = random.chance(0.5);
        Call want(rows, k, dtype, others), found(rows, k, dtype, others);
        for (Call* call : {&want, &found}) {
          call->d.scores = dsa_tensor_2d(scores.data() + place * bytes, dtype, rows, length);
          call->d.scores.stride[0] = pitch;
          if (round % 3 == 2) call->d.flags |= DSA_SELECT_NEG_INF;
          if (ranges) {
            call->d.row_end = dsa_tensor_1d(ends.data(), DSA_I32, rows);
            if (others) call->d.row_begin = dsa_tensor_1d(begins.data(), DSA_I32, rows);
          }
        }
        if (supports(kernel.ctx.get(), found.d) != DSA_OK) continue;
        ASSERT_EQ(dsa_topk(cpu.get(), &want.d, nullptr), DSA_OK) << dsa_last_error();
        ASSERT_EQ(run(kernel.ctx.get(), found.d), DSA_OK) << kernel.name << dsa_last_error();
        ASSERT_TRUE(found == want)
            << kernel.name << ": " << rows << " x " << length << ", k " << k << ", dtype " << dtype
            << ", pitch " << pitch << ", place " << place << ", round " << round;
        ++compared;
      }
    }
    std::printf("[  JUDGED  ] %s: %d calls\n", kernel.name.c_str(), compared);
  }
}

}  // namespace

// Twins hold a tensor's elements, whatever its strides; copies touch nothing else.
#include "hybrid/staging.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "core/tensor.h"

namespace {

using namespace dsa;

void copy_rows(char* to, int64_t to_step, const char* from, int64_t from_step, int64_t width,
               int64_t rows) {
  for (int64_t i = 0; i < rows; ++i) {
    std::memcpy(to + i * to_step, from + i * from_step, static_cast<size_t>(width));
  }
}

// Calls f(element offset in a, in b) for every element.
template <class F>
void each_element(const dsa_tensor& a, const dsa_tensor& b, F&& f) {
  int64_t count = 1;
  for (int32_t i = 0; i < a.ndim; ++i) count *= a.shape[i];
  for (int64_t n = 0; n < count; ++n) {
    int64_t rest = n, at_a = 0, at_b = 0;
    for (int32_t i = a.ndim - 1; i >= 0; --i) {
      const int64_t place = rest % a.shape[i];
      rest /= a.shape[i];
      at_a += place * a.stride[i];
      at_b += place * b.stride[i];
    }
    f(at_a, at_b);
  }
}

// A tensor in memory of its own, of i32 that count up.
struct Placed {
  std::vector<int32_t> memory;
  dsa_tensor tensor = {};

  void place() {
    int64_t low = 0, high = 0;
    for (int32_t i = 0; i < tensor.ndim; ++i) {
      const int64_t reach = tensor.stride[i] * std::max<int64_t>(tensor.shape[i] - 1, 0);
      (reach < 0 ? low : high) += reach;
    }
    memory.resize(static_cast<size_t>(high - low + 1));
    std::iota(memory.begin(), memory.end(), 1000);
    tensor.data = memory.data() - low;
  }
};

Placed random_tensor(std::mt19937& random, bool is_output) {
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  Placed p;
  p.tensor.dtype = DSA_I32;
  p.tensor.ndim = static_cast<int32_t>(draw(1, 5));
  std::vector<int32_t> order(static_cast<size_t>(p.tensor.ndim));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  int64_t step = draw(0, 2) == 0 ? draw(2, 4) : 1;
  for (const int32_t axis : order) {
    p.tensor.shape[axis] = draw(0, 20) == 0 ? 0 : draw(1, 4);
    p.tensor.stride[axis] = draw(0, 5) == 0 ? -step : step;
    if (!is_output && draw(0, 5) == 0) p.tensor.stride[axis] = 0;
    step = step * std::max<int64_t>(p.tensor.shape[axis], 1) + draw(0, 1) * draw(0, 3);
  }
  p.place();
  return p;
}

TEST(Twin, HoldsTheElementsWhateverTheStrides) {
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) {
    const Placed p = random_tensor(random, false);
    const Twin size = make_twin(p.tensor, nullptr);
    std::vector<int32_t> memory(size.bytes / 4 + 2, -1);
    const Twin twin = make_twin(p.tensor, reinterpret_cast<char*>(memory.data() + 1));
    ASSERT_EQ(twin.bytes, size.bytes);
    copy_to_twin(p.tensor, twin.tensor, copy_rows);
    const auto* from = static_cast<const int32_t*>(p.tensor.data);
    const auto* to = static_cast<const int32_t*>(twin.tensor.data);
    each_element(p.tensor, twin.tensor,
                 [&](int64_t a, int64_t b) { ASSERT_EQ(from[a], to[b]) << i; });
    // Dense: nothing of the twin is left unwritten, nothing beside it is written.
    EXPECT_EQ(memory.front(), -1);
    EXPECT_EQ(memory.back(), -1);
    EXPECT_EQ(std::count(memory.begin(), memory.end(), -1), 2) << i;
  }
}

TEST(Twin, ComesBackWithoutTouchingGaps) {
  std::mt19937 random(8);
  for (int i = 0; i < 5000; ++i) {
    Placed p = random_tensor(random, true);
    const std::vector<int32_t> before = p.memory;
    std::vector<int32_t> memory(make_twin(p.tensor, nullptr).bytes / 4);
    std::iota(memory.begin(), memory.end(), -500000);
    const Twin twin = make_twin(p.tensor, reinterpret_cast<char*>(memory.data()));
    copy_from_twin(twin.tensor, p.tensor, copy_rows);
    std::vector<int32_t> expected = before;
    const int64_t base = static_cast<int32_t*>(p.tensor.data) - p.memory.data();
    const auto* from = static_cast<const int32_t*>(twin.tensor.data);
    each_element(p.tensor, twin.tensor,
                 [&](int64_t a, int64_t b) { expected[static_cast<size_t>(base + a)] = from[b]; });
    ASSERT_EQ(p.memory, expected) << i;
  }
}

// Rows of a dense cache go in one piece, rows of a padded one in one call.
TEST(Twin, CopiesAsFewPiecesAsThereAre) {
  const auto pieces = [](dsa_tensor t) {
    std::vector<char> from(1 << 16), to(1 << 16);
    t.data = from.data();
    const Twin twin = make_twin(t, to.data());
    std::vector<std::pair<int64_t, int64_t>> calls;  // width, rows
    copy_to_twin(t, twin.tensor,
                 [&](char*, int64_t, const char*, int64_t, int64_t width, int64_t rows) {
                   calls.emplace_back(width, rows);
                 });
    return calls;
  };
  using Calls = std::vector<std::pair<int64_t, int64_t>>;
  dsa_tensor t = dsa_tensor_3d(nullptr, DSA_F32, 4, 8, 16);
  EXPECT_EQ(pieces(t), (Calls{{4 * 8 * 16 * 4, 1}}));
  t.stride[0] = 8 * 16 + 5;
  EXPECT_EQ(pieces(t), (Calls{{8 * 16 * 4, 4}}));
  t.stride[1] = 17;
  EXPECT_EQ(pieces(t), (Calls{{16 * 4, 8}, {16 * 4, 8}, {16 * 4, 8}, {16 * 4, 8}}));
  t.stride[0] = 0;  // every row the same one
  t.stride[1] = 16;
  EXPECT_EQ(pieces(t), (Calls{{8 * 16 * 4, 1}}));
  t.shape[1] = 0;
  EXPECT_EQ(pieces(t), Calls{});
}

TEST(Twin, AxesOfOneElementHaveDenseStrides) {
  dsa_tensor t = dsa_tensor_3d(nullptr, DSA_F32, 1, 5, 1);
  t.stride[0] = 77;
  t.stride[2] = 99;
  const Twin twin = make_twin(t, nullptr);
  EXPECT_EQ(twin.tensor.stride[0], 5);
  EXPECT_EQ(twin.tensor.stride[1], 1);
  EXPECT_EQ(twin.tensor.stride[2], 1);
}

TEST(StagedForward, EveryTensorMovesAndOutputsComeBack) {
  std::vector<float> numbers(4096);
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  std::vector<int32_t> counts(2, -7);
  std::vector<float> out(2 * 3 * 4, -7);
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  select.q = dsa_tensor_3d(numbers.data(), DSA_F32, 2, 3, 8);
  select.keys = dsa_tensor_2d(numbers.data(), DSA_F32, 5, 8);
  select.counts = dsa_tensor_1d(counts.data(), DSA_I32, 2);
  dsa_sparse_attn_desc attend = dsa_sparse_attn_desc_init();
  attend.q = dsa_tensor_3d(numbers.data(), DSA_F32, 2, 3, 4);
  attend.kv = dsa_tensor_2d(numbers.data() + 7, DSA_F32, 5, 4);
  attend.sink = dsa_tensor_1d(numbers.data(), DSA_F32, 3);
  attend.out = dsa_tensor_3d(out.data(), DSA_F32, 2, 3, 4);
  dsa_forward_desc desc = dsa_forward_desc_init();
  desc.select = &select;
  desc.attend = &attend;

  StagedForward staged(desc, DSA_DEVICE_CUDA, 3);
  const auto round_up = [](uint64_t floats) { return (floats * 4 + 255) / 256 * 256; };
  EXPECT_EQ(staged.output_bytes(), round_up(2) + round_up(24));
  EXPECT_EQ(staged.input_bytes(),
            round_up(48) + round_up(40) + round_up(24) + round_up(20) + round_up(3));
  EXPECT_EQ(staged.tensors(), 7);
  EXPECT_NE(staged.desc().select->q.data, nullptr);
  EXPECT_EQ(staged.desc().select->q.device, DSA_DEVICE_CUDA);
  EXPECT_EQ(staged.desc().attend->out.device_id, 3);
  EXPECT_EQ(staged.desc().attend->v.ndim, 0);

  std::vector<char> memory(staged.bytes());
  staged.place(memory.data());
  staged.copy_in(copy_rows);
  const auto* kv = static_cast<const float*>(staged.desc().attend->kv.data);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(kv[i], static_cast<float>(i + 7));
  auto* twin_out = static_cast<float*>(staged.desc().attend->out.data);
  for (int i = 0; i < 24; ++i) twin_out[i] = static_cast<float>(-i);
  static_cast<int32_t*>(staged.desc().select->counts.data)[1] = 9;
  EXPECT_EQ(out[1], -7);
  staged.copy_out(copy_rows);
  for (int i = 0; i < 24; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], static_cast<float>(-i));
  EXPECT_EQ(counts[1], 9);
}

}  // namespace

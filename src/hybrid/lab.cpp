#include "hybrid/lab.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/error.h"

namespace dsa {
namespace {

constexpr double kBatchSeconds = 2e-3;  // of calls between two looks at the clock
constexpr double kLongCall = 30e-3;     // such a call is measured once, after a first one
constexpr int kBatches = 3;

// Numbers that repeat after a prime, so that rows differ.
constexpr size_t kPeriod = 1048573;

std::vector<uint32_t> random_words(size_t count) {
  std::vector<uint32_t> words(count);
  uint32_t state = 12345;
  for (uint32_t& word : words) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    word = state;
  }
  return words;
}

// One number in [-1, 1), written as `dtype` has it.
void put_number(int32_t dtype, uint32_t random, char* to) {
  const float value = static_cast<float>(static_cast<int32_t>(random)) * 0x1p-31f;
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if (dtype == DSA_F32) {
    std::memcpy(to, &value, 4);
  } else if (dtype == DSA_BF16) {
    const auto high = static_cast<uint16_t>(bits >> 16);
    std::memcpy(to, &high, 2);
  } else if (dtype == DSA_F8_E4M3FN) {
    // Exponents 0 to 6, which stand for numbers below 1.
    *to = static_cast<char>((random & 0x87) | ((random >> 8) % 7) << 3);
  } else {
    *to = 0;
  }
}

}  // namespace

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

dsa_tensor Lab::numbers(int32_t dtype, std::initializer_list<int64_t> shape) {
  dsa_tensor t = dsa_tensor_make(nullptr, dtype, static_cast<int32_t>(shape.size()), shape.begin());
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  const auto bytes = static_cast<size_t>(element_bytes(dtype));
  const size_t period = std::min<size_t>(static_cast<size_t>(count), kPeriod);
  const std::vector<uint32_t> words = random_words(period);
  std::vector<char> content(static_cast<size_t>(count) * bytes);
  for (size_t i = 0; i < period; ++i) put_number(dtype, words[i], content.data() + i * bytes);
  for (size_t done = period * bytes; done < content.size();) {
    const size_t n = std::min(period * bytes, content.size() - done);
    std::memcpy(content.data() + done, content.data(), n);
    done += n;
  }
  t.data = keep(content.data(), content.size());
  return placed(t);
}

dsa_tensor Lab::selection(int64_t rows, int32_t k, int64_t keys) {
  std::vector<int32_t> indices(static_cast<size_t>(rows * k));
  const int64_t step = std::max<int64_t>(keys / k, 1);
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t j = 0; j < k; ++j) {
      indices[static_cast<size_t>(t * k + j)] = static_cast<int32_t>((j * step + t * 7) % keys);
    }
  }
  return placed(dsa_tensor_2d(keep(indices.data(), indices.size() * 4), DSA_I32, rows, k));
}

double Lab::seconds(const std::function<dsa_status(const dsa_exec*)>& call) {
  return measure(call, false);
}

double Lab::seconds_waited(const std::function<dsa_status(const dsa_exec*)>& call) {
  return measure(call, true);
}

dsa_status Lab::run(const std::function<dsa_status(const dsa_exec*)>& call) {
  dsa_exec exec{};
  exec.struct_size = sizeof exec;
  exec.stream = stream();
  const dsa_status status = call(&exec);
  wait();
  return status;
}

double Lab::measure(const std::function<dsa_status(const dsa_exec*)>& call, bool waited) {
  dsa_exec exec{};
  exec.struct_size = sizeof exec;
  exec.stream = stream();
  const auto once = [&] {
    const dsa_status status = call(&exec);
    if (status != DSA_OK) fail(status, "tune: %s", dsa_last_error());
  };
  const dsa_status first = run(call);
  if (first == DSA_ERROR_UNSUPPORTED) return -1;
  if (first != DSA_OK) fail(first, "tune: %s", dsa_last_error());
  double begin = now();
  once();
  wait();
  const double one = now() - begin;
  if (one > kLongCall) return one;
  const int calls = std::clamp(static_cast<int>(kBatchSeconds / std::max(one, 1e-7)), 1, 200);
  std::vector<double> samples;
  for (int batch = 0; batch < kBatches; ++batch) {
    begin = now();
    for (int i = 0; i < calls; ++i) {
      once();
      if (waited) wait();
    }
    wait();
    samples.push_back((now() - begin) / calls);
  }
  std::sort(samples.begin(), samples.end());
  return samples[0];
}

void CpuLab::Free::operator()(void* memory) const { std::free(memory); }

void* CpuLab::keep(const void* from, uint64_t bytes) {
  constexpr uint64_t kAlignment = 64;
  const uint64_t rounded =
      (std::max<uint64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  kept_.emplace_back(std::aligned_alloc(kAlignment, rounded));
  if (!kept_.back()) throw std::bad_alloc();
  std::memcpy(kept_.back().get(), from, bytes);
  return kept_.back().get();
}

}  // namespace dsa

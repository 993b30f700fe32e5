// Descriptors with some fields changed to anything, and the questions asked about them.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <vector>

#include "dsa.h"
#include "support/random.h"

namespace support {

// Asks all questions about a descriptor that lies at the very end of its memory.
template <class Desc>
dsa_status ask(dsa_ctx* ctx, const Desc& d) {
  const std::vector<Desc> exact(1, d);  // the address sanitizer sees a read past it
  const dsa_status status = dsa_supports(ctx, exact.data());
  uint64_t bytes = 0;
  EXPECT_EQ(dsa_workspace_size(ctx, exact.data(), &bytes), status) << dsa_last_error();
  dsa_plan* plan = nullptr;
  EXPECT_EQ(dsa_plan_create(ctx, exact.data(), &plan), status) << dsa_last_error();
  EXPECT_EQ(plan != nullptr, status == DSA_OK);
  dsa_plan_destroy(plan);
  EXPECT_NE(status, DSA_ERROR_INTERNAL) << dsa_last_error();
  EXPECT_NE(status, DSA_ERROR_NO_MEMORY) << dsa_last_error();
  return status;
}

// Numbers on which arithmetic breaks.
inline int64_t odd_number(Random& random) {
  static const int64_t kOdd[] = {0,
                                 1,
                                 2,
                                 3,
                                 4,
                                 5,
                                 7,
                                 8,
                                 16,
                                 64,
                                 128,
                                 512,
                                 576,
                                 -1,
                                 INT32_MIN,
                                 INT32_MAX,
                                 INT64_MIN,
                                 INT64_MAX,
                                 int64_t{1} << 31,
                                 int64_t{1} << 40,
                                 (int64_t{1} << 40) + 1,
                                 int64_t{1} << 55,
                                 -(int64_t{1} << 55)};
  if (random.chance(0.1)) return int64_t(random.bits());
  return kOdd[random.between(0, int64_t(std::size(kOdd)) - 1)];
}

// Some fields of a tensor become anything.
inline void bend(Random& random, dsa_tensor& t) {
  switch (random.between(0, 7)) {
    case 0:
      t.ndim = random.chance(0.8) ? int32_t(random.between(-1, 6)) : int32_t(random.bits());
      return;
    case 1:
      t.dtype = random.chance(0.8) ? int32_t(random.between(0, 11)) : int32_t(random.bits());
      return;
    case 2:
    case 3:
    case 4:
      t.shape[random.between(0, 4)] = odd_number(random);
      return;
    case 5:
    case 6:
      t.stride[random.between(0, 4)] = odd_number(random);
      return;
    default:
      t.device = int32_t(random.between(-1, 4));
  }
}

// The descriptor as words: head (size, kind), host fields, tensors from `first` on.
template <class Desc>
void bend_descriptor(Random& random, Desc& d, size_t first) {
  constexpr size_t kTensor = sizeof(dsa_tensor);
  unsigned char* bytes = reinterpret_cast<unsigned char*>(&d);
  const auto tensors = int64_t((sizeof(Desc) - first) / kTensor);
  for (int64_t changes = random.between(1, 4); changes > 0; --changes) {
    if (random.chance(0.7)) {
      unsigned char* at = bytes + first + size_t(random.between(0, tensors - 1)) * kTensor;
      dsa_tensor t;
      std::memcpy(&t, at, kTensor);
      bend(random, t);
      std::memcpy(at, &t, kTensor);
    } else {
      // A 32-bit word of the host fields: flags, batch, ..., page sizes, k.
      const int64_t words = int64_t(first - 8) / 4;
      const int32_t value =
          random.chance(0.2)
              ? int32_t(random.bits())
              : int32_t(random.pick<int64_t>({-1, 0, 1, 2, 3, 4, 7, 64, INT32_MAX, INT32_MIN}));
      std::memcpy(bytes + 8 + size_t(random.between(0, words - 1)) * 4, &value, 4);
    }
  }
}

// Nothing at this address may be read.
template <class Desc>
void point_nowhere(Random& random, Desc& d, size_t first) {
  for (size_t at = first; at + sizeof(dsa_tensor) <= sizeof(Desc); at += sizeof(dsa_tensor)) {
    void* data = random.chance(0.3) ? nullptr : reinterpret_cast<void*>(uintptr_t{64});
    std::memcpy(reinterpret_cast<char*>(&d) + at + offsetof(dsa_tensor, data), &data, sizeof data);
  }
}

}  // namespace support

// How many random calls a test makes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace support {

// `count`, or DSA_TEST_SHARE percent of it (slow machines, sanitizers), at least 1.
inline uint64_t seeds(uint64_t count) {
  const char* text = std::getenv("DSA_TEST_SHARE");
  const uint64_t percent = text ? std::strtoull(text, nullptr, 10) : 100;
  return std::max<uint64_t>(1, count * percent / 100);
}

}  // namespace support

// The caller's floating-point mode must not change results: with denormals read as zero, scores
// that differ would compare equal, and another rounding mode would change every sum.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace dsa::cpu {

// Round to nearest, denormals kept, exceptions masked, for the life of the object on this thread.
// A store and a compare where that is the mode already.
class DefaultFloatMode {
 public:
#if defined(__x86_64__)
  DefaultFloatMode() : before_(_mm_getcsr()) {
    constexpr uint32_t kStatusBits = 0x3f;
    if ((before_ & ~kStatusBits) != kDefault) _mm_setcsr(kDefault);
  }
  ~DefaultFloatMode() {
    if (_mm_getcsr() != before_) _mm_setcsr(before_);
  }
#elif defined(__aarch64__)
  DefaultFloatMode() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    if (before_ != kDefault) asm volatile("msr fpcr, %0" : : "r"(kDefault));
  }
  ~DefaultFloatMode() {
    if (before_ != kDefault) asm volatile("msr fpcr, %0" : : "r"(before_));
  }
#endif
  DefaultFloatMode(const DefaultFloatMode&) = delete;
  DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr uint32_t kDefault = 0x1f80;
  uint32_t before_;
#elif defined(__aarch64__)
  static constexpr uint64_t kDefault = 0;
  uint64_t before_;
#endif
};

}  // namespace dsa::cpu

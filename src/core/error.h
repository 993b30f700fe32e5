// Errors inside the library: thrown with a status and a text, caught only in src/api.
#pragma once

#include <cstddef>

#include "dsa.h"

namespace dsa {

inline constexpr size_t kErrorTextBytes = 512;

// Plain data, so that throwing one never allocates text and the text outlives the unwinding.
struct Error {
  dsa_status status;
  char text[kErrorTextBytes];
};

[[noreturn]] void fail(dsa_status status, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

// This thread's last error, read by dsa_last_error().
void set_last_error(const char* text) noexcept;
const char* last_error() noexcept;

}  // namespace dsa

#pragma once
// What the wrapped functions throw; each language's .i file turns it into that language's own.

#include <dsa.h>

#include <cstdarg>
#include <cstdio>
#include <string>

namespace dsa_swig {

struct Error {
  dsa_status status;
  std::string text;
};

// After a call of the library: its status and this thread's text.
inline void check(dsa_status status) {
  if (status != DSA_OK) throw Error{status, dsa_last_error()};
}

// What the bindings find wrong before the library is called.
[[noreturn]] __attribute__((format(printf, 1, 2))) inline void fail(const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Error{DSA_ERROR_INVALID, text};
}

}  // namespace dsa_swig

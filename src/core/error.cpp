#include "core/error.h"

#include <cstdarg>
#include <cstdio>

namespace dsa {
namespace {
thread_local char g_last_error[kErrorTextBytes] = "";
}

void fail(dsa_status status, const char* format, ...) {
  Error error;
  error.status = status;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(error.text, sizeof error.text, format, arguments);
  va_end(arguments);
  throw error;
}

void set_last_error(const char* text) noexcept {
  std::snprintf(g_last_error, sizeof g_last_error, "%s", text);
}

const char* last_error() noexcept { return g_last_error; }

}  // namespace dsa

#include "core/log.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace dsa {
namespace {

bool has_topic(const char* topics, const char* topic) {
  const size_t length = std::strlen(topic);
  for (const char* p = topics; *p;) {
    const size_t n = std::strcspn(p, ",");
    if (n == length && std::strncmp(p, topic, n) == 0) return true;
    p += n;
    if (*p == ',') ++p;
  }
  return false;
}

}  // namespace

Log::Log(dsa_log callback, void* user, const char* topics)
    : callback_(callback),
      user_(user),
      dispatch_(has_topic(topics, "dispatch")),
      context_(has_topic(topics, "context")),
      stages_(has_topic(topics, "stages")),
      stages_alone_(has_topic(topics, "stages_alone")) {}

void Log::write(int32_t level, const char* format, ...) const {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (callback_) {
    callback_(user_, level, text);
  } else {
    std::fprintf(stderr, "libdsa: %s\n", text);
  }
}

}  // namespace dsa

#include "files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "error.h"

namespace tinylm {
namespace {

// Read until the end comes instead of asking for the size first: a pipe has none.
constexpr size_t kBlock = size_t{1} << 20;

[[noreturn]] void fail(const std::filesystem::path &path) {
  throw BadInput(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace

std::vector<uint8_t> read_file(const std::filesystem::path &path) {
  const auto close = [](std::FILE *file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (!file) fail(path);

  std::vector<uint8_t> bytes;
  size_t used = 0;
  for (;;) {
    bytes.resize(used + kBlock);
    const size_t got = std::fread(bytes.data() + used, 1, kBlock, file.get());
    used += got;
    if (got < kBlock) break;
  }
  if (std::ferror(file.get())) fail(path);
  bytes.resize(used);
  return bytes;
}

}  // namespace tinylm

#pragma once
// Whole files in memory: the largest that the engine reads has 13 MB.

#include <cstdint>
#include <filesystem>
#include <vector>

namespace tinylm {

// Throws BadInput naming the file.
std::vector<uint8_t> read_file(const std::filesystem::path &path);

}  // namespace tinylm

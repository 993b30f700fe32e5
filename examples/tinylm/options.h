#pragma once
// The command line.

#include <dsa.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace tinylm {

struct Options {
  std::filesystem::path model;  // folder
  std::filesystem::path text;   // empty: the model's held_out.txt
  std::string prompt;
  int topk = 0;  // 0: the model's
  int32_t dtype = DSA_F32;
  bool dense = false;
  int64_t bytes = 8192;
  int64_t generate = 200;
  int64_t long_positions = 0;    // 0: no table of long contexts
  int threads = 0;               // 0: one per core
  bool cuda = false;             // on a GPU
  std::optional<int32_t> route;  // DSA_ROUTE_... of dsa_forward; none: the two steps it stands for
};

// Throws BadInput. True: go on; false: --help was asked for and has been answered.
bool parse_options(int argc, char **argv, Options &options);

}  // namespace tinylm

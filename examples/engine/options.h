#pragma once

#include <cstdint>

namespace engine {

struct Options {
  int64_t steps = 10000;
  int workers = 4;
  int threads = 0;    // of libdsa: its choice
  int tokens = 8192;  // of the cache: less than all workers' requests can need
  bool damage = false;
  bool help = false;
};

// False, with a line on stderr, when they make no sense.
bool parse(int argc, char **argv, Options &options);

}  // namespace engine

#pragma once
// A prompt that is read in chunks, then tokens one by one.

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "cache.h"

namespace engine {

struct Limits {
  int longest = 640;   // tokens of a request, prompt and output
  int batch = 6;       // requests that a worker runs at once
  int step_rows = 48;  // rows of a step, over all its requests
};

struct Request {
  std::vector<int> tokens;  // known so far: the prompt, then what was generated
  int length = 0;           // prompt and output
  int done = 0;             // positions whose row has run
  bool active = false;

  // Lengths spread over two orders of magnitude, as users' are.
  void start(std::mt19937_64 &random, const Limits &limits) {
    std::uniform_real_distribution<double> share(-4.5, 0);
    const int prompt = 1 + static_cast<int>(std::exp2(share(random)) * (limits.longest - 130));
    length = prompt + 1 + static_cast<int>(random() % 128);
    tokens.clear();
    for (int i = 0; i < prompt; ++i) tokens.push_back(static_cast<int>(random() % 1024));
    done = 0;
    active = true;
  }

  int rows_ready() const { return static_cast<int>(tokens.size()) - done; }
  bool finished() const { return done == length; }
};

}  // namespace engine

// What a hybrid call did when, from the lines that the library logs (DSA_LOG=stages).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench::routes {

// Milliseconds since the call's begin.
struct Stage {
  std::string name;  // score, copy, select, cut, attend
  int64_t chunk, first_row, end_row;
  double begin, end;
};

struct StagesOfCall {
  std::vector<Stage> stages;
  int64_t shipped_bytes = -1;  // to the CPU; -1: not said

  int64_t chunks() const;
  double span() const;                         // from the first begin to the last end
  double busy(const std::string& name) const;  // sum over chunks
  // How many stages run at once on average: the sum of their times over the span.
  double overlap() const;
};

// Lines of one call; others are passed over. Throws std::runtime_error for a line of stages that it
// cannot read.
StagesOfCall read_stages(const std::vector<std::string>& lines);

}  // namespace bench::routes

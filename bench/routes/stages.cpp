#include "routes/stages.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace bench::routes {

int64_t StagesOfCall::chunks() const {
  int64_t most = 0;
  for (const Stage& stage : stages) most = std::max(most, stage.chunk + 1);
  return most;
}

double StagesOfCall::span() const {
  if (stages.empty()) return 0;
  double begin = stages[0].begin, end = stages[0].end;
  for (const Stage& stage : stages) {
    begin = std::min(begin, stage.begin);
    end = std::max(end, stage.end);
  }
  return end - begin;
}

double StagesOfCall::busy(const std::string& name) const {
  double sum = 0;
  for (const Stage& stage : stages) {
    if (stage.name == name) sum += stage.end - stage.begin;
  }
  return sum;
}

double StagesOfCall::overlap() const {
  double sum = 0;
  for (const Stage& stage : stages) sum += stage.end - stage.begin;
  return span() > 0 ? sum / span() : 0;
}

StagesOfCall read_stages(const std::vector<std::string>& lines) {
  StagesOfCall call;
  for (const std::string& line : lines) {
    if (line.rfind("stages: ", 0) != 0) continue;
    Stage stage;
    char route[32], name[16];
    long long chunk, first, end, shipped;
    if (std::sscanf(line.c_str(), "stages: %31s chunk %lld rows %lld..%lld %15s %lf %lf", route,
                    &chunk, &first, &end, name, &stage.begin, &stage.end) == 7) {
      stage.name = name;
      stage.chunk = chunk;
      stage.first_row = first;
      stage.end_row = end;
      call.stages.push_back(std::move(stage));
    } else if (std::sscanf(line.c_str(), "stages: %31s shipped %lld bytes", route, &shipped) == 2) {
      call.shipped_bytes = shipped;
    } else {
      throw std::runtime_error("cannot read the line \"" + line + "\"");
    }
  }
  return call;
}

}  // namespace bench::routes

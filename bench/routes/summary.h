// What a sweep says in a few lines.
#pragma once

#include <vector>

#include "report.h"

namespace bench::routes {

class Summary {
 public:
  void add(const std::vector<Record>& records_of_point);
  void print(const Context& context) const;

 private:
  std::vector<std::vector<Record>> points_;
};

}  // namespace bench::routes

// Times of other libraries, from a CSV file, beside ours.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "report.h"

namespace bench {

// A column whose name ends in _us holds times; the others that are columns of a record (op, rows,
// n, k, heads, ...) say which record a line is for, and what is no column of a record is a remark.
// An empty cell says nothing. Without a column op the file is about dsa_topk on random f32 scores;
// without a column timing its times are warm ones, those of names that end in _cold cold ones.
class Peers {
 public:
  void read(const std::string& path);  // adds a file; throws std::invalid_argument

  // Names of the columns of times, without _us.
  const std::vector<std::string>& names() const { return names_; }
  // Adds "to_<name>", their time over ours, of each name that the file has a time for.
  void compare(Record& record) const;

 private:
  struct Line {
    std::map<std::string, std::string> keys;
    std::map<std::string, double> times;
  };
  std::vector<std::string> names_;
  std::vector<Line> lines_;
};

}  // namespace bench

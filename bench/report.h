// A record is one measured case. Records become a table, a CSV file and a JSON file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "context.h"
#include "measure.h"
#include "roofs.h"

namespace bench {

using Record = nlohmann::ordered_json;

// The columns of the CSV file, in order; a field that a record lacks stays empty.
//   threads       of the CPU
//   timing        of a GPU: warm, cold, burst or sustained, see cuda/device.h
//   rows, n, k    queries, keys (columns of a top-k), selected a row
//   calls         calls in a sample
//   bytes, flop   the fewest that a call must move and compute: every input and output byte once
//   gb_s, gflop_s at the median;  mem_roof, flop_roof: over the roofs of the same run (bytes that
//                 stay in a cache can pass the memory roof)
//   to_maximum    time over that of a vectorised maximum of the same row, by turns, minimum to
//                 minimum
//   to_NAME       with peers: the time of NAME (a column NAME_us of the file) over the median
//   check         ok: a sample of the result agrees with a plain computation; FAILED; -: not looked
const std::vector<std::string>& columns();

// Fills the timing, the rates and, where `roofs` were measured, the shares of them.
void set_timing(Record& record, const Timing& timing, double bytes, double flop,
                const Roofs* roofs);

class Report {
 public:
  // Names of peers that records may have a "to_<name>" of; a column each.
  void set_peers(std::vector<std::string> names) { peers_ = std::move(names); }
  // Columns of the CSV file behind those that every command has.
  void set_extra_columns(std::vector<std::string> names) { extra_ = std::move(names); }
  void add(Record record) { records_.push_back(std::move(record)); }
  bool any_failed() const;
  void print_table() const;
  // How often, and the geometric mean and the least of each peer's ratio.
  void print_ratios() const;
  void write_csv(const std::string& path) const;
  void write_json(const std::string& path, const nlohmann::ordered_json& head) const;

 private:
  std::vector<std::string> peers_, extra_;
  std::vector<Record> records_;
};

}  // namespace bench

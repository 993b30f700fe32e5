// dsa-bench routes: every route of dsa_forward over the experiment's shapes and longer ones.
#pragma once

#include <string>
#include <vector>

#include "cases.h"
#include "routes/case.h"

namespace bench::routes {

struct SweepOptions {
  std::vector<int64_t> batches, lengths, ks;  // empty: the grid
  bool quick = false;                         // a few small points
  std::vector<double> gpu_busy;               // declared to the library, and so; empty: 0
  bool host_tensors = false;                  // also where there is a device
  std::string timeline;                       // CSV of the stages of every hybrid call
};

// Points with k <= T. The grid is the experiment's (T to 512), and goes on to T = 8192 with fewer
// requests.
std::vector<Point> points_of(const SweepOptions& options);

// Runs the sweep, prints its summary and writes `csv` (if given). False: a result was wrong.
struct Output {
  std::string csv, json, command;
  std::vector<std::string> peers;
  bool quiet = false;
};
bool run_sweep(const ContextSpec& spec, const SweepOptions& sweep, const Settings& settings,
               const Output& output);

// dsa-bench tune: dsa_tune with progress on stderr; prints the file's name and content.
void run_tune(const ContextSpec& spec, const std::string& path, bool quiet);

}  // namespace bench::routes

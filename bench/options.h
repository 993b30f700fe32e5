// The command line.
#pragma once

#include <string>
#include <vector>

#include "cases.h"
#include "routes/sweep.h"

namespace bench {

struct Options {
  ContextSpec context;
  Settings settings;
  bool roofs = true;
  double roof_time = 0.1;  // seconds for each loop
  std::string device = "cpu";
  std::vector<std::string> timings = {"warm"};
  std::vector<DeviceMode> device_modes;  // the timings
  std::vector<std::string> peers;        // CSV files of other libraries' times
  bool roofs_only = false;
  bool quiet = false;
  std::string csv, json;
  std::vector<std::string> suite;  // groups; empty: `jobs` are given by shapes
  std::vector<Job> jobs;
  enum class Command { kJobs, kRoutes, kTune } command = Command::kJobs;
  routes::SweepOptions sweep;
  std::string tune_path;
};

// False: the command is done (help, a list) or the command line is wrong (`exit_code` 2, one line
// on stderr).
bool parse(int argc, char** argv, Options& options, int& exit_code);

}  // namespace bench

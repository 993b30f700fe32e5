// One point of the sweep: every route by turns, checked, its stages looked at.
#pragma once

#include <string>
#include <vector>

#include "cases.h"
#include "report.h"
#include "routes/case.h"

namespace bench::routes {

struct PointSetup {
  const Context& context;
  // Contexts that log the stages of hybrid calls, as they overlap, and each alone; NULL without a
  // device.
  const Context* overlapped;
  const Context* alone;
  const Settings& settings;
  double gpu_busy;  // declared to the library; so much of a device is taken while routes are timed
  bool host_tensors;  // the tensors of all routes lie in host memory
};

// One record a route, and `auto`'s last. Appends the stages of hybrid calls to `timeline`, as lines
// below kTimelineHead.
inline constexpr const char* kTimelineHead =
    "kernel,batch,n,k,chunk,first_row,end_row,stage,begin_ms,end_ms";
std::vector<Record> run_point(const PointSetup& setup, Tensors& tensors, std::string& timeline);

}  // namespace bench::routes

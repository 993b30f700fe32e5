// The shapes by which the GPU's kernels are judged, in one run.
#pragma once

#include <string>
#include <vector>

#include "cases.h"

namespace bench {

// Names of the groups, in the order they run.
const std::vector<std::string>& device_suite_groups();
std::vector<Job> device_suite_jobs(const std::vector<std::string>& groups,
                                   const ContextSpec& context);

}  // namespace bench

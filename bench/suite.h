// The shapes by which a release is judged, in one run.
#pragma once

#include <string>
#include <vector>

#include "cases.h"

namespace bench {

// Names of the groups, in the order they run.
const std::vector<std::string>& suite_groups();

// `isa_found` says whether kernels below the best one are worth timing apart.
std::vector<Job> suite_jobs(const std::vector<std::string>& groups, const ContextSpec& base,
                            const std::string& isa_found);

}  // namespace bench

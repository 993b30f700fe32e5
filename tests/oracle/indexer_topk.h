// What dsa_indexer_topk may give: its scores are f32, so near the cut either of two keys may be
// right; whether it equals the two-step form bit for bit is tested apart.
#pragma once

#include <string>

#include "dsa.h"

namespace oracle {

std::string check_indexer_topk(const dsa_indexer_topk_desc& d, double product_unit = 0);

}  // namespace oracle

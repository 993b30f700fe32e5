// dsa_sparse_attn and dsa_merge_lse in double, and how far kernels may be from them.
#pragma once

#include <string>
#include <vector>

#include "oracle/rows.h"

namespace oracle {

// `p_unit`: rounding of P: 0 for kernels that keep it in f32, 2^-9 for bf16.
std::string check_sparse_attn(const dsa_sparse_attn_desc& d, double p_unit);
// Where the keys lie that any row reads in scope 0 or 1: indices on the cache's leading axes.
std::vector<std::vector<int64_t>> read_places(const dsa_sparse_attn_desc& d, int scope);

std::string check_merge_lse(const dsa_merge_lse_desc& d);

}  // namespace oracle

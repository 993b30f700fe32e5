// Which keys dsa_topk must select, and how it must write them.
#pragma once

#include <string>
#include <vector>

#include "oracle/rows.h"

namespace oracle {

struct Candidate {
  int64_t key;
  double score;
  int64_t column;
};

struct Selected {
  std::vector<Candidate> keys;  // in the order of the outputs
  double cut_score;
  int64_t cut_index;
};

// Of candidates in ascending key order. `order`: DSA_ORDER_...
Selected select(std::vector<Candidate> candidates, int32_t k, bool select_neg_inf, int32_t order);

// "" or the first difference between the descriptor's outputs and what they must be.
std::string check_topk(const dsa_topk_desc& d);

}  // namespace oracle

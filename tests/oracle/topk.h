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

// Not NaN, and -inf only where it counts as a number.
bool selectable(double score, uint64_t flags);

// Of selectable candidates in ascending key order. `order`: DSA_ORDER_...
Selected select(std::vector<Candidate> candidates, int32_t k, int32_t order);

// Whether the keys stand in the order that the field asks for.
bool in_order(const std::vector<Candidate>& keys, int32_t order);

// "" or the first difference between the descriptor's outputs and what they must be.
std::string check_topk(const dsa_topk_desc& d);

}  // namespace oracle

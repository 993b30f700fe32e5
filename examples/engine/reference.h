#pragma once
// The formulas of dsa.h in double over all tokens of a request, without the cache: what a step's
// row must be.

#include <cstdint>
#include <vector>

#include "model.h"

namespace engine {

struct Verdict {
  bool selection = false;  // exactly the best keys, none twice
  double error = 0;        // of the output, relative to its largest value
};

class Reference {
 public:
  // Its memory is taken here: what is watched is the library's and the engine's.
  explicit Reference(int longest);

  // The row of the token at `position`: slots [count] lie in pages of kv_table; out [H, Dv].
  Verdict check(const std::vector<int> &tokens, int position, const int32_t *kv_table,
                const int32_t *slots, int count, const float *out);

 private:
  struct Token {
    Bf16 kv[Shape::kDim];
    Bf16 index_key[Shape::kIndexDim];
  };
  struct Query {
    Bf16 q[Shape::kHeads][Shape::kDim];
    Bf16 index_q[Shape::kIndexHeads][Shape::kIndexDim];
    float index_w[Shape::kIndexHeads];
  };

  double index_score(const Token &token) const;
  bool find_positions(const int32_t *kv_table, const int32_t *slots, int count);
  bool are_best();
  double error_of(const float *out) const;

  Query query_;
  std::vector<Token> tokens_;  // up to the row's own
  std::vector<double> scores_, sorted_;
  std::vector<char> selected_;  // of each token
};

}  // namespace engine

// A form: one way of selecting rows. Operations that select what they have just scored give it a
// range of rows; a call of dsa_topk is all of them.
#pragma once

#include "cuda/kernel.h"

namespace dsa::cuda::topk {

// Rows keep their number in the whole call: visibility and outputs go by it.
struct TopkCall {
  TopkParams p;
  int64_t first_row;
  int64_t row_count;
};

inline TopkCall whole_call(const TopkParams& p) { return {p, 0, p.rows.count}; }

struct Form {
  int32_t min_capability;
  const char* (*refuse)(const TopkCall&);
  uint64_t (*workspace)(const TopkCall&, int32_t multiprocessors);
  cudaError_t (*launch)(const TopkCall&, const Run&);
  cudaError_t (*load)();
  int32_t max_capability = 0;  // 0: all later ones

  bool runs_on(int32_t compute_capability) const {
    return compute_capability >= min_capability &&
           (max_capability == 0 || compute_capability <= max_capability);
  }
};

extern const Form kWarp;       // dense rows up to 2048
extern const Form kRegisters;  // dense rows up to 32K, a block each
extern const Form kCluster;    // few long dense rows, a cluster each
extern const Form kSplit;      // few long dense rows, several blocks each
extern const Form kGated;      // dense rows, a block each
extern const Form kBlock;      // any call

inline uint64_t no_workspace(const TopkCall&, int32_t) { return 0; }

}  // namespace dsa::cuda::topk

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
};

extern const Form kWarp;       // dense rows up to 2048, a warp each
extern const Form kRegisters;  // dense rows up to 16K, a block each
extern const Form kCluster;    // few dense rows, a cluster each
extern const Form kGated;      // dense rows, a block each
extern const Form kBlock;      // any call

inline uint64_t no_workspace(const TopkCall&, int32_t) { return 0; }

// Most dynamic shared memory of a block on the current device.
inline cudaError_t most_shared_bytes(int32_t& bytes) {
  int device = 0;
  const cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  return cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
}

// What all forms but kBlock ask for: contiguous unmasked scores, a selection in index order that
// fits into shared memory.
inline const char* refuse_but_dense(const TopkCall& c, int32_t largest_k) {
  const TopkParams& p = c.p;
  if (p.scores.stride[0] != 1 && p.scores.extent[0] > 1) return "scores that are not contiguous";
  if (p.rows.mask.given()) return "a mask";
  if (p.select.order == DSA_ORDER_SCORE && !p.select.cut_only()) return "DSA_ORDER_SCORE";
  if (p.select.k > largest_k) return "k above what fits into shared memory";
  return nullptr;
}

}  // namespace dsa::cuda::topk

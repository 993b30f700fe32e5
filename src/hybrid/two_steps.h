// Routes that run two kernels of one device after each other: the fused selection, then attention.
#pragma once

#include "core/pick.h"
#include "hybrid/route.h"

namespace dsa {

// What `select` hands to `attend` beside the caller's own outputs, for some rows of a call: indices
// where the caller asked for none, and counts, without which an index of -1 past them could stand
// for a key (index_base).
class PassedOn {
 public:
  explicit PassedOn(const ForwardCall& call);
  // Of `rows` rows.
  uint64_t bytes(int64_t rows) const { return index_bytes(rows) + count_bytes(rows); }
  // Says so in both; row `first` of the call is the first of `rows` in memory.
  void place(char* memory, int64_t first, int64_t rows, SelectParams& select,
             AttnScope& attend) const;

 private:
  uint64_t index_bytes(int64_t rows) const;
  uint64_t count_bytes(int64_t rows) const;

  int64_t width_ = 0;  // of indices: k, or all keys that a row can see; 0: the caller's
  bool counts_;
};

struct TwoSteps {
  const Kernel* select;
  const Kernel* attend;
  // The parameters of the two with the selection's way between them.
  IndexerTopkParams selected;
  SparseAttnParams attended;
  PassedOn passed;
  uint64_t passed_bytes;  // of scratch indices and counts, before the kernels' shared workspace
  uint64_t bytes;         // of all workspace

  // Throws DSA_ERROR_UNSUPPORTED where no kernel takes one of the steps.
  TwoSteps(const dsa_ctx& ctx, const ForwardCall& call);

  // Says where the scratch memory is, once there is a workspace.
  void place(char* workspace);
};

// The text of that error; "" where there is none.
std::string refuse_two_steps(const dsa_ctx& ctx, const ForwardCall& call);

}  // namespace dsa

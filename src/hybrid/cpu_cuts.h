// The CPU's part of a hybrid call: the cut of each row.
#pragma once

#include <string>

#include "core/context.h"
#include "hybrid/chunks.h"

namespace dsa {

// Why the context has no CPU selection for such calls; "" when it has.
std::string refuse_cuts(const dsa_ctx& ctx);

class CutFinder {
 public:
  // `filtered`: few of a row's scores are there.
  CutFinder(dsa_ctx& ctx, const ForwardCall& call, const Chunks& chunks, bool filtered,
            void* parallel_user);

  // How many lanes find cuts, each of so many rows at a time. One: of little work, or of rows that
  // are few and long, which are divided among the context's threads, chunk by chunk.
  int32_t lanes() const { return plan_.lanes; }
  int64_t turn_rows() const { return plan_.turn_rows; }

  // Of rows [begin, end) of the call, whose chunk lies in the slot.
  void find(int32_t lane, const PinnedSlot& slot, const Chunk& chunk, int64_t begin,
            int64_t end) const;

 private:
  struct Plan {
    int32_t lanes;
    int64_t turn_rows;
    bool divides;  // find() runs on the context's threads
    const Kernel* kernel;
    uint64_t lane_bytes;  // of workspace
  };
  static Plan make_plan(const dsa_ctx& ctx, const SelectParams& select, const Chunks& chunks,
                        bool filtered);

  const SelectParams& select_;
  const Plan plan_;
  const Parallel one_lane_{1, nullptr, nullptr};
  const Parallel& context_lanes_;
  void* const parallel_user_;
  const WorkspacePool::Lease workspace_;
};

}  // namespace dsa

#include "hybrid/cpu_cuts.h"

#include <algorithm>
#include <exception>

#include "core/error.h"

namespace dsa {
namespace {

// One number of every struct of an array, as a tensor [rows].
RowTensor column_of(void* first, int64_t stride, int32_t dtype) {
  RowTensor t;
  t.data = static_cast<char*>(first);
  t.dtype = dtype;
  t.bytes = 4;
  t.row_stride = stride;
  return t;
}

Call cuts_call(const TopkParams& p) {
  CallDevice device;
  device.type = DSA_DEVICE_CPU;
  return {DSA_OP_TOPK, device, &p};
}

// The context's threads, of which one does something else first.
class Team {
 public:
  Team(const Parallel& parallel, void* parallel_user, const std::function<void()>& meanwhile)
      : parallel_(parallel), parallel_user_(parallel_user), meanwhile_(meanwhile) {}

  Parallel as_parallel() { return Parallel(parallel_.max_lanes(), run, this); }

  // Where there was no parallel region; and what it threw.
  void finish() {
    if (!done_) once();
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  struct Region {
    Team& team;
    dsa_parallel_body body;
    void* arg;
  };
  static void run(void* user, int64_t count, dsa_parallel_body body, void* arg) {
    Team& team = *static_cast<Team*>(user);
    Region region{team, body, arg};
    team.parallel_.run(
        static_cast<int32_t>(count), team.parallel_user_,
        [](void* of, int64_t lane) {
          const Region& r = *static_cast<Region*>(of);
          if (lane == 0) r.team.once();
          r.body(r.arg, lane);
        },
        &region);
  }
  // Nothing may be thrown through a parallel region.
  void once() noexcept {
    if (done_) return;
    done_ = true;
    try {
      meanwhile_();
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }

  const Parallel& parallel_;
  void* parallel_user_;
  const std::function<void()>& meanwhile_;
  bool done_ = false;
  std::exception_ptr thrown_;
};

}  // namespace

std::string refuse_cuts(const dsa_ctx& ctx) {
  TopkParams p;
  p.select.k = 1;
  try {
    pick_kernel(ctx, cuts_call(p));
    return "";
  } catch (const Error& error) {
    return std::string("on the CPU: ") + error.text;
  }
}

void find_cuts(dsa_ctx& ctx, const PinnedSlot& slot, int64_t rows, const SelectParams& select,
               void* parallel_user, const std::function<void()>& meanwhile) {
  int32_t longest = 0;
  for (int64_t i = 0; i < rows; ++i) {
    longest = std::max(longest, slot.shipped[i].end - slot.shipped[i].begin);
  }
  TopkParams p;
  // All rows lie in one row of scores, each a range of it.
  p.scores = column_of(slot.scores, 0, DSA_F32);
  p.scores.extent[0] = *slot.total;
  p.scores.stride[0] = 1;
  p.rows.count = p.rows.per_request = rows;
  p.rows.by = VisibleBy::kRange;
  p.rows.key_limit = p.rows.columns = *slot.total;
  p.rows.max_keys = std::max(longest, 1);
  p.rows.row_begin = column_of(&slot.shipped->begin, sizeof(ShippedRow), DSA_I32);
  p.rows.row_end = column_of(&slot.shipped->end, sizeof(ShippedRow), DSA_I32);
  p.select.k = select.k;
  p.select.select_neg_inf = select.select_neg_inf;
  p.select.cut_score = column_of(&slot.cuts->score, sizeof(Cut), DSA_F32);
  p.select.cut_index = column_of(&slot.cuts->place, sizeof(Cut), DSA_I32);
  const Kernel& kernel = pick_kernel(ctx, cuts_call(p));
  const WorkspacePool::Lease lease(ctx.workspaces, kernel.workspace(&p, ctx.lanes_of(kernel)));
  Team team(ctx.parallel, parallel_user, meanwhile);
  const Parallel parallel = team.as_parallel();
  Run run;
  run.parallel = &parallel;
  run.workspace = lease.data();
  kernel.launch(&p, run);
  team.finish();
}

}  // namespace dsa

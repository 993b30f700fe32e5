#include "hybrid/cpu_cuts.h"

#include <algorithm>

#include "core/error.h"
#include "core/pick.h"

namespace dsa {
namespace {

// Rows from this length on are worth dividing among threads, where there are fewer than those.
constexpr int64_t kDividedRow = 32768;
// A turn takes some microseconds: long against the counter that all lanes share, short against a
// chunk.
constexpr int64_t kMostTurnRows = 8;
// What one core has read lies in its cache when the next copy writes there, and a core gives its
// lines up slowly: a copy over turns of 40 KiB takes 1.45 times as long as one over turns of 16
// (H200, Sapphire Rapids: 35 GB/s and 50), whose neighbours are other cores'.
constexpr int64_t kMostTurnBytes = 16384;
constexpr int64_t kTurnsOfLane = 4;             // of a chunk, so that lanes end together
constexpr double kRowNs = 150, kScoreNs = 0.3;  // about, on one core
constexpr double kLeastNs = 6000;               // of work that is worth more than one lane

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

Chunk largest(const Chunks& chunks) {
  Chunk most;
  for (int64_t c = 0; c < chunks.count(); ++c) {
    most.rows = std::max(most.rows, chunks[c].rows);
    most.longest = std::max(most.longest, chunks[c].longest);
  }
  return most;
}

// Of so many rows of a chunk, without the tensors.
TopkParams params_of(const SelectParams& select, const Chunk& chunk, int64_t rows) {
  TopkParams p;
  p.rows.count = p.rows.per_request = rows;
  p.rows.by = VisibleBy::kRange;
  p.rows.max_keys = std::max<int64_t>(chunk.longest, 1);
  p.rows.key_limit = p.rows.columns = chunk.room();
  p.select.k = select.k;
  p.select.select_neg_inf = select.select_neg_inf;
  return p;
}

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

CutFinder::Plan CutFinder::make_plan(const dsa_ctx& ctx, const SelectParams& select,
                                     const Chunks& chunks, bool filtered) {
  const Chunk most = largest(chunks);
  const int32_t threads = ctx.parallel.max_lanes();
  const int64_t rows = chunks[chunks.count() - 1].end();
  Plan plan;
  plan.divides = most.longest >= kDividedRow && most.rows < 2 * threads;
  plan.lanes = plan.divides
                   ? 1
                   : ctx.parallel.lanes_for(
                         double(rows) * (kRowNs + kScoreNs * double(most.longest)), kLeastNs);
  int64_t turn = std::min(kMostTurnRows, most.rows / (kTurnsOfLane * threads));
  if (!filtered) turn = std::min(turn, kMostTurnBytes / (4 * std::max<int64_t>(most.longest, 1)));
  plan.turn_rows = plan.divides ? most.rows : std::max<int64_t>(turn, 1);
  const TopkParams p = params_of(select, most, plan.turn_rows);
  plan.kernel = &pick_kernel(ctx, cuts_call(p));
  const uint64_t bytes = plan.kernel->workspace(&p, plan.divides ? threads : 1);
  plan.lane_bytes = (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
  return plan;
}

CutFinder::CutFinder(dsa_ctx& ctx, const ForwardCall& call, const Chunks& chunks, bool filtered,
                     void* parallel_user)
    : select_(call.select.select),
      plan_(make_plan(ctx, select_, chunks, filtered)),
      context_lanes_(ctx.parallel),
      parallel_user_(parallel_user),
      workspace_(ctx.workspaces, static_cast<uint64_t>(plan_.lanes) * plan_.lane_bytes) {}

void CutFinder::find(int32_t lane, const PinnedSlot& slot, const Chunk& chunk, int64_t begin,
                     int64_t end) const {
  TopkParams p = params_of(select_, chunk, end - begin);
  // All rows lie in one row of scores, each a range of it.
  p.scores = column_of(slot.scores, 0, DSA_F32);
  p.scores.extent[0] = p.rows.columns;
  p.scores.stride[0] = 1;
  ShippedRow* const shipped = slot.shipped + (begin - chunk.first);
  Cut* const cuts = slot.cuts + (begin - chunk.first);
  p.rows.row_begin = column_of(&shipped->begin, sizeof(ShippedRow), DSA_I32);
  p.rows.row_end = column_of(&shipped->end, sizeof(ShippedRow), DSA_I32);
  p.select.cut_score = column_of(&cuts->score, sizeof(Cut), DSA_F32);
  p.select.cut_index = column_of(&cuts->place, sizeof(Cut), DSA_I32);
  Run run;
  run.parallel = plan_.divides ? &context_lanes_ : &one_lane_;
  run.parallel_user = parallel_user_;
  run.workspace = workspace_.data() + static_cast<uint64_t>(lane) * plan_.lane_bytes;
  plan_.kernel->launch(&p, run);
}

}  // namespace dsa

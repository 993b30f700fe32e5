// What a forward call costs by each route: the shape of the call over the machine's constants.
// Nothing of the moment enters, so that the same call takes the same route every time.
#pragma once

#include "core/params.h"
#include "hybrid/tune.h"

namespace dsa {

// A call as the cost model sees it: host-side extents only. Sums are over all rows.
struct ForwardShape {
  double rows = 0;
  double visible = 0;   // keys that rows see; a capacity where only the device knows lengths
  double longest = 0;   // most keys that one row can see
  double selected = 0;  // keys that top-k selects
  double attended = 0;  // keys that attention reads: blocks and the second scope included
  double index_flop = 0, attend_flop = 0;  // multiply-adds count 2
  bool shared_kv = false;                  // one KV row serves all heads
  DtypeClass index_class = kClassF32, attend_class = kClassF32;
  double input_bytes = 0, output_bytes = 0;  // what moves when the tensors lie on the other side
  double copies = 0;                         // in so many pieces
  bool on_device = false;                    // where the tensors lie
  double chunks = 1;                         // of the hybrid routes
};

// Without the bytes that move: those are the staging's to say.
ForwardShape shape_of(const IndexerTopkParams& select, const SparseAttnParams& attend,
                      bool on_device);

// What the caller declares and the context has.
struct ForwardLoad {
  int32_t lanes = 1;    // CPU threads of the context
  double gpu_busy = 0;  // share of the GPU that other work takes
};

// The stages of a hybrid call, all chunks together; seconds.
struct HybridStages {
  double score = 0, copy = 0, select = 0, attend = 0;
};
HybridStages hybrid_stages(const Tune& tune, const ForwardShape& shape, bool prefilter,
                           const ForwardLoad& load);

// Seconds until the caller has the result, by `route` (DSA_ROUTE_GPU, ...).
double predict(const Tune& tune, const ForwardShape& shape, int32_t route, const ForwardLoad& load);

}  // namespace dsa

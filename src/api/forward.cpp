// dsa_forward: reserved. The descriptor is checked, so that callers find their mistakes today.
#include "api/dispatch.h"

dsa_status dsa_forward(dsa_ctx* ctx, const dsa_forward_desc* desc, const dsa_exec*) {
  using namespace dsa;
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "forward: ctx is NULL");
    check_descriptor("forward", desc, DSA_OP_FORWARD);
    check_flags("forward", desc->flags, 0);
    if (desc->route < DSA_ROUTE_AUTO || desc->route > DSA_ROUTE_HYBRID_PREFILTER) {
      fail(DSA_ERROR_INVALID, "forward.route is %d, must be 0 to 4", desc->route);
    }
    if (!(desc->gpu_busy >= 0.0f && desc->gpu_busy <= 1.0f)) {
      fail(DSA_ERROR_INVALID, "forward.gpu_busy is %g, must be 0 to 1",
           static_cast<double>(desc->gpu_busy));
    }
    fail(DSA_ERROR_UNSUPPORTED,
         "forward: reserved in this version; call dsa_indexer_topk and dsa_sparse_attn");
  });
}

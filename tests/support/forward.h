// Random calls of dsa_forward, and what every route of them must give.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/cases.h"

namespace support {

struct ForwardCase {
  explicit ForwardCase(uint64_t seed)
      : random(seed), arena(random, guard_share(seed)), seed(seed) {}
  Random random;
  Arena arena;
  dsa_indexer_topk_desc select{};
  dsa_sparse_attn_desc attend{};
  uint64_t seed;
  dsa_forward_desc desc(int32_t route) const;
};

// `rows`: about as many query rows.
std::unique_ptr<ForwardCase> draw_forward(uint64_t seed, int64_t rows = 8);

std::string describe(const ForwardCase& c);

// Runs the call on tensors that lie where the context's kernels want them: as they are, said to be
// on the device (a device whose memory is the host's), or copied there and back.
struct Where {
  enum Kind { kHost, kSaidOnDevice, kCopied } kind = kHost;
  void (*finish)() = nullptr;  // waits for what a call has enqueued; kSaidOnDevice
};
dsa_status run_forward(dsa_ctx* ctx, const ForwardCase& c, int32_t route, Where where,
                       const dsa_exec* exec = nullptr);

// Runs the call by a route, and dsa_indexer_topk on the same context; "" when the outputs of
// `select` have the same bits as there, those of `attend` are what the oracle says of that
// selection, no input was changed and nothing outside of the outputs was.
std::string judge_forward(dsa_ctx* ctx, ForwardCase& c, int32_t route, Where where,
                          const dsa_exec* exec = nullptr);
// The second half of it, for outputs of a call that has been made.
std::string judge_outputs(dsa_ctx* ctx, ForwardCase& c, Where where);

}  // namespace support

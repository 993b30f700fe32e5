// dsa_tune: checks, then measures.
#include "api/descriptor.h"
#include "api/guard.h"

dsa_status dsa_tune(dsa_ctx* ctx, const dsa_tune_options* options) {
  using namespace dsa;
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "tune: ctx is NULL");
    if (options) {
      check_struct_size("tune_options", options, options->struct_size, sizeof(dsa_tune_options));
      if (options->flags != 0) {
        fail(DSA_ERROR_INVALID, "tune_options.flags is 0x%x, none is defined", options->flags);
      }
    }
    fail(DSA_ERROR_UNSUPPORTED, "tune: not in this version");
  });
}

// dsa_tune: checks, measures, writes the file, and gives the context its constants.
#include "api/descriptor.h"
#include "api/guard.h"
#include "hybrid/measure.h"

dsa_status dsa_tune(dsa_ctx* ctx, const dsa_tune_options* options) {
  using namespace dsa;
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "tune: ctx is NULL");
    TunePath where = ctx->tune_path;
    std::function<void(double, const char*)> progress;
    if (options) {
      check_struct_size("tune_options", options, options->struct_size, sizeof(dsa_tune_options));
      if (options->flags != 0) {
        fail(DSA_ERROR_INVALID, "tune_options.flags is 0x%x, none is defined", options->flags);
      }
      if (options->path) where = {options->path, false};
      if (options->progress) {
        progress = [options](double done, const char* what) {
          options->progress(options->progress_user, done, what);
        };
      }
    }
    // Seconds of measuring are not spent on what cannot be kept.
    check_writable(where);
    const Tune tune = measure_machine(*ctx, progress);
    save_tune(where, ctx->machine, tune);
    ctx->tune.set(tune, "constants of " + where.path);
  });
}

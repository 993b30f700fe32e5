// An inference engine's use of libdsa, without the model: paged caches, continuous batching of
// requests of different lengths, several threads on one context. Checks its results now and then,
// and that its memory stays as it is.

#include <dsa.h>

#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "cache.h"
#include "options.h"
#include "report.h"
#include "worker.h"

namespace {

void print_help() {
  std::puts(
      "usage: paged_engine [options]\n"
      "\n"
      "  --steps N    steps of all workers together (10000)\n"
      "  --workers N  threads that each run a batch of requests (4)\n"
      "  --threads N  libdsa's threads a call (0: its choice)\n"
      "  --tokens N   of the paged cache that all requests share (8192)\n"
      "  --damage     keep wrong keys: the checks must fail\n"
      "\n"
      "Exit codes: 0 fine, 1 a check failed or memory grew, 2 usage.");
}

bool run(const engine::Options &options) {
  dsa_ctx_options ctx_options = {};
  ctx_options.struct_size = sizeof ctx_options;
  ctx_options.num_threads = options.threads;
  dsa_ctx *made = nullptr;
  if (dsa_ctx_create(&ctx_options, &made) != DSA_OK) {
    std::printf("failed: %s\n", dsa_last_error());
    return false;
  }
  const std::unique_ptr<dsa_ctx, void (*)(dsa_ctx *)> ctx(made, dsa_ctx_destroy);

  engine::Cache cache(options.tokens, options.damage);
  engine::Report report(options.steps);
  const engine::Limits limits;
  std::vector<std::thread> threads;
  for (int i = 0; i < options.workers; ++i) {
    threads.emplace_back([&, i] {
      try {
        engine::Worker(i, ctx.get(), cache, limits, report).run();
      } catch (const std::exception &error) {
        report.fail(error.what());
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  if (!cache.index_pool.all_free() || !cache.kv_pool.all_free()) report.fail("pages were lost");
  return report.conclude();
}

}  // namespace

int main(int argc, char **argv) {
  engine::Options options;
  if (!engine::parse(argc, argv, options)) return 2;
  if (options.help) {
    print_help();
    return 0;
  }
  return run(options) ? 0 : 1;
}

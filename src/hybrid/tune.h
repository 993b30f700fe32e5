// The constants behind dsa_forward's `auto`: measured once a machine by dsa_tune, kept in a file
// that people can read.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace dsa {

// What decides a matrix product's rate. f16 and bf16 are one class; whatever mixes classes runs at
// the rate of f32.
enum DtypeClass : int32_t { kClassF32, kClass16Bit, kClassFp8, kDtypeClasses };

// Work done in so many operations on so many items takes flops / flop + items / item seconds: the
// second part is what does not shrink with the head dim.
struct WorkRate {
  double flop;
  double item;
  double seconds(double flops, double items) const { return flops / flop + items / item; }
};

// One side, the CPU or the GPU. Rates are per second.
struct SideRates {
  double call = 0;                              // s: a call of this side's route, at the least
  std::array<WorkRate, kDtypeClasses> index{};  // items: scores
  // flop/s of attention: one KV row for all heads (MLA), and keys and values of each head's own.
  std::array<double, kDtypeClasses> attend_shared{}, attend_apart{};
  double select_score = 0, select_row = 0, select_kept = 0;  // top-k with indices
};

// Between the two, and what only the hybrid routes do.
struct HybridRates {
  double down = 0, up = 0;                    // bytes/s from the GPU to pinned memory, and back
  double pageable_down = 0, pageable_up = 0;  // the same, of ordinary memory
  double copy = 0;                            // s: another small copy to or from it
  double latency = 0;                         // s: a small copy, and to know that it is there
  double call = 0;                            // s: a hybrid call of one chunk, at the least
  double chunk = 0;                           // s: every further chunk
  double cut_score = 0, cut_row = 0;          // the CPU's top-k that writes cuts alone
  double pack_score = 0;                      // scores/s that the GPU makes ready to be copied
  double take_score = 0;    // shipped scores/s that the GPU holds against the cuts
  double filter_score = 0;  // scores/s that the prefilter reads, and packs what passes
  double filter_kept = 1;   // scores that it ships for each key selected
};

struct Tune {
  double threads = 1;  // of the CPU, when it was measured
  SideRates cpu, gpu;
  HybridRates hybrid;
  bool has_gpu = false;  // else gpu and hybrid say nothing

  // Half of what an H200 and 16 vCPUs beside it reach.
  static Tune built_in();
};

// Calls f(name, unit, value) for every constant, in the file's order.
template <class T, class F>
void each_constant(T& tune, F&& f) {
  static constexpr const char* kClassNames[kDtypeClasses] = {"f32", "16bit", "fp8"};
  f("threads", "CPU threads behind the rates", tune.threads);
  const auto side = [&f](const std::string& name, auto& rates) {
    f(name + ".call", "s", rates.call);
    for (size_t i = 0; i < kDtypeClasses; ++i) {
      const std::string index = name + ".index." + kClassNames[i];
      f(index + ".flop", "flop/s", rates.index[i].flop);
      f(index + ".score", "scores/s", rates.index[i].item);
    }
    f(name + ".select.score", "scores/s", rates.select_score);
    f(name + ".select.row", "rows/s", rates.select_row);
    f(name + ".select.kept", "indices/s", rates.select_kept);
    for (size_t i = 0; i < kDtypeClasses; ++i) {
      const std::string attend = name + ".attend." + kClassNames[i];
      f(attend + ".shared", "flop/s, one KV row for all heads", rates.attend_shared[i]);
      f(attend + ".apart", "flop/s, KV of each head", rates.attend_apart[i]);
    }
  };
  side("cpu", tune.cpu);
  if (!tune.has_gpu) return;
  side("gpu", tune.gpu);
  f("link.down", "bytes/s", tune.hybrid.down);
  f("link.up", "bytes/s", tune.hybrid.up);
  f("link.latency", "s", tune.hybrid.latency);
  f("pageable.down", "bytes/s", tune.hybrid.pageable_down);
  f("pageable.up", "bytes/s", tune.hybrid.pageable_up);
  f("pageable.copy", "s", tune.hybrid.copy);
  f("hybrid.call", "s", tune.hybrid.call);
  f("hybrid.chunk", "s", tune.hybrid.chunk);
  f("hybrid.cut.score", "scores/s, CPU", tune.hybrid.cut_score);
  f("hybrid.cut.row", "rows/s, CPU", tune.hybrid.cut_row);
  f("hybrid.pack.score", "scores/s, GPU", tune.hybrid.pack_score);
  f("hybrid.take.score", "scores/s, GPU", tune.hybrid.take_score);
  f("prefilter.score", "scores/s, GPU", tune.hybrid.filter_score);
  f("prefilter.kept", "scores shipped for each key selected", tune.hybrid.filter_kept);
}

// The file's text. `machine` is one line (hybrid/machine.h).
std::string write_tune(const Tune& tune, const std::string& machine);

// Why the text is not believed ("line 7: ..."), or "". `tune.has_gpu` says which constants must be
// there; on a refusal `tune` is as before.
std::string parse_tune(const std::string& text, const std::string& machine, Tune& tune);

// A context's constants: replaced as a whole by dsa_tune while other threads read them.
class TuneSlot {
 public:
  std::shared_ptr<const Tune> get() const {
    const std::lock_guard lock(mutex_);
    return tune_;
  }
  // Where they are from: "constants of <file>" or "built-in constants (<why>)".
  std::string from() const {
    const std::lock_guard lock(mutex_);
    return from_;
  }
  void set(const Tune& tune, std::string from) {
    auto made = std::make_shared<const Tune>(tune);
    const std::lock_guard lock(mutex_);
    tune_ = std::move(made);
    from_ = std::move(from);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Tune> tune_ = std::make_shared<const Tune>(Tune::built_in());
  std::string from_ = "built-in constants";
};

}  // namespace dsa

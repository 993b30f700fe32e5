#include "demo.h"

#include <dsa.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention.h"
#include "compute.h"
#include "error.h"
#include "files.h"
#include "generate.h"
#include "layers.h"
#include "long_context.h"
#include "model.h"
#include "progress.h"
#include "reference.h"
#include "score.h"
#include "transformer.h"

namespace tinylm {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr int64_t kReferencePositions = 4096;
// Positions at the end of the scored text that are read once more through the cache.
constexpr int64_t kReplayed = 32;

const char *verdict(bool passed) { return passed ? "ok" : "FAILED"; }

class Demo {
 public:
  explicit Demo(const Options &options)
      : options_(options),
        model_(load_model(options.model)),
        config_(model_.config),
        compute_(options.cuda ? cuda_compute() : cpu_compute()),
        attention_(config_, options.topk > 0 ? options.topk : config_.topk, options.threads,
                   options.route, *compute_),
        mode_(options.dense ? AttentionMode::kDense : AttentionMode::kSparse),
        held_out_(read_text(options.model / "held_out.txt")),
        reference_(load_reference(options.model, config_.vocab)),
        tolerance_(tolerance(options.dtype)) {
    if (!options.text.empty()) text_ = read_text(options.text);
    if (options.threads > 0) set_matrix_threads(options.threads);
  }

  bool run() {
    print_head();
    score_text();
    check_reference();
    continue_prompt();
    if (options_.long_positions > 0) {
      fmt::print("\n4. Seconds in attention and selection, text repeated\n");
      print_long_context(options_, model_, attention_, held_out_);
    }
    print_last_line();
    return passed_;
  }

 private:
  static Bytes read_text(const std::filesystem::path &path) {
    Bytes text = read_file(path);
    if (text.size() < 2) throw BadInput(path.string() + ": fewer than two bytes of text");
    return text;
  }

  const char *mode_name() const { return options_.dense ? "dense" : "sparse"; }

  // The first bytes of a text: `positions` of them and the one that the last predicts.
  static std::span<const uint8_t> head(const Bytes &text, int64_t positions) {
    return std::span(text).first(std::min(text.size(), static_cast<size_t>(positions) + 1));
  }

  Score score_in_mode(std::span<const uint8_t> text, AttentionMode mode, KvCache &cache,
                      const char *label) {
    Transformer transformer(model_, attention_, mode);
    Progress progress(label, static_cast<int64_t>(text.size()) - 1, "bytes", cost_level(mode));
    return score(config_, transformer, cache, text, [&](double done) { progress.update(done); });
  }

  KvCache new_cache(int64_t positions) const {
    return KvCache(*compute_, config_, options_.dtype, positions);
  }

  void print_head() {
    const uint32_t version = dsa_version();
    fmt::print(
        "tinylm: {:.1f} M parameters, {} layers, {} heads over a latent of {} + {}, indexer {} x "
        "{}, {}\n",
        static_cast<double>(model_.parameters()) / 1e6, config_.n_layers, config_.n_heads,
        config_.kv_latent, config_.rope, config_.index_heads, config_.index_dim,
        options_.dense ? std::string("dense") : fmt::format("top-{}", attention_.topk()));
    fmt::print("libdsa {}.{}.{}: {}; queries and caches in {}; products by {}\n", version / 10000,
               version / 100 % 100, version % 100, attention_.kernels(options_.dtype),
               options_.dtype == DSA_F32 ? "f32" : "bf16", compute_->matrices());
  }

  // Part 1; keeps the score of the first mode and its cache for parts 2 and 3.
  void score_text() {
    const Bytes &text = text_ ? *text_ : held_out_;
    const auto scored = head(text, options_.bytes);
    const auto positions = static_cast<int64_t>(scored.size()) - 1;
    fmt::print("\n1. Loss on {} bytes of {}\n", positions,
               (text_ ? options_.text : options_.model / "held_out.txt").filename().string());
    fmt::print("   {:<8}{:>9}{:>10}{:>20}{:>19}{:>13}{:>8}\n", "", "nats/byte", "seconds",
               "= matrix products", "+ indexer, top-k", "+ attention", "+ rest");
    std::fflush(stdout);

    KvCache cache = new_cache(positions);
    Score first = score_in_mode(scored, mode_, cache, mode_name());
    print_score(mode_name(), first);
    if (!options_.dense) {
      KvCache dense_cache = new_cache(positions);
      const Score dense = score_in_mode(scored, AttentionMode::kDense, dense_cache, "dense");
      print_score("dense", dense);
      const double sparse_seconds = first.times.selection + first.times.attention;
      fmt::print(
          "   selection and attention: sparse {:.2f} s, dense {:.2f} s: {:.1f} times as fast\n",
          sparse_seconds, dense.times.attention, dense.times.attention / sparse_seconds);
    }

    const int64_t replayed = std::min(kReplayed, positions);
    Transformer transformer(model_, attention_, mode_);
    replay_difference_ =
        decode_difference(config_, transformer, cache, scored, positions - replayed, first);
    replay_first_ = positions - replayed;
    replay_last_ = positions - 1;
    if (!text_) held_out_score_ = std::move(first);
  }

  static void print_score(const char *name, const Score &s) {
    const StageTimes &t = s.times;
    fmt::print("   {:<8}{:>9.4f}{:>10.2f}{:>20.2f}{:>19.2f}{:>13.2f}{:>8.2f}\n", name, s.mean(),
               s.seconds, t.matrices, t.selection, t.attention,
               s.seconds - t.matrices - t.selection - t.attention);
    std::fflush(stdout);
  }

  // Part 2: always the held-out text, whatever was scored in part 1.
  void check_reference() {
    if (!held_out_score_) {
      const auto scored = head(held_out_, std::min(options_.bytes, kReferencePositions));
      KvCache cache = new_cache(static_cast<int64_t>(scored.size()) - 1);
      held_out_score_ = score_in_mode(scored, mode_, cache, "held-out text");
    }
    checked_positions_ =
        std::min(static_cast<int64_t>(held_out_score_->losses.size()), kReferencePositions);
    fmt::print("\n2. The first {} bytes of held_out.txt against the reference\n",
               checked_positions_);
    if (!reference_) {
      fmt::print("   no reference_4096.safetensors beside this model: nothing to check\n");
      return;
    }

    const Comparison c = compare(*held_out_score_, *reference_, checked_positions_);
    fmt::print("   mean loss {:.4f}, reference {:.4f}\n", held_out_score_->mean(checked_positions_),
               reference_->mean(checked_positions_));
    const std::string differences = fmt::format(
        "   |loss - reference| of a position: mean {:.1e}, most {:.1e}", c.mean, c.most);
    if (options_.dense || attention_.topk() != config_.topk) {
      fmt::print("{}; not judged: the reference is top-{}\n", differences, config_.topk);
      return;
    }
    const bool near = c.mean <= tolerance_.mean_loss;  // false for NaN
    passed_ = passed_ && near;
    fmt::print("{} (mean allowed {:.0e}): {}\n", differences, tolerance_.mean_loss, verdict(near));
    if (c.last_logits >= 0) {
      fmt::print("   logits of the last position differ by at most {:.1e}\n", c.last_logits);
    }
  }

  // Part 3.
  void continue_prompt() {
    fmt::print("\n3. A prompt and {} bytes that follow, greedy, through the KV cache\n\n{}",
               options_.generate, options_.prompt);
    std::fflush(stdout);
    const Bytes prompt(options_.prompt.begin(), options_.prompt.end());
    const int64_t capacity = static_cast<int64_t>(prompt.size()) + options_.generate;
    Transformer transformer(model_, attention_, mode_);
    KvCache cache = new_cache(capacity);
    std::optional<Progress> progress(std::in_place, "prompt", static_cast<int64_t>(prompt.size()),
                                     "bytes", cost_level(mode_));
    const Generation generation = generate(
        config_, transformer, cache, prompt, options_.generate,
        [&](double done) { progress->update(done); },
        [&](uint8_t byte) {
          progress.reset();
          print_byte(byte);
        });
    progress.reset();
    fmt::print("\n\n");
    if (options_.generate > 0) {
      fmt::print("   prompt: {} bytes in {:.2f} s; then {} bytes in {:.2f} s: {:.0f} bytes/s\n",
                 prompt.size(), generation.prompt_seconds, generation.generated(),
                 generation.decode_seconds,
                 static_cast<double>(generation.generated()) / generation.decode_seconds);
      compare_greedy(generation);
      KvCache batch_cache = new_cache(capacity);
      check_decode("the text above, logits",
                   batch_difference(config_, transformer, batch_cache, generation));
    }
    check_decode(fmt::format("positions {} to {} of part 1, logits", replay_first_, replay_last_),
                 replay_difference_);
  }

  // Control bytes could confuse a terminal.
  static void print_byte(uint8_t byte) {
    if ((byte >= ' ' && byte <= '~') || byte == '\n' || byte == '\t') {
      std::fputc(byte, stdout);
    } else {
      fmt::print("\\x{:02x}", byte);
    }
    std::fflush(stdout);
  }

  void compare_greedy(const Generation &generation) const {
    const std::filesystem::path path = options_.model / "greedy.txt";
    if (!std::filesystem::exists(path)) return;
    const Bytes greedy = read_file(path);
    const auto prompt_end = generation.text.begin() + generation.prompt_bytes;
    if (!std::equal(generation.text.begin(), prompt_end, greedy.begin(),
                    greedy.begin() + std::min<int64_t>(generation.prompt_bytes,
                                                       static_cast<int64_t>(greedy.size())))) {
      return;  // another prompt
    }
    const size_t common = std::min(greedy.size(), generation.text.size());
    const auto differs =
        std::mismatch(generation.text.begin(),
                      generation.text.begin() + static_cast<int64_t>(common), greedy.begin())
            .first -
        generation.text.begin();
    if (differs == static_cast<int64_t>(common)) {
      fmt::print("   equal to greedy.txt, which the model wrote where it was trained\n");
    } else {
      fmt::print("   differs from greedy.txt at byte {} of {}\n", differs - generation.prompt_bytes,
                 common - static_cast<size_t>(generation.prompt_bytes));
    }
  }

  void check_decode(const std::string &what, double difference) {
    const bool near = difference <= tolerance_.decode_logits;
    passed_ = passed_ && near;
    fmt::print(
        "   cached decode against one batch: {} differ by at most {:.1e} (allowed {:.0e}): {}\n",
        what, difference, tolerance_.decode_logits, verdict(near));
  }

  void print_last_line() const {
    const std::string reference =
        reference_ ? fmt::format("{:.4f}", reference_->mean(checked_positions_)) : "none";
    fmt::print("\nheld-out loss: {:.4f} nats/byte (reference {})\n",
               held_out_score_->mean(checked_positions_), reference);
  }

  const Options &options_;
  Model model_;
  const Config &config_;
  std::unique_ptr<Compute> compute_;
  Attention attention_;
  AttentionMode mode_;
  Bytes held_out_;
  std::optional<Bytes> text_;  // --text
  std::optional<Reference> reference_;
  Tolerance tolerance_;
  std::optional<Score> held_out_score_;
  int64_t checked_positions_ = 0;
  double replay_difference_ = 0;
  int64_t replay_first_ = 0;
  int64_t replay_last_ = 0;
  bool passed_ = true;
};

}  // namespace

bool run_demo(const Options &options) { return Demo(options).run(); }

}  // namespace tinylm

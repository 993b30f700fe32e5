#include "routes/sweep.h"

#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>

#include "peers.h"
#include "progress.h"
#include "routes/point.h"
#include "routes/summary.h"

namespace bench::routes {
namespace {

void write_timeline(const std::string& path, const std::string& lines) {
  std::ofstream file(path, std::ios::binary);
  file << kTimelineHead << "\n" << lines;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace

std::vector<Point> points_of(const SweepOptions& options) {
  const auto or_else = [](const std::vector<int64_t>& given, std::vector<int64_t> otherwise) {
    return given.empty() ? otherwise : given;
  };
  const bool quick = options.quick;
  const auto batches =
      or_else(options.batches,
              quick ? std::vector<int64_t>{1, 4} : std::vector<int64_t>{1, 2, 4, 8, 16, 32, 64});
  const auto lengths = or_else(
      options.lengths, quick ? std::vector<int64_t>{64, 256}
                             : std::vector<int64_t>{64, 128, 256, 512, 1024, 2048, 4096, 8192});
  const auto ks = or_else(
      options.ks, quick ? std::vector<int64_t>{8, 64} : std::vector<int64_t>{8, 16, 32, 64, 128});
  // A quarter of the experiment's largest point for each request of the longer ones.
  constexpr double kMostScores = 0x1p28;
  std::vector<Point> points;
  for (const int64_t length : lengths) {
    for (const int64_t batch : batches) {
      for (const int64_t k : ks) {
        const Point point{batch, length, int32_t(k)};
        const bool in_grid = options.batches.empty() && options.lengths.empty();
        if (k > length || (in_grid && point.scores() > kMostScores)) continue;
        points.push_back(point);
      }
    }
  }
  if (points.empty()) throw std::invalid_argument("no point is left: k is at most the length");
  return points;
}

bool run_sweep(const ContextSpec& spec, const SweepOptions& sweep, const Settings& settings,
               const Output& output) {
  const Context context(spec);
  std::optional<Context> overlapped, alone;
  if (spec.cuda) {
    ContextSpec logging = spec;
    logging.log = "stages";
    overlapped.emplace(logging);
    logging.log = "stages_alone";
    alone.emplace(logging);
  }
  Peers peers;
  for (const std::string& path : output.peers) peers.read(path);
  Report report;
  report.set_peers(peers.names());
  report.set_extra_columns({"tensors",      "gpu_busy",        "scores",        "picked",
                            "graph_us",     "predicted_us",    "to_best",       "over_best_us",
                            "chunks",       "overlap",         "shipped_bytes", "shipped_share",
                            "score_us",     "copy_us",         "select_us",     "cut_us",
                            "attend_us",    "alone_score_us",  "alone_copy_us", "alone_select_us",
                            "alone_cut_us", "alone_attend_us", "to_longest"});
  Summary summary;
  std::string timeline;
  const std::vector<Point> points = points_of(sweep);
  PointSetup setup{context,
                   overlapped ? &*overlapped : nullptr,
                   alone ? &*alone : nullptr,
                   settings,
                   0,
                   sweep.host_tensors};
  const std::vector<double> busy = sweep.gpu_busy.empty() ? std::vector<double>{0} : sweep.gpu_busy;
  Progress progress(int64_t(points.size() * busy.size()), output.quiet);
  std::unique_ptr<Tensors> tensors;
  for (const Point& point : points) {
    if (!tensors || !tensors->point().has_tensors_of(point)) {
      tensors.reset();  // before the next ones take their place
      tensors = std::make_unique<Tensors>(context, point, settings.seed);
    }
    tensors->set_k(point.k);
    for (const double share : busy) {
      progress.step(fmt::format("{} x {}, k {}", point.batch, point.length, point.k));
      setup.gpu_busy = share;
      std::vector<Record> records = run_point(setup, *tensors, timeline);
      for (Record& record : records) peers.compare(record);
      summary.add(records);
      for (Record& record : records) report.add(std::move(record));
    }
    // What was measured is there when the rest is not waited for.
    if (!output.csv.empty()) report.write_csv(output.csv);
  }
  progress.clear();
  summary.print(context);
  if (!output.json.empty()) {
    nlohmann::ordered_json head;
    head["tool"] = "dsa-bench";
    head["command"] = output.command;
    head["about"] = context.about();
    report.write_json(output.json, head);
  }
  if (!sweep.timeline.empty()) write_timeline(sweep.timeline, timeline);
  return !report.any_failed();
}

}  // namespace bench::routes

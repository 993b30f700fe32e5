#include "routes/point.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include "routes/stages.h"

namespace bench::routes {
namespace {

struct RouteName {
  int32_t route;
  const char* kernel;
  bool needs_device;
};
constexpr RouteName kRoutes[] = {
    {DSA_ROUTE_GPU, "forward.gpu", true},
    {DSA_ROUTE_HYBRID, "forward.hybrid", true},
    {DSA_ROUTE_HYBRID_PREFILTER, "forward.hybrid_prefilter", true},
    {DSA_ROUTE_CPU, "forward.cpu", false},
};

// A way of doing the call that is timed: a route, or `auto` on tensors of one side.
struct Entry {
  std::string name;
  int32_t route;
  bool on_device;
  std::string note = {};  // why it cannot be done
  std::vector<double> samples = {};
  std::optional<DeviceMemory> workspace = {};
  uint64_t workspace_bytes = 0;
};

// A share of the device is taken as long as this lives.
class Occupied {
 public:
  Occupied(Device* device, double share) : device_(share > 0 ? device : nullptr) {
    if (device_) device_->occupy(share);
  }
  ~Occupied() {
    if (device_) device_->free_all();
  }
  Occupied(const Occupied&) = delete;
  Occupied& operator=(const Occupied&) = delete;

 private:
  Device* device_;
};

class PointRun {
 public:
  PointRun(const PointSetup& setup, Tensors& tensors)
      : context_(setup.context),
        overlapped_(setup.overlapped),
        alone_(setup.alone),
        settings_(setup.settings),
        gpu_busy_(setup.gpu_busy),
        tensors_(tensors) {
    const bool on_device = context_.device() && !setup.host_tensors;
    for (const RouteName& name : kRoutes) {
      if (name.needs_device && !context_.device()) continue;
      // The CPU's own tensors, but where it is to stand in for a busy GPU.
      const bool theirs = on_device && (name.needs_device || gpu_busy_ > 0);
      entries_.push_back({name.kernel, name.route, theirs});
    }
    entries_.push_back({"auto", DSA_ROUTE_AUTO, on_device});
    for (Entry& entry : entries_) {
      entry.note = refusal(entry);
      if (entry.note.empty() && entry.on_device) give_workspace(entry);
    }
  }

  // One record a way, and the lines of the timeline appended to `timeline`.
  std::vector<Record> run(std::string& timeline) {
    const std::string picked = pick();
    std::vector<Record> records;
    for (const Entry& entry : entries_) records.push_back(begin(entry, picked));
    if (settings_.check) check_results(records);
    time();
    for (size_t i = 0; i < entries_.size(); ++i) finish(entries_[i], records[i], timeline);
    rank(records);
    return records;
  }

 private:
  const Point& point() const { return tensors_.point(); }

  dsa_forward_desc descriptor(const Entry& entry) {
    dsa_forward_desc d = tensors_.forward(entry.route, entry.on_device);
    d.gpu_busy = float(gpu_busy_);
    return d;
  }
  // As an engine does, which allocates nothing in a call.
  void give_workspace(Entry& entry) {
    const dsa_forward_desc d = descriptor(entry);
    entry.workspace_bytes = context_.workspace_size(&d);
    entry.workspace.emplace(*context_.device(), int64_t(entry.workspace_bytes));
  }
  void enqueue(const Context& context, const Entry& entry) {
    const dsa_forward_desc d = descriptor(entry);
    dsa_exec exec = {};
    exec.struct_size = sizeof exec;
    if (entry.on_device) {
      exec.stream = context_.device()->stream();
      exec.workspace = entry.workspace->data();
      exec.workspace_size = entry.workspace_bytes;
    }
    check(dsa_forward(context.get(), &d, &exec));
  }
  // Done when this returns.
  void call(const Context& context, const Entry& entry) {
    enqueue(context, entry);
    if (entry.on_device) context_.device()->synchronize();
  }
  std::string refusal(const Entry& entry) {
    const dsa_forward_desc d = descriptor(entry);
    const dsa_status status = dsa_supports(context_.get(), &d);
    if (status == DSA_OK) return "";
    if (status == DSA_ERROR_UNSUPPORTED) return dsa_last_error();
    check(status);
    return "";
  }

  // The route of `auto`. A plan tells what the library predicts for the routes that it does not
  // take: two of them tell all.
  std::string pick() {
    std::string picked;
    for (const Entry& entry : entries_) {
      if (!entry.note.empty()) continue;
      const dsa_forward_desc d = descriptor(entry);
      dsa_plan* plan = nullptr;
      check(dsa_plan_create(context_.get(), &d, &plan));
      if (entry.route == DSA_ROUTE_AUTO) picked = dsa_plan_kernel(plan);
      const bool same_side = entry.on_device == entries_.back().on_device;
      for (int32_t i = 0; const char* line = dsa_plan_refused(plan, i); ++i) {
        char name[64];
        double ms;
        if (std::sscanf(line, "%63[^:]: predicted %lf ms", name, &ms) == 2 && same_side) {
          predicted_[name] = ms;
        }
      }
      dsa_plan_destroy(plan);
    }
    return picked;
  }

  Record begin(const Entry& entry, const std::string& picked) const {
    Record record;
    record["op"] = "forward";
    record["kernel"] = entry.name;
    record["threads"] = context_.threads();
    record["dtype"] = "f32";
    record["pattern"] = "randn causal";
    record["tensors"] = entry.on_device ? "device" : "host";
    record["rows"] = point().rows();
    record["n"] = point().length;
    record["k"] = point().k;
    record["heads"] = kHeads;
    record["dim"] = kDim;
    record["value_dim"] = kDim;
    record["batch"] = point().batch;
    record["gpu_busy"] = gpu_busy_;
    record["scores"] = point().scores();
    record["check"] = "-";
    if (entry.route == DSA_ROUTE_AUTO) record["picked"] = picked;
    if (const auto found = predicted_.find(entry.name); found != predicted_.end()) {
      record["predicted_us"] = found->second * 1e3;
    }
    if (!entry.note.empty()) record["note"] = entry.note;
    return record;
  }

  void check_results(std::vector<Record>& records) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[i];
      if (!entry.note.empty() || entry.route == DSA_ROUTE_AUTO) continue;
      tensors_.clear_output(entry.on_device);
      call(context_, entry);
      const bool right = rows_are_right(tensors_, tensors_.output(entry.on_device));
      records[i]["check"] = right ? "ok" : "FAILED";
    }
  }

  // By turns. What a route finds in caches is what it leaves itself: short calls are made once
  // before the clock is looked at.
  void time() {
    constexpr double kShort = 3e-3;
    const TimingPlan& plan = settings_.timing;
    const double taken = context_.device() ? gpu_busy_ : 0;
    // What a first call allocates would wait for the kernel that takes its share of the GPU.
    const int warmup = std::max(plan.warmup, taken > 0 ? 1 : 0);
    double start = now();
    for (int i = 0; i < warmup && (i == 0 || now() - start < plan.max_time / 4); ++i) {
      for (const Entry& entry : entries_) {
        if (entry.note.empty()) call(context_, entry);
      }
    }
    start = now();
    for (int round = 0;; ++round) {
      const double spent = now() - start;
      if (round >= plan.repeats && spent >= plan.min_time) break;
      if (round >= std::min(3, plan.repeats) && spent >= plan.max_time) break;
      const Occupied occupied(context_.device(), taken);
      for (Entry& entry : entries_) {
        if (!entry.note.empty()) continue;
        if (round > 0 && entry.samples.back() < kShort) call(context_, entry);
        const double begin = now();
        call(context_, entry);
        entry.samples.push_back(now() - begin);
      }
    }
  }

  void finish(const Entry& entry, Record& record, std::string& timeline) {
    if (entry.samples.empty()) return;
    const Timing timing = summarize(entry.samples, 1);
    record["samples"] = timing.samples;
    record["calls"] = timing.calls;
    record["median_us"] = timing.median * 1e6;
    record["min_us"] = timing.min * 1e6;
    record["p10_us"] = timing.p10 * 1e6;
    record["p90_us"] = timing.p90 * 1e6;
    if (entry.on_device) record["workspace_bytes"] = entry.workspace_bytes;
    if (entry.on_device && entry.route == DSA_ROUTE_GPU) {
      // What engines do with it that capture a step of decoding: no launches, no waiting.
      record["graph_us"] =
          context_.device()
              ->time(DeviceMode::kWarm, settings_.device_timing, [&] { enqueue(context_, entry); })
              .median *
          1e6;
    }
    if (overlapped_ &&
        (entry.route == DSA_ROUTE_HYBRID || entry.route == DSA_ROUTE_HYBRID_PREFILTER)) {
      add_stages(entry, record, timeline);
    }
  }

  // Of one call: the last of three, the first of which makes the context's pinned memory.
  StagesOfCall stages_of(const Context& context, const Entry& entry) {
    for (int i = 0; i < 3; ++i) {
      context.take_messages();
      call(context, entry);
    }
    return read_stages(context.take_messages());
  }

  void add_stages(const Entry& entry, Record& record, std::string& timeline) {
    const StagesOfCall stages = stages_of(*overlapped_, entry);
    if (stages.stages.empty()) return;
    record["chunks"] = stages.chunks();
    record["overlap"] = stages.overlap();
    for (const Stage& s : stages.stages) {
      timeline += fmt::format("{},{},{},{},{},{},{},{},{:.4f},{:.4f}\n", entry.name, point().batch,
                              point().length, point().k, s.chunk, s.first_row, s.end_row, s.name,
                              s.begin, s.end);
    }
    // Bytes of the scores of all visible keys.
    const double visible = double(point().rows()) * double(point().length + 1) / 2 * 4;
    if (stages.shipped_bytes >= 0) {
      record["shipped_bytes"] = stages.shipped_bytes;
      record["shipped_share"] = double(stages.shipped_bytes) / visible;
    }
    const StagesOfCall alone = stages_of(*alone_, entry);
    double longest = 0;
    for (const char* name : {"score", "copy", "select", "cut", "attend"}) {
      record[std::string(name) + "_us"] = stages.busy(name) * 1e3;
      record[std::string("alone_") + name + "_us"] = alone.busy(name) * 1e3;
      longest = std::max(longest, alone.busy(name) * 1e3);
    }
    if (longest > 0) record["to_longest"] = record["median_us"].get<double>() / longest;
  }

  // Which route is best, how far each is from it, among those on the same side's tensors; the CPU's
  // stands beside them where there is a device, for its tensors lie elsewhere.
  void rank(std::vector<Record>& records) const {
    const bool on_device = entries_.back().on_device;
    std::optional<double> best;
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[i];
      if (entry.samples.empty() || entry.route == DSA_ROUTE_AUTO) continue;
      if (entry.on_device != on_device) continue;
      const double median = records[i]["median_us"];
      if (!best || median < *best) best = median;
    }
    if (!best) return;
    for (Record& record : records) {
      if (record.contains("median_us")) {
        record["to_best"] = record["median_us"].get<double>() / *best;
        record["over_best_us"] = record["median_us"].get<double>() - *best;
      }
    }
  }

  const Context& context_;
  const Context* overlapped_;
  const Context* alone_;
  const Settings& settings_;
  double gpu_busy_;
  Tensors& tensors_;
  std::vector<Entry> entries_;
  std::map<std::string, double> predicted_;  // ms
};

}  // namespace

std::vector<Record> run_point(const PointSetup& setup, Tensors& tensors, std::string& timeline) {
  return PointRun(setup, tensors).run(timeline);
}

}  // namespace bench::routes

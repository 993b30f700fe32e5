// Times dsa_topk, and what a call of it costs at least.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "call.h"
#include "cases.h"

namespace bench {
namespace {

volatile float sink;

constexpr int32_t kSlotPage = 64;

// Pages in reversed order.
int32_t slot_of(int32_t s, int64_t n) {
  const int32_t pages = int32_t((n + kSlotPage - 1) / kSlotPage);
  return (pages - 1 - s / kSlotPage) * kSlotPage + s % kSlotPage;
}

Array slot_table(int64_t n) {
  const int64_t pages = (n + kSlotPage - 1) / kSlotPage;
  Array table(DSA_I32, {1, pages});
  for (int64_t i = 0; i < pages; ++i) table.data<int32_t>()[i] = int32_t(pages - 1 - i);
  return table;
}

// Row t of the result against a sort of the scores.
bool row_is_right(const TopkCase& c, const Array& scores, const Array& ends,
                  const SelectOutputs& out, int64_t t) {
  const int64_t base = t * c.n;
  const int64_t end = ends.given() ? ends.data<int32_t>()[t] : c.n;
  std::vector<int32_t> order;
  for (int64_t s = 0; s < end; ++s) {
    const float score = scores.at(base + s);
    if (!std::isnan(score) && score != -INFINITY) order.push_back(int32_t(s));
  }
  const auto before = [&](int32_t a, int32_t b) {  // score descending, index ascending
    const float x = scores.at(base + a), y = scores.at(base + b);
    return x != y ? x > y : a < b;
  };
  const int64_t count = std::min<int64_t>(c.k, int64_t(order.size()));
  std::partial_sort(order.begin(), order.begin() + count, order.end(), before);
  order.resize(size_t(count));

  if (out.counts.given() && out.counts.data<int32_t>()[t] != count) return false;
  if (out.cut_score.given()) {
    const bool empty = count == 0;
    if (out.cut_index.data<int32_t>()[t] != (empty ? -1 : order.back())) return false;
    const float cut = empty ? INFINITY : scores.at(base + order.back());
    if (out.cut_score.data<float>()[t] != cut) return false;
  }
  if (out.slots.given() && out.indices.given()) {
    for (int64_t j = 0; j < c.k; ++j) {
      const int32_t s = out.indices.data<int32_t>()[t * c.k + j];
      if (out.slots.data<int32_t>()[t * c.k + j] != (s < 0 ? -1 : slot_of(s, c.n))) return false;
    }
  }
  if (!out.indices.given() && !out.values.given()) return true;

  if (c.order == DSA_ORDER_INDEX) std::sort(order.begin(), order.end());
  if (out.indices.given()) {
    const int32_t* indices = out.indices.data<int32_t>() + t * c.k;
    std::vector<int32_t> got(indices, indices + count);
    for (const int32_t s : got) {
      if (s < 0 || s >= c.n) return false;
    }
    for (int64_t j = count; j < c.k; ++j) {
      if (indices[j] != -1) return false;
    }
    if (out.values.given()) {
      for (int64_t j = 0; j < count; ++j) {
        if (out.values.at(t * c.k + j) != scores.at(base + got[size_t(j)])) return false;
      }
    }
    if (c.order == DSA_ORDER_ANY || c.ties == DSA_TIES_ANY) {
      std::sort(order.begin(), order.end(), before);
      std::sort(got.begin(), got.end(), before);
      if (std::adjacent_find(got.begin(), got.end()) != got.end()) return false;
      return std::equal(got.begin(), got.end(), order.begin(), [&](int32_t a, int32_t b) {
        return c.ties == DSA_TIES_ANY ? scores.at(base + a) == scores.at(base + b) : a == b;
      });
    }
    return got == order;
  }
  std::vector<float> want, got;
  for (int64_t j = 0; j < count; ++j) {
    want.push_back(scores.at(base + order[size_t(j)]));
    got.push_back(out.values.at(t * c.k + j));
  }
  if (c.order == DSA_ORDER_ANY || c.ties == DSA_TIES_ANY) {
    std::sort(want.begin(), want.end());
    std::sort(got.begin(), got.end());
  }
  return got == want;
}

}  // namespace

Record begin_record(const Setup& setup, const char* operation) {
  Record record;
  record["op"] = operation;
  if (setup.context.device()) {
    record["timing"] = device_mode_names()[size_t(setup.device_mode)];
  } else {
    record["threads"] = setup.context.threads();
  }
  return record;
}

SelectOutputs::SelectOutputs(const std::string& which, int64_t rows, int32_t k,
                             int32_t values_dtype) {
  std::istringstream names(which);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "indices") {
      indices = Array(DSA_I32, {rows, k});
    } else if (name == "slots") {
      slots = Array(DSA_I32, {rows, k});
    } else if (name == "values") {
      values = Array(values_dtype, {rows, k});
    } else if (name == "counts") {
      counts = Array(DSA_I32, {rows});
    } else if (name == "cut") {
      cut_score = Array(DSA_F32, {rows});
      cut_index = Array(DSA_I32, {rows});
    } else {
      throw std::invalid_argument("no output '" + name + "'");
    }
  }
}

double SelectOutputs::bytes() const {
  double total = 0;
  for (const Array* array : {&indices, &slots, &values, &counts, &cut_score, &cut_index}) {
    if (array->given()) total += double(array->bytes());
  }
  return total;
}

Record run(const Setup& setup, const TopkCase& c) {
  Record record = begin_record(setup, "topk");
  record["dtype"] = dtype_name(c.dtype);
  record["pattern"] =
      pattern_names()[size_t(c.pattern)] + (c.lengths.empty() ? "" : " lengths " + c.lengths);
  record["outputs"] = c.outputs;
  record["rows"] = c.rows;
  record["n"] = c.n;
  record["k"] = c.k;

  dsa_topk_desc desc = dsa_topk_desc_init();
  desc.k = c.k;
  desc.order = c.order;
  desc.ties = c.ties;
  const SelectOutputs out(c.outputs, c.rows, c.k, c.dtype);
  Array scores(c.dtype, {c.rows, c.n});
  desc.scores = scores.tensor();
  out.put(desc);
  fill_scores(scores, c.pattern, c.k, setup.settings.seed, setup.settings.real_path);
  Array ends, table;
  if (!c.lengths.empty()) {
    ends = Array(DSA_I32, {c.rows});
    fill_lengths(ends, c.n, c.lengths, setup.settings.seed);
    desc.row_end = ends.tensor();
  }
  if (out.slots.given()) {
    table = slot_table(c.n);
    desc.slot_table = table.tensor();
    desc.slot_page_size = kSlotPage;
  }
  Call call(setup, desc);
  record["kernel"] = call.kernel();
  record["workspace_bytes"] = call.workspace_bytes();
  double read = double(scores.bytes());
  if (ends.given()) {
    read = 0;
    for (int64_t t = 0; t < c.rows; ++t) read += double(ends.data<int32_t>()[t]);
    read *= double(dtype_bytes(c.dtype));
  }
  const double bytes = read + out.bytes();
  if (c.to_maximum) {
    if (setup.context.device()) throw std::invalid_argument("--to-maximum is the CPU's");
    // A whole number of the loop's steps; what is left out is less than 256 of n elements.
    const int64_t n = c.n / 256 * 256;
    const Maximum maximum = best_maximum(setup.context);
    const auto timings = measure_by_turns(setup.settings.timing, call,
                                          [&] { sink = maximum(scores.data<float>(), n); });
    set_timing(record, timings[0], bytes, 0, setup.roofs);
    record["to_maximum"] = timings[0].min / timings[1].min;
  } else {
    set_timing(record, call.time(), bytes, 0, setup.roofs);
  }

  record["check"] = "-";
  if (setup.settings.check) {
    call.fetch();
    const bool right = row_is_right(c, scores, ends, out, 0) &&
                       row_is_right(c, scores, ends, out, c.rows / 2) &&
                       row_is_right(c, scores, ends, out, c.rows - 1);
    record["check"] = right ? "ok" : "FAILED";
  }
  return record;
}

Record run(const Setup& setup, const OverheadCase& c) {
  if (setup.context.device()) throw std::invalid_argument("overhead is the CPU's");
  TopkCase topk;
  topk.n = 128;
  topk.k = 8;
  topk.outputs = "indices,values";
  Record record = begin_record(setup, "overhead");
  record["dtype"] = "f32";
  record["pattern"] = "randn";
  record["outputs"] = topk.outputs;
  record["rows"] = 1;
  record["n"] = topk.n;
  record["k"] = topk.k;

  dsa_topk_desc desc = dsa_topk_desc_init();
  desc.k = topk.k;
  const SelectOutputs out(topk.outputs, 1, topk.k, DSA_F32);
  Array scores(DSA_F32, {1, topk.n});
  fill_normal(scores, setup.settings.seed);
  desc.scores = scores.tensor();
  out.put(desc);

  dsa_plan* plan = nullptr;
  check(dsa_plan_create(setup.context.get(), &desc, &plan));
  record["kernel"] = dsa_plan_kernel(plan);
  const uint64_t bytes = setup.context.workspace_size(&desc);
  record["workspace_bytes"] = bytes;
  const Array workspace(DSA_U8, {int64_t(bytes)});
  dsa_exec exec = {};
  exec.struct_size = sizeof exec;
  exec.workspace = workspace.data<char>();
  exec.workspace_size = bytes;
  exec.plan = plan;
  record["note"] = c.plan ? "with plan and workspace" : "exec NULL";
  const dsa_exec* given = c.plan ? &exec : nullptr;
  const Timing timing =
      measure(setup.settings.timing, [&] { check(dsa_topk(setup.context.get(), &desc, given)); });
  dsa_plan_destroy(plan);
  set_timing(record, timing, double(scores.bytes()) + out.bytes(), 0, nullptr);
  record["check"] = !setup.settings.check                    ? "-"
                    : row_is_right(topk, scores, {}, out, 0) ? "ok"
                                                             : "FAILED";
  return record;
}

}  // namespace bench

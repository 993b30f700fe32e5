// Times dsa_topk, and what a call of it costs at least.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "cases.h"

namespace bench {
namespace {

volatile float sink;

// Row t of the result against a sort of the scores.
bool row_is_right(const TopkCase& c, const Array& scores, const SelectOutputs& out, int64_t t) {
  const int64_t base = t * c.n;
  std::vector<int32_t> order;
  for (int64_t s = 0; s < c.n; ++s) {
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

Exec::Exec(const Setup& setup, const void* desc) {
  bytes_ = setup.context.workspace_size(desc);
  if (!setup.settings.own_workspace) return;
  memory_ = Array(DSA_U8, {int64_t(bytes_)});
  exec_.struct_size = sizeof exec_;
  exec_.workspace = memory_.data<char>();
  exec_.workspace_size = bytes_;
}

SelectOutputs::SelectOutputs(const std::string& which, int64_t rows, int32_t k,
                             int32_t values_dtype) {
  std::istringstream names(which);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "indices") {
      indices = Array(DSA_I32, {rows, k});
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
  for (const Array* array : {&indices, &values, &counts, &cut_score, &cut_index}) {
    if (array->given()) total += double(array->bytes());
  }
  return total;
}

Record run(const Setup& setup, const TopkCase& c) {
  Record record;
  record["op"] = "topk";
  record["threads"] = setup.context.threads();
  record["dtype"] = dtype_name(c.dtype);
  record["pattern"] = pattern_names()[size_t(c.pattern)];
  record["outputs"] = c.outputs;
  record["rows"] = c.rows;
  record["n"] = c.n;
  record["k"] = c.k;
  record["kernel"] = "";

  dsa_topk_desc desc = dsa_topk_desc_init();
  desc.k = c.k;
  desc.order = c.order;
  desc.ties = c.ties;
  const SelectOutputs out(c.outputs, c.rows, c.k, c.dtype);
  Array scores(c.dtype, {c.rows, c.n});
  desc.scores = scores.tensor();
  out.put(desc);
  record["kernel"] = setup.context.kernel_for(&desc);

  fill_scores(scores, c.pattern, c.k, setup.settings.seed, setup.settings.real_path);
  const Exec exec(setup, &desc);
  record["workspace_bytes"] = exec.workspace_bytes();
  const auto call = [&] { check(dsa_topk(setup.context.get(), &desc, exec.get())); };
  const double bytes = double(scores.bytes()) + out.bytes();
  if (c.to_maximum) {
    // A whole number of the loop's steps; what is left out is less than 256 of n elements.
    const int64_t n = c.n / 256 * 256;
    const Maximum maximum = best_maximum(setup.context);
    const auto timings = measure_by_turns(setup.settings.timing, call,
                                          [&] { sink = maximum(scores.data<float>(), n); });
    set_timing(record, timings[0], bytes, 0, setup.roofs);
    record["to_maximum"] = timings[0].min / timings[1].min;
  } else {
    set_timing(record, measure(setup.settings.timing, call), bytes, 0, setup.roofs);
  }

  record["check"] = "-";
  if (setup.settings.check) {
    const bool right = row_is_right(c, scores, out, 0) &&
                       row_is_right(c, scores, out, c.rows / 2) &&
                       row_is_right(c, scores, out, c.rows - 1);
    record["check"] = right ? "ok" : "FAILED";
  }
  return record;
}

Record run(const Setup& setup, const OverheadCase& c) {
  TopkCase topk;
  topk.n = 128;
  topk.k = 8;
  topk.outputs = "indices,values";
  Record record;
  record["op"] = "overhead";
  record["threads"] = setup.context.threads();
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
  record["check"] = !setup.settings.check                ? "-"
                    : row_is_right(topk, scores, out, 0) ? "ok"
                                                         : "FAILED";
  return record;
}

}  // namespace bench

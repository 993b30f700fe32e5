// Times dsa_indexer and dsa_indexer_topk.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "call.h"
#include "cases.h"
#include "indexer_inputs.h"

namespace bench {
namespace {

// Keys of its request that query t sees.
int64_t visible(const IndexerCase& c, int64_t t) {
  if (c.batch > 0) {
    const int64_t next_n = c.queries / c.batch;
    return c.keys - next_n + 1 + t % next_n;
  }
  if (!c.causal) return c.keys;
  return std::clamp<int64_t>(c.keys - c.queries + t + 1, 0, c.keys);
}

// A few scores against the formula in double.
bool scores_are_right(const IndexerCase& c, const IndexerInputs& in, const Array& scores) {
  for (const int64_t t : {int64_t{0}, c.queries / 2, c.queries - 1}) {
    for (int64_t i = 0; i < 64; ++i) {
      const int64_t s = i * (c.keys - 1) / 63;
      const float got = scores.at(t * c.keys + s);
      if (s >= visible(c, t)) {
        if (got != -INFINITY) return false;
        continue;
      }
      const int64_t first = c.batch > 0 ? t / (c.queries / c.batch) * c.keys : 0;
      double sum = 0, magnitude = 0;
      for (int64_t h = 0; h < c.heads; ++h) {
        double dot = 0, absolute = 0;
        for (int64_t d = 0; d < c.dim; ++d) {
          const double product =
              double(in.q.at((t * c.heads + h) * c.dim + d)) * in.key(c, first + s, d);
          dot += product;
          absolute += std::fabs(product);
        }
        const double w = in.w.at(t * c.heads + h);
        sum += w * std::max(dot, 0.0);
        magnitude += std::fabs(w) * absolute;
      }
      // f32 sums of Di and Hi terms; half a unit of bf16 where scores are bf16.
      const double allowed =
          magnitude * 2e-5 + (c.score_dtype == DSA_F32 ? 0 : 0x1p-8) * std::fabs(sum) + 1e-30;
      if (!(std::fabs(got - sum) <= allowed)) return false;
    }
  }
  return true;
}

// The last part of a kernel's name.
std::string family_of(const std::string& kernel) { return kernel.substr(kernel.rfind('.') + 1); }

// The first rows against dsa_indexer and dsa_topk, bit for bit. "-" when no kernel of the context
// does the second step. Scores have the same bits within a family alone.
std::string agrees_with_two_steps(const Setup& setup, const IndexerCase& c, const IndexerInputs& in,
                                  const SelectOutputs& out, const std::string& family) {
  // Of a batch, whole: the rows of a request are told by their number.
  const int64_t rows = c.batch > 0 ? c.queries : std::min<int64_t>(4, c.queries);
  const Array scores(DSA_F32, {rows, c.keys});
  dsa_indexer_desc score = dsa_indexer_desc_init();
  in.put(c, score);
  score.q.shape[0] = score.w.shape[0] = rows;
  score.scores = scores.tensor();
  const SelectOutputs two(c.outputs, rows, c.k, DSA_F32);
  dsa_topk_desc select = dsa_topk_desc_init();
  select.k = c.k;
  select.scores = scores.tensor();
  two.put(select);
  try {
    ContextSpec spec = setup.context.spec();
    spec.kernel = "*.indexer." + family;
    const Context same_family(spec);
    Call first(Setup{same_family, setup.settings, nullptr, setup.device_mode}, score);
    first();
    first.fetch();
    Call second(setup, select);
    second();
    second.fetch();
  } catch (const Unsupported&) {
    return "-";
  }
  const auto same = [](const Array& first, const Array& all) {
    return !first.given() ||
           std::memcmp(first.data<char>(), all.data<char>(), size_t(first.bytes())) == 0;
  };
  const bool right = same(two.indices, out.indices) && same(two.values, out.values) &&
                     same(two.counts, out.counts) && same(two.cut_score, out.cut_score) &&
                     same(two.cut_index, out.cut_index);
  return right ? "ok" : "FAILED";
}

Record begin_record(const Setup& setup, const IndexerCase& c) {
  Record record = begin_record(setup, c.k > 0 ? "indexer_topk" : "indexer");
  const std::string key = c.packed ? "fp8-132" : dtype_name(c.key_dtype);
  record["dtype"] = c.q_dtype == c.key_dtype && !c.packed
                        ? key
                        : fmt::format("{}/{}", dtype_name(c.q_dtype), key);
  record["pattern"] = pattern_names()[size_t(c.pattern)] + std::string(c.causal ? " causal" : "");
  if (c.k > 0) {
    record["outputs"] = c.outputs;
  } else {
    record["outputs"] = fmt::format("{} scores", dtype_name(c.score_dtype));
  }
  record["rows"] = c.queries;
  record["n"] = c.keys;
  if (c.k > 0) record["k"] = c.k;
  if (c.batch > 0) record["batch"] = c.batch;
  record["heads"] = c.heads;
  record["dim"] = c.dim;
  return record;
}

// Workspace of shapes that are too large to run here.
Record workspace_record(const Setup& setup, const IndexerCase& c) {
  Record record = begin_record(setup, c);
  dsa_indexer_topk_desc desc = dsa_indexer_topk_desc_init();
  desc.k = c.k;
  desc.q = Array::sizes(c.q_dtype, {c.queries, c.heads, c.dim});
  desc.keys = Array::sizes(c.key_dtype, {c.keys, c.dim});
  desc.w = Array::sizes(DSA_F32, {c.queries, c.heads});
  desc.indices = Array::sizes(DSA_I32, {c.queries, c.k});
  record["outputs"] = "indices";
  record["kernel"] = setup.context.kernel_for(&desc);
  const uint64_t bytes = setup.context.workspace_size(&desc);
  record["workspace_bytes"] = bytes;
  record["check"] = bytes <= uint64_t{64} << 20 ? "ok" : "FAILED";
  record["note"] = fmt::format("workspace {:.2f} MiB, of 64 allowed", double(bytes) / (1 << 20));
  return record;
}

}  // namespace

Record run(const Setup& setup, const IndexerCase& c) {
  if (c.workspace_only) return workspace_record(setup, c);
  Record record = begin_record(setup, c);
  const IndexerInputs in(setup, c);
  double pairs = 0;  // visible (query, key)
  for (int64_t t = 0; t < c.queries; ++t) pairs += double(visible(c, t));
  const double flop = 2 * pairs * double(c.heads * c.dim);
  double bytes = double(in.q.bytes() + in.keys.bytes() + in.w.bytes());

  if (c.k == 0) {
    dsa_indexer_desc desc = dsa_indexer_desc_init();
    in.put(c, desc);
    const Array scores(c.score_dtype, {c.queries, c.keys});
    desc.scores = scores.tensor();
    Call call(setup, desc);
    record["kernel"] = call.kernel();
    record["workspace_bytes"] = call.workspace_bytes();
    bytes += double(scores.bytes());
    set_timing(record, call.time(), bytes, flop, setup.roofs);
    if (setup.settings.check) call.fetch();
    record["check"] = !setup.settings.check             ? "-"
                      : scores_are_right(c, in, scores) ? "ok"
                                                        : "FAILED";
    return record;
  }

  dsa_indexer_topk_desc desc = dsa_indexer_topk_desc_init();
  in.put(c, desc);
  desc.k = c.k;
  const SelectOutputs out(c.outputs, c.queries, c.k, DSA_F32);
  out.put(desc);
  Call call(setup, desc);
  record["kernel"] = call.kernel();
  record["workspace_bytes"] = call.workspace_bytes();
  bytes += out.bytes();
  set_timing(record, call.time(), bytes, flop, setup.roofs);
  if (setup.settings.check) call.fetch();
  record["check"] = setup.settings.check
                        ? agrees_with_two_steps(setup, c, in, out, family_of(call.kernel()))
                        : "-";
  return record;
}

}  // namespace bench

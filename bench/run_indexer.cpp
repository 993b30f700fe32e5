// Times dsa_indexer and dsa_indexer_topk.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "call.h"
#include "cases.h"
#include "real.h"
#include "team.h"

namespace bench {
namespace {

constexpr int64_t kPage = 64;  // keys a packed page

float key_scale(int64_t s) { return 0.5f + float(s % 7) / 7; }

// q, keys and w of a case, and what the library is told about them. The keys of all requests are
// one axis; e4m3 keys have a scale each.
struct Inputs {
  Array q, keys, w, k_scale, block_table, seq_lens;

  Inputs(const Setup& setup, const IndexerCase& c) {
    const uint64_t seed = setup.settings.seed;
    q = Array(c.q_dtype, {c.queries, c.heads, c.dim});
    w = Array(DSA_F32, {c.queries, c.heads});
    const int64_t all = requests(c) * c.keys;
    Array plain(c.key_dtype, {all, c.dim});
    if (c.pattern == Pattern::kReal) {
      fill_real(setup, c, plain);
    } else {
      fill_normal(q, seed);
      fill_normal(plain, seed + 1);
      fill_normal(w, seed + 2, 1 / std::sqrt(float(c.heads * c.dim)));
    }
    if (c.packed) {
      pack(c, plain);
    } else {
      keys = std::move(plain);
      if (c.key_dtype == DSA_F8_E4M3FN) {
        k_scale = Array(DSA_F32, {all});
        for (int64_t s = 0; s < all; ++s) k_scale.data<float>()[s] = key_scale(s);
      }
    }
    if (c.batch > 0) {
      seq_lens = Array(DSA_I32, {c.batch});
      std::fill_n(seq_lens.data<int32_t>(), c.batch, int32_t(c.keys));
    }
  }

  static int64_t requests(const IndexerCase& c) { return std::max<int64_t>(c.batch, 1); }

  template <class Desc>
  void put(const IndexerCase& c, Desc& desc) const {
    desc.q = q.tensor();
    desc.keys = keys.tensor();
    desc.w = w.tensor();
    desc.k_scale = k_scale.tensor();
    if (c.batch > 0) {
      desc.seq_lens = seq_lens.tensor();
      if (!c.packed) {  // [B, S, Di]
        const int64_t shape[] = {c.batch, c.keys, c.dim};
        desc.key_layout = DSA_LAYOUT_BATCH;
        desc.keys = dsa_tensor_make(keys.data<char>(), c.key_dtype, 3, shape);
        if (k_scale.given())
          desc.k_scale = dsa_tensor_2d(k_scale.data<char>(), DSA_F32, c.batch, c.keys);
      }
    } else if (c.causal) {
      desc.flags |= DSA_CAUSAL;
      desc.offset = c.keys - c.queries;
    }
    if (c.packed) {
      desc.key_layout = DSA_LAYOUT_PAGES;
      desc.key_format = DSA_FORMAT_KEY_PAGE_132;
      desc.page_size = int32_t(kPage);
      desc.block_table = block_table.tensor();
    }
  }

  // Element d of key s of all requests' keys.
  float key(const IndexerCase& c, int64_t s, int64_t d) const {
    if (!c.packed) return keys.at(s * c.dim + d) * (k_scale.given() ? key_scale(s) : 1.0f);
    const char* page = keys.data<char>() + s / kPage * keys.extent(1);
    float scale;
    std::memcpy(&scale, page + kPage * c.dim + s % kPage * 4, 4);
    return scale * decode(DSA_F8_E4M3FN, page + s % kPage * c.dim + d);
  }

 private:
  void fill_real(const Setup& setup, const IndexerCase& c, Array& plain) {
    const RealIndexer& real = real_indexer(setup.settings.real_path);
    if (c.heads != real.kHeads || c.dim != real.kDim || c.keys > real.kTokens ||
        c.queries > real.kTokens) {
      throw std::invalid_argument(fmt::format(
          "the real index queries and keys are {} x {} on at most {} tokens, not {} x {} on {}",
          real.kHeads, real.kDim, real.kTokens, c.heads, c.dim, std::max(c.keys, c.queries)));
    }
    const int64_t first = real.kTokens - c.queries;  // late queries see the most keys
    for (int64_t i = 0; i < q.size(); ++i) q.set(i, real.q[size_t(first * c.heads * c.dim + i)]);
    for (int64_t i = 0; i < w.size(); ++i) w.set(i, real.w[size_t(first * c.heads + i)]);
    for (int64_t i = 0; i < plain.size(); ++i) plain.set(i, real.k[size_t(i)]);
  }

  void pack(const IndexerCase& c, const Array& plain) {
    if (c.keys % kPage != 0) {
      throw std::invalid_argument(
          fmt::format("packed keys come in pages of {}, {} is no multiple", kPage, c.keys));
    }
    const int64_t pages = requests(c) * c.keys / kPage, bytes = kPage * (c.dim + 4);
    keys = Array(DSA_U8, {pages, bytes});
    block_table = Array(DSA_I32, {requests(c), c.keys / kPage});
    for_pieces(pages, 256, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        block_table.data<int32_t>()[p] = int32_t(p);
        char* page = keys.data<char>() + p * bytes;
        std::memcpy(page, plain.data<char>() + p * kPage * c.dim, size_t(kPage * c.dim));
        for (int64_t i = 0; i < kPage; ++i) {
          const float scale = key_scale(p * kPage + i);
          std::memcpy(page + kPage * c.dim + 4 * i, &scale, 4);
        }
      }
    });
  }
};

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
bool scores_are_right(const IndexerCase& c, const Inputs& in, const Array& scores) {
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
std::string agrees_with_two_steps(const Setup& setup, const IndexerCase& c, const Inputs& in,
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
  const Inputs in(setup, c);
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

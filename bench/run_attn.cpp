// Times dsa_sparse_attn.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "call.h"
#include "cases.h"

namespace bench {
namespace {

// DSA_FORMAT_KV_FP8_656
constexpr int64_t kPackedDim = 576, kPackedFp8 = 512, kPackedGroup = 128, kPackedBytes = 656;

Array packed_cache(int64_t keys, uint64_t seed) {
  Array latent(DSA_F8_E4M3FN, {keys, kPackedFp8});
  Array rope(DSA_BF16, {keys, kPackedDim - kPackedFp8});
  fill_normal(latent, seed);
  fill_normal(rope, seed + 1);
  Array cache(DSA_U8, {keys, kPackedBytes});
  for (int64_t s = 0; s < keys; ++s) {
    char* token = cache.data<char>() + s * kPackedBytes;
    std::memcpy(token, latent.data<char>() + s * kPackedFp8, kPackedFp8);
    for (int64_t g = 0; g < kPackedFp8 / kPackedGroup; ++g) {
      const float scale = 0.5f + float((s + g) % 5) / 5;
      std::memcpy(token + kPackedFp8 + 4 * g, &scale, 4);
    }
    std::memcpy(token + kPackedFp8 + 16, rope.data<char>() + s * 128, 128);
  }
  return cache;
}

float kv_at(const AttnCase& c, const Array& kv, int64_t s, int64_t d) {
  if (!c.packed) return kv.at(s * c.dim + d);
  const char* token = kv.data<char>() + s * kPackedBytes;
  if (d >= kPackedFp8) return decode(DSA_BF16, token + kPackedFp8 + 16 + 2 * (d - kPackedFp8));
  float scale;
  std::memcpy(&scale, token + kPackedFp8 + 4 * (d / kPackedGroup), 4);
  return scale * decode(DSA_F8_E4M3FN, token + d);
}

// A few outputs against the formula in double.
bool outputs_are_right(const AttnCase& c, float scale, const Array& q, const Array& kv,
                       const Array& indices, const Array& out) {
  const bool all = c.selection == "all";
  for (const int64_t t : {int64_t{0}, c.queries - 1}) {
    std::vector<int64_t> keys;
    for (int64_t j = 0; j < (all ? c.keys : c.k); ++j) {
      const int64_t s = all ? j : indices.data<int32_t>()[t * c.k + j];
      if (s >= 0) keys.push_back(s);
    }
    for (const int64_t h : {int64_t{0}, c.heads - 1}) {
      std::vector<double> logits;
      double most = -INFINITY;
      for (const int64_t s : keys) {
        double dot = 0;
        for (int64_t d = 0; d < c.dim; ++d) {
          dot += double(q.at((t * c.heads + h) * c.dim + d)) * kv_at(c, kv, s, d);
        }
        logits.push_back(scale * dot);
        most = std::max(most, logits.back());
      }
      double total = 0;
      for (double& z : logits) total += z = std::exp(z - most);
      for (int64_t i = 0; i < 16; ++i) {
        const int64_t d = i * (c.value_dim - 1) / 15;
        double sum = 0, magnitude = 0;
        for (size_t j = 0; j < keys.size(); ++j) {
          const double term = logits[j] / total * kv_at(c, kv, keys[j], d);
          sum += term;
          magnitude += std::fabs(term);
        }
        // Half a unit of the output's dtype and, on tiles, of P in bf16.
        const double share = c.out_dtype == DSA_F32 && c.q_dtype == DSA_F32 ? 1e-4 : 0x1p-6;
        const float got = out.at((t * c.heads + h) * c.value_dim + d);
        if (!(std::fabs(got - sum) <= share * magnitude + 1e-6)) return false;
      }
    }
  }
  return true;
}

// Key rows that at least one query selects: what must come from memory.
double different_keys(const AttnCase& c, const Array& indices) {
  if (c.selection == "all") return double(c.keys);
  std::vector<bool> used(size_t(c.keys), false);
  for (int64_t i = 0; i < indices.size(); ++i) {
    const int32_t s = indices.data<int32_t>()[i];
    if (s >= 0) used[size_t(s)] = true;
  }
  return double(std::count(used.begin(), used.end(), true));
}

}  // namespace

Record run(const Setup& setup, const AttnCase& c) {
  const bool all = c.selection == "all";
  const uint64_t seed = setup.settings.seed;
  Record record = begin_record(setup, "attn");
  const std::string key = c.packed ? "fp8-656" : dtype_name(c.key_dtype);
  record["dtype"] =
      key == dtype_name(c.q_dtype) && c.out_dtype == c.q_dtype
          ? key
          : fmt::format("{}/{}/{}", dtype_name(c.q_dtype), key, dtype_name(c.out_dtype));
  record["pattern"] = c.selection;
  record["rows"] = c.queries;
  record["n"] = c.keys;
  if (!all) record["k"] = c.k;
  record["heads"] = c.heads;
  record["dim"] = c.dim;
  record["value_dim"] = c.value_dim;
  if (c.packed && (c.dim != kPackedDim || c.value_dim > kPackedFp8)) {
    throw std::invalid_argument(fmt::format("an fp8-656 cache is {}/{}, not {}/{}", kPackedDim,
                                            kPackedFp8, c.dim, c.value_dim));
  }

  Array q(c.q_dtype, {c.queries, c.heads, c.dim});
  fill_normal(q, seed);
  Array kv;
  if (c.packed) {
    kv = packed_cache(c.keys, seed + 1);
  } else {
    kv = Array(c.key_dtype, {c.keys, c.dim});
    fill_normal(kv, seed + 1);
  }
  Array indices;
  if (!all) {
    indices = Array(DSA_I32, {c.queries, c.k});
    fill_selection(indices, c.keys, c.selection, seed + 2);
  }
  const Array out(c.out_dtype, {c.queries, c.heads, c.value_dim});
  const Array lse(DSA_F32, {c.queries, c.heads});

  dsa_sparse_attn_desc desc = dsa_sparse_attn_desc_init();
  desc.selection = all ? DSA_SELECTION_ALL : DSA_SELECTION_INDICES;
  desc.k = all ? 0 : c.k;
  desc.scale = float(1 / std::sqrt(double(c.dim)));
  desc.key_format = c.packed ? DSA_FORMAT_KV_FP8_656 : DSA_FORMAT_PLAIN;
  desc.q = q.tensor();
  desc.kv = kv.tensor();
  desc.indices = indices.tensor();
  desc.out = out.tensor();
  desc.lse = lse.tensor();
  record["outputs"] = "out,lse";
  Call call(setup, desc);
  record["kernel"] = call.kernel();
  record["workspace_bytes"] = call.workspace_bytes();
  const Timing timing = call.time();

  const double selected = all ? double(c.keys) : double(std::min<int64_t>(c.k, c.keys));
  const double flop = 2 * double(c.queries * c.heads) * selected * double(c.dim + c.value_dim);
  const double bytes = double(q.bytes() + out.bytes() + lse.bytes()) +
                       (all ? 0 : double(indices.bytes())) +
                       different_keys(c, indices) * double(kv.bytes()) / double(c.keys);
  set_timing(record, timing, bytes, flop, setup.roofs);
  if (setup.settings.check) call.fetch();
  record["check"] = !setup.settings.check                                   ? "-"
                    : outputs_are_right(c, desc.scale, q, kv, indices, out) ? "ok"
                                                                            : "FAILED";
  return record;
}

}  // namespace bench

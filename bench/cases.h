// What can be timed. A case is one operation on one shape.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "context.h"
#include "fill.h"
#include "measure.h"
#include "report.h"
#include "roofs.h"

namespace bench {

struct TopkCase {
  int64_t rows = 1, n = 0;
  int32_t k = 0;
  int32_t dtype = DSA_F32;
  Pattern pattern = Pattern::kRandn;
  std::string outputs = "indices,values";  // of indices, slots, values, counts, cut
  int32_t order = DSA_ORDER_INDEX;
  int32_t ties = DSA_TIES_SMALLER_INDEX;
  std::string lengths;      // row_end: "" all n; a number; "log-uniform" from 1 to n
  bool to_maximum = false;  // by turns with a vectorised maximum over the same row
};

struct IndexerCase {
  int64_t queries = 1, keys = 0, heads = 0, dim = 0;
  int64_t batch = 0;  // requests of `keys` keys each and queries / batch queries at their ends;
                      // 0: one request
  int32_t k = 0;      // 0: dsa_indexer; else dsa_indexer_topk
  int32_t q_dtype = DSA_F32, key_dtype = DSA_F32, score_dtype = DSA_F32;
  bool packed = false;                // keys in pages of 64, DSA_FORMAT_KEY_PAGE_132
  bool causal = false;                // the queries are the last ones of the keys
  Pattern pattern = Pattern::kRandn;  // kRandn or kReal
  std::string outputs = "indices";    // of dsa_indexer_topk, as TopkCase
  bool workspace_only = false;        // how much workspace, without a run
};

struct AttnCase {
  int64_t queries = 1, keys = 0, heads = 0, dim = 0, value_dim = 0;
  int32_t k = 0;
  int32_t q_dtype = DSA_BF16, key_dtype = DSA_BF16, out_dtype = DSA_BF16;
  bool packed = false;               // DSA_FORMAT_KV_FP8_656
  std::string selection = "random";  // as fill_selection, or "all"
};

// dsa_indexer_topk and, over its indices, dsa_sparse_attn: what a layer takes of a prefill.
struct ChainCase {
  IndexerCase select;
  AttnCase attend;
};

// dsa_topk on 1 x 128, k 8: what a call costs at least.
struct OverheadCase {
  bool plan = false;  // with a plan and a workspace
};

using Case = std::variant<TopkCase, IndexerCase, AttnCase, ChainCase, OverheadCase>;

struct Job {
  std::string group;
  std::string model;
  ContextSpec context;
  Case what;
  DeviceMode device_mode = DeviceMode::kWarm;
};

struct Settings {
  TimingPlan timing;
  DeviceTimingPlan device_timing;
  uint64_t seed = 1;
  std::string real_path;
  bool own_workspace = false;  // give a workspace; else the context lends one
  bool check = true;
};

struct Setup {
  const Context& context;
  const Settings& settings;
  const Roofs* roofs;  // or NULL
  DeviceMode device_mode;
};

Record run(const Setup& setup, const TopkCase& c);
Record run(const Setup& setup, const IndexerCase& c);
Record run(const Setup& setup, const AttnCase& c);
Record run(const Setup& setup, const ChainCase& c);
Record run(const Setup& setup, const OverheadCase& c);

std::string describe(const Job& job);  // one line for the progress

// A record of an operation: what all of them begin with.
Record begin_record(const Setup& setup, const char* operation);

// "indices,values" and so on into a descriptor of dsa_topk or dsa_indexer_topk.
struct SelectOutputs {
  Array indices, slots, values, counts, cut_score, cut_index;

  SelectOutputs(const std::string& which, int64_t rows, int32_t k, int32_t values_dtype);
  double bytes() const;
  template <class Desc>
  void put(Desc& desc) const {
    desc.indices = indices.tensor();
    desc.slots = slots.tensor();
    desc.values = values.tensor();
    desc.counts = counts.tensor();
    desc.cut_score = cut_score.tensor();
    desc.cut_index = cut_index.tensor();
  }
};

}  // namespace bench

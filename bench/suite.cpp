#include "suite.h"

#include <algorithm>

namespace bench {
namespace {

struct TopkShape {
  int64_t rows, n;
  int32_t k;
};

// Batches of short rows (training, small indexers) to one long row (decode).
constexpr TopkShape kTopkShapes[] = {
    {128, 128, 8},     {256, 256, 16},    {512, 128, 8},     {8192, 512, 32},   {8192, 512, 128},
    {16384, 1024, 64}, {65536, 1024, 64}, {64, 4096, 512},   {64, 16384, 1024}, {16, 65536, 2048},
    {1, 131072, 2048}, {1, 131072, 64},   {16, 131072, 2048}};

// Where a pattern could break a selection: short rows, pages of rows, one row, a long batch.
constexpr TopkShape kPatternShapes[] = {
    {8192, 512, 32}, {64, 16384, 1024}, {16, 65536, 2048}, {1, 131072, 2048}};

// What the CPU-offload experiment was timed on (threshold only).
constexpr TopkShape kCutShapes[] = {{128, 128, 8},    {256, 256, 16},    {8192, 512, 32},
                                    {8192, 512, 128}, {16384, 1024, 64}, {65536, 1024, 64}};

TopkCase topk(const TopkShape& shape, Pattern pattern = Pattern::kRandn) {
  TopkCase c;
  c.rows = shape.rows;
  c.n = shape.n;
  c.k = shape.k;
  c.pattern = pattern;
  return c;
}

class Builder {
 public:
  Builder(const ContextSpec& base, bool has_amx, std::vector<Job>& jobs)
      : base_(base), has_amx_(has_amx), jobs_(jobs) {}

  void add(const std::string& group, const Case& what) {
    jobs_.push_back({group, "", base_, what});
  }
  void add_one_core(const std::string& group, const Case& what) {
    ContextSpec one = base_;
    one.threads = 1;
    jobs_.push_back({group, "", one, what});
  }
  // With the best kernel and, where that is AMX, with AVX-512 too.
  void add_each_unit(const std::string& group, const Case& what) {
    add(group, what);
    if (!has_amx_ || !base_.kernel.empty() || !base_.isa.empty()) return;
    ContextSpec below = base_;
    below.isa = "avx512";
    jobs_.push_back({group, "", below, what});
  }

 private:
  ContextSpec base_;
  bool has_amx_;
  std::vector<Job>& jobs_;
};

IndexerCase indexer(int64_t queries, int64_t keys, int64_t heads, int32_t q_dtype,
                    int32_t key_dtype, int32_t k = 0) {
  IndexerCase c;
  c.queries = queries;
  c.keys = keys;
  c.heads = heads;
  c.dim = 128;
  c.k = k;
  c.q_dtype = q_dtype;
  c.key_dtype = key_dtype;
  return c;
}

void add_indexer(Builder& builder) {
  constexpr int64_t kQueries = 64, kKeys = 65536;
  builder.add("indexer", indexer(kQueries, kKeys, 64, DSA_F32, DSA_F32));
  builder.add_each_unit("indexer", indexer(kQueries, kKeys, 64, DSA_BF16, DSA_BF16));
  builder.add("indexer", indexer(kQueries, kKeys, 64, DSA_F16, DSA_F16));
  builder.add("indexer", indexer(kQueries, kKeys, 64, DSA_F32, DSA_F16));
  builder.add("indexer", indexer(kQueries, kKeys, 64, DSA_F32, DSA_BF16));
  builder.add_each_unit("indexer", indexer(kQueries, kKeys, 32, DSA_BF16, DSA_BF16));
  IndexerCase packed = indexer(kQueries, kKeys, 64, DSA_F8_E4M3FN, DSA_F8_E4M3FN);
  packed.packed = true;
  builder.add("indexer", packed);
  builder.add("indexer", indexer(1, kKeys, 64, DSA_F32, DSA_F32));
  builder.add("indexer", indexer(1, kKeys, 64, DSA_F32, DSA_F16));
  builder.add_each_unit("indexer", indexer(1, kKeys, 64, DSA_BF16, DSA_BF16));
}

void add_indexer_topk(Builder& builder) {
  builder.add("indexer-topk", indexer(64, 65536, 64, DSA_F32, DSA_F32, 2048));
  builder.add_each_unit("indexer-topk", indexer(64, 65536, 64, DSA_BF16, DSA_BF16, 2048));
  builder.add("indexer-topk", indexer(1, 65536, 64, DSA_BF16, DSA_BF16, 2048));
  IndexerCase real = indexer(1024, 4096, 8, DSA_BF16, DSA_BF16, 256);
  real.dim = 64;
  real.causal = true;
  real.pattern = Pattern::kReal;
  builder.add("indexer-topk", real);
  IndexerCase large = indexer(8192, 131072, 4, DSA_F32, DSA_F32, 2048);
  large.workspace_only = true;
  builder.add("indexer-topk", large);
}

void add_attn(Builder& builder) {
  for (const int64_t heads : {16, 128}) {
    AttnCase c;
    c.queries = 64;
    c.keys = 65536;
    c.heads = heads;
    c.dim = 576;
    c.value_dim = 512;
    c.k = 2048;
    builder.add_each_unit("attn", c);
    c.packed = true;
    builder.add("attn", c);
  }
  AttnCase decode;
  decode.keys = 65536;
  decode.heads = 128;
  decode.dim = 576;
  decode.value_dim = 512;
  decode.k = 2048;
  builder.add_each_unit("attn", decode);
}

}  // namespace

const std::vector<std::string>& suite_groups() {
  static const std::vector<std::string> names = {"topk",         "topk-patterns", "topk-cut",
                                                 "topk-ggml",    "topk-one-core", "indexer",
                                                 "indexer-topk", "attn",          "overhead"};
  return names;
}

std::vector<Job> suite_jobs(const std::vector<std::string>& groups, const ContextSpec& base,
                            const std::string& isa_found) {
  std::vector<Job> jobs;
  Builder builder(base, isa_found == "amx", jobs);
  for (const std::string& group : groups) {
    if (group == "topk") {
      for (const TopkShape& shape : kTopkShapes) builder.add(group, topk(shape));
    } else if (group == "topk-patterns") {
      for (const TopkShape& shape : kPatternShapes) {
        for (size_t i = 0; i < pattern_names().size(); ++i) {
          builder.add(group, topk(shape, Pattern(i)));
        }
      }
    } else if (group == "topk-cut") {
      for (const TopkShape& shape : kCutShapes) {
        TopkCase c = topk(shape);
        c.outputs = "cut";
        builder.add(group, c);
      }
    } else if (group == "topk-ggml") {
      for (const int64_t rows : {1, 16}) {
        for (const int64_t n : {1000, 65000, 200000}) {
          for (const int32_t k : {10, 40, 400}) {
            TopkCase c = topk({rows, n, k});
            c.outputs = "indices";
            builder.add(group, c);
          }
        }
      }
    } else if (group == "topk-one-core") {
      for (const int32_t k : {64, 512, 2048}) {
        TopkCase c = topk({1, kMaximumRow, k});
        c.to_maximum = true;
        builder.add_one_core(group, c);
      }
    } else if (group == "indexer") {
      add_indexer(builder);
    } else if (group == "indexer-topk") {
      add_indexer_topk(builder);
    } else if (group == "attn") {
      add_attn(builder);
    } else if (group == "overhead") {
      for (const bool plan : {false, true}) {
        builder.add(group, OverheadCase{plan});
        builder.add_one_core(group, OverheadCase{plan});
      }
    }
  }
  return jobs;
}

}  // namespace bench

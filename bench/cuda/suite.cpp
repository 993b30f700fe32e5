#include "cuda/suite.h"

#include <functional>

namespace bench {
namespace {

using Add = std::function<void(const Case&, DeviceMode)>;

TopkCase topk(int64_t rows, int64_t n, int32_t k) {
  TopkCase c;
  c.rows = rows;
  c.n = n;
  c.k = k;
  c.outputs = "indices";
  return c;
}

// Batches of decoding and prefill over contexts to 160K, at the models' k.
void add_topk(const Add& add) {
  for (const int32_t k : {512, 1024, 2048}) {
    for (const int64_t rows : {1, 4, 16, 64, 256, 1024}) {
      for (const int64_t n : {4096, 8192, 16384, 32768, 65536, 131072, 163840}) {
        add(topk(rows, n, k), DeviceMode::kWarm);
      }
    }
  }
}

// Many short rows: training, small indexers.
void add_topk_short(const Add& add) {
  for (const int32_t k : {8, 16, 32, 64, 128}) {
    for (const int64_t rows : {128, 4096, 32768}) {
      for (const int64_t n : {64, 128, 256, 512, 1024, 2048}) {
        if (n > k) add(topk(rows, n, k), DeviceMode::kWarm);
      }
    }
  }
}

void add_topk_patterns(const Add& add) {
  for (const auto& [rows, n] : {std::pair{1, 131072}, {64, 65536}, {1024, 32768}, {4096, 2048}}) {
    for (size_t i = 0; i < pattern_names().size(); ++i) {
      TopkCase c = topk(rows, n, n > 2048 ? 2048 : 128);
      c.pattern = Pattern(i);
      add(c, DeviceMode::kWarm);
    }
  }
}

// One capacity, many lengths: each beside rows of just that capacity.
void add_topk_lengths(const Add& add) {
  for (const int64_t rows : {1, 64, 1024}) {
    for (const char* lengths : {"4096", "32768", "log-uniform"}) {
      TopkCase c = topk(rows, 163840, 2048);
      c.lengths = lengths;
      add(c, DeviceMode::kWarm);
    }
    for (const int64_t n : {4096, 32768, 163840}) add(topk(rows, n, 2048), DeviceMode::kWarm);
  }
}

void add_topk_slots(const Add& add) {
  for (const int64_t rows : {1, 64, 1024}) {
    for (const char* outputs : {"indices", "slots"}) {
      TopkCase c = topk(rows, 65536, 2048);
      c.outputs = outputs;
      add(c, DeviceMode::kWarm);
    }
  }
}

IndexerCase fp8_indexer(int64_t queries, int64_t keys, int64_t heads) {
  IndexerCase c;
  c.queries = queries;
  c.keys = keys;
  c.heads = heads;
  c.dim = 128;
  c.q_dtype = c.key_dtype = DSA_F8_E4M3FN;
  return c;
}

void add_indexer(const Add& add) {
  for (const int64_t heads : {64, 32}) {
    for (const auto& [queries, keys] : {std::pair{2048, 8192}, {4096, 32768}, {4096, 131072}}) {
      IndexerCase c = fp8_indexer(queries, keys, heads);
      c.causal = true;
      for (const DeviceMode mode : {DeviceMode::kBurst, DeviceMode::kSustained}) add(c, mode);
    }
  }
  IndexerCase bf16 = fp8_indexer(4096, 32768, 64);
  bf16.q_dtype = bf16.key_dtype = DSA_BF16;
  bf16.causal = true;
  add(bf16, DeviceMode::kBurst);
}

void add_indexer_decode(const Add& add) {
  for (const int64_t next_n : {1, 2}) {
    for (const int64_t batch : {1, 8, 32, 64, 128}) {
      for (const int64_t keys : {8192, 32768, 65536, 131072}) {
        IndexerCase c = fp8_indexer(batch * next_n, keys, 64);
        c.batch = batch;
        c.packed = true;
        add(c, DeviceMode::kWarm);
      }
    }
  }
}

void add_indexer_topk(const Add& add) {
  IndexerCase prefill = fp8_indexer(4096, 32768, 64);
  prefill.causal = true;
  add(prefill, DeviceMode::kBurst);
  prefill.k = 2048;
  add(prefill, DeviceMode::kBurst);
  for (const int64_t batch : {1, 32}) {
    IndexerCase decode = fp8_indexer(batch, 65536, 64);
    decode.batch = batch;
    decode.packed = true;
    add(decode, DeviceMode::kWarm);
    decode.k = 2048;
    add(decode, DeviceMode::kWarm);
  }
}

AttnCase mla(int64_t queries, int64_t keys, int64_t heads, bool packed) {
  AttnCase c;
  c.queries = queries;
  c.keys = keys;
  c.heads = heads;
  c.dim = 576;
  c.value_dim = 512;
  c.k = 2048;
  c.packed = packed;
  return c;
}

void add_attn(const Add& add) {
  for (const int64_t heads : {16, 64, 128}) {
    for (const int64_t keys : {8192, 32768, 131072}) {
      const AttnCase c = mla(4096, keys, heads, false);
      for (const DeviceMode mode : {DeviceMode::kBurst, DeviceMode::kSustained}) add(c, mode);
    }
  }
}

void add_attn_decode(const Add& add) {
  for (const int64_t heads : {16, 64, 128}) {
    for (const int64_t queries : {1, 8, 32, 64, 128, 256}) {
      add(mla(queries, 131072, heads, true), DeviceMode::kCold);
    }
    add(mla(1, 131072, heads, false), DeviceMode::kCold);
  }
}

void add_chain(const Add& add) {
  for (const int64_t heads : {16, 128}) {
    ChainCase c{fp8_indexer(4096, 32768, 64), mla(4096, 32768, heads, false)};
    c.select.causal = true;
    c.select.k = 2048;
    add(c, DeviceMode::kBurst);
  }
}

struct Group {
  const char* name;
  void (*add)(const Add&);
};
constexpr Group kGroups[] = {{"topk", add_topk},
                             {"topk-short", add_topk_short},
                             {"topk-patterns", add_topk_patterns},
                             {"topk-lengths", add_topk_lengths},
                             {"topk-slots", add_topk_slots},
                             {"indexer", add_indexer},
                             {"indexer-decode", add_indexer_decode},
                             {"indexer-topk", add_indexer_topk},
                             {"attn", add_attn},
                             {"attn-decode", add_attn_decode},
                             {"chain", add_chain}};

}  // namespace

const std::vector<std::string>& device_suite_groups() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Group& group : kGroups) all.push_back(group.name);
    return all;
  }();
  return names;
}

std::vector<Job> device_suite_jobs(const std::vector<std::string>& groups,
                                   const ContextSpec& context) {
  std::vector<Job> jobs;
  for (const Group& group : kGroups) {
    for (const std::string& name : groups) {
      if (name != group.name) continue;
      group.add([&](const Case& what, DeviceMode mode) {
        jobs.push_back({name, "", context, what, mode});
      });
    }
  }
  return jobs;
}

}  // namespace bench

#include <cstdio>

#include "support/cases.h"

namespace support {
namespace {

struct Writer {
  std::string out;

  void number(const char* name, int64_t value) {
    if (value != 0) out += std::string("  ") + name + " " + std::to_string(value);
  }
  void tensor(const char* name, const dsa_tensor& t) {
    if (t.ndim == 0) return;
    static const char* const kNames[] = {"?", "f32", "f16", "bf16", "e4m3fn", "u8", "i32"};
    out += std::string("\n  ") + name + " " + (t.dtype < 7 ? kNames[t.dtype] : "?") + " [";
    for (int i = 0; i < t.ndim; ++i) out += (i ? ", " : "") + std::to_string(t.shape[i]);
    out += "] strides [";
    for (int i = 0; i < t.ndim; ++i) out += (i ? ", " : "") + std::to_string(t.stride[i]);
    char address[40];
    std::snprintf(address, sizeof address, "] at %p", t.data);
    out += address;
  }

  template <class Desc>
  void rows(const Desc& d) {
    number("flags", int64_t(d.flags));
    number("batch", d.batch);
    number("offset", d.offset);
    number("max_keys", d.max_keys);
    number("next_n", d.next_n);
    number("ratio", d.ratio);
    tensor("block_table", d.block_table);
    tensor("row_request", d.row_request);
    tensor("row_begin", d.row_begin);
    tensor("row_end", d.row_end);
    tensor("seq_lens", d.seq_lens);
    tensor("mask", d.mask);
  }

  template <class Desc>
  void index_inputs(const Desc& d) {
    number("key_layout", d.key_layout);
    number("key_format", d.key_format);
    number("page_size", d.page_size);
    tensor("q", d.q);
    tensor("keys", d.keys);
    tensor("w", d.w);
    tensor("q_scale", d.q_scale);
    tensor("k_scale", d.k_scale);
  }

  template <class Desc>
  void select(const Desc& d) {
    number("k", d.k);
    number("order", d.order);
    number("ties", d.ties);
    number("slot_page_size", d.slot_page_size);
    number("slot_page_stride", d.slot_page_stride);
    tensor("index_base", d.index_base);
    tensor("slot_table", d.slot_table);
    tensor("hint_indices", d.hint_indices);
    tensor("hint_bound", d.hint_bound);
    tensor("indices", d.indices);
    tensor("slots", d.slots);
    tensor("values", d.values);
    tensor("counts", d.counts);
    tensor("cut_score", d.cut_score);
    tensor("cut_index", d.cut_index);
  }
};

}  // namespace

std::string describe(const dsa_topk_desc& d) {
  Writer w;
  w.rows(d);
  w.number("page_size", d.page_size);
  w.tensor("scores", d.scores);
  w.select(d);
  return w.out;
}

std::string describe(const dsa_indexer_desc& d) {
  Writer w;
  w.rows(d);
  w.index_inputs(d);
  w.tensor("scores", d.scores);
  return w.out;
}

std::string describe(const dsa_indexer_topk_desc& d) {
  Writer w;
  w.rows(d);
  w.index_inputs(d);
  w.select(d);
  return w.out;
}

std::string describe(const dsa_sparse_attn_desc& d) {
  Writer w;
  w.rows(d);
  w.out += "  scale " + std::to_string(d.scale);
  w.number("key_layout", d.key_layout);
  w.number("key_format", d.key_format);
  w.number("page_size", d.page_size);
  w.number("selection", d.selection);
  w.number("k", d.k);
  w.number("index_block", d.index_block);
  w.number("slot_page_size", d.slot_page_size);
  w.number("slot_page_stride", d.slot_page_stride);
  const std::pair<const char*, const dsa_tensor*> first[] = {{"q", &d.q},
                                                             {"q2", &d.q2},
                                                             {"kv", &d.kv},
                                                             {"kv2", &d.kv2},
                                                             {"v", &d.v},
                                                             {"kv_scale", &d.kv_scale},
                                                             {"v_scale", &d.v_scale},
                                                             {"q_scale", &d.q_scale},
                                                             {"index_base", &d.index_base},
                                                             {"indices", &d.indices},
                                                             {"counts", &d.counts},
                                                             {"scores", &d.scores},
                                                             {"cut_score", &d.cut_score},
                                                             {"cut_index", &d.cut_index},
                                                             {"sink", &d.sink}};
  for (const auto& [name, tensor] : first) w.tensor(name, *tensor);
  w.out += "\n second scope:";
  w.number("k_b", d.k_b);
  w.number("key_layout_b", d.key_layout_b);
  w.number("key_format_b", d.key_format_b);
  w.number("page_size_b", d.page_size_b);
  w.number("selection_b", d.selection_b);
  w.number("slot_page_size_b", d.slot_page_size_b);
  w.number("slot_page_stride_b", d.slot_page_stride_b);
  const std::pair<const char*, const dsa_tensor*> second[] = {{"kv_b", &d.kv_b},
                                                              {"kv2_b", &d.kv2_b},
                                                              {"v_b", &d.v_b},
                                                              {"kv_scale_b", &d.kv_scale_b},
                                                              {"v_scale_b", &d.v_scale_b},
                                                              {"block_table_b", &d.block_table_b},
                                                              {"row_begin_b", &d.row_begin_b},
                                                              {"row_end_b", &d.row_end_b},
                                                              {"indices_b", &d.indices_b},
                                                              {"counts_b", &d.counts_b},
                                                              {"out", &d.out},
                                                              {"lse", &d.lse},
                                                              {"max", &d.max}};
  for (const auto& [name, tensor] : second) w.tensor(name, *tensor);
  return w.out;
}

std::string describe(const dsa_merge_lse_desc& d) {
  Writer w;
  w.number("flags", int64_t(d.flags));
  w.tensor("partial_out", d.partial_out);
  w.tensor("partial_lse", d.partial_lse);
  w.tensor("partial_max", d.partial_max);
  w.tensor("sink", d.sink);
  w.tensor("out", d.out);
  w.tensor("lse", d.lse);
  w.tensor("max", d.max);
  return w.out;
}

}  // namespace support

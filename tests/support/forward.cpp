#include "support/forward.h"

#include <algorithm>

#include "oracle/attention.h"
#include "support/element.h"
#include "support/kernels.h"

namespace support {
namespace {

// Tensors of both descriptors as one array, outputs last.
class AllTensors {
 public:
  AllTensors(dsa_indexer_topk_desc& s, dsa_sparse_attn_desc& a) {
    const Tensors parts[] = {tensors_of(s), tensors_of(a)};
    for (const bool outputs : {false, true}) {
      for (const Tensors& part : parts) {
        const int inputs = part.count - part.outputs;
        for (int i = outputs ? inputs : 0; i < (outputs ? part.count : inputs); ++i) {
          from_.push_back(&part.first[i]);
        }
      }
    }
    outputs_ = parts[0].outputs + parts[1].outputs;
    for (const dsa_tensor* t : from_) tensors_.push_back(*t);
  }
  Tensors tensors() { return {tensors_.data(), int(tensors_.size()), outputs_}; }
  // What the array holds now, into the descriptors.
  void put_back() const {
    for (size_t i = 0; i < from_.size(); ++i) *from_[i] = tensors_[i];
  }

 private:
  std::vector<dsa_tensor*> from_;
  std::vector<dsa_tensor> tensors_;
  int outputs_ = 0;
};

template <class Desc>
dsa_status run_select(dsa_ctx* ctx, const Desc& d, Where where) {
  if (where.kind == Where::kHost) return run_here(ctx, d, nullptr);
  if (where.kind == Where::kCopied) {
    Desc moved = d;
    return run_copied(
        tensors_of(moved), nullptr,
        [&] {
          uint64_t bytes = 0;
          dsa_workspace_size(ctx, &moved, &bytes);
          return bytes;
        },
        [&](const dsa_exec* exec) { return run_here(ctx, moved, exec); });
  }
  const dsa_status status = run_here(ctx, said_on_device(d), nullptr);
  where.finish();
  return status;
}

std::vector<unsigned char> bytes_of(const dsa_indexer_topk_desc& d) {
  std::vector<unsigned char> bytes;
  const dsa_tensor* outputs[] = {&d.indices, &d.slots,     &d.values,
                                 &d.counts,  &d.cut_score, &d.cut_index};
  for (const dsa_tensor* t : outputs) {
    if (t->ndim == 0) continue;
    each_element(*t, [&](const char* at, const int64_t*) {
      bytes.insert(bytes.end(), at, at + dtype_bytes(t->dtype));
    });
  }
  return bytes;
}

}  // namespace

dsa_forward_desc ForwardCase::desc(int32_t route) const {
  dsa_forward_desc d = dsa_forward_desc_init();
  d.route = route;
  d.select = &select;
  d.attend = &attend;
  return d;
}

std::string describe(const ForwardCase& c) {
  return "seed " + std::to_string(c.seed) + " select:" + describe(c.select) +
         "\nattend:" + describe(c.attend) + "\n";
}

dsa_status run_forward(dsa_ctx* ctx, const ForwardCase& c, int32_t route, Where where,
                       const dsa_exec* exec) {
  if (where.kind == Where::kHost) {
    const dsa_forward_desc d = c.desc(route);
    return dsa_forward(ctx, &d, exec);
  }
  dsa_indexer_topk_desc select = c.select;
  dsa_sparse_attn_desc attend = c.attend;
  dsa_forward_desc d = c.desc(route);
  d.select = &select;
  d.attend = &attend;
  if (where.kind == Where::kSaidOnDevice) {
    select = said_on_device(select);
    attend = said_on_device(attend);
    const dsa_status status = dsa_forward(ctx, &d, exec);
    where.finish();
    return status;
  }
  AllTensors all(select, attend);
  return run_copied(
      all.tensors(), exec,
      [&] {
        all.put_back();
        uint64_t bytes = 0;
        dsa_workspace_size(ctx, &d, &bytes);
        return bytes;
      },
      [&](const dsa_exec* used) {
        all.put_back();
        return dsa_forward(ctx, &d, used);
      });
}

std::string judge_forward(dsa_ctx* ctx, ForwardCase& c, int32_t route, Where where,
                          const dsa_exec* exec) {
  const uint64_t inputs = c.arena.input_hash();
  c.arena.reset_outputs();
  if (run_forward(ctx, c, route, where, exec) != DSA_OK) return dsa_last_error();
  if (c.arena.input_hash() != inputs) return "an input was changed";
  if (const std::string gaps = c.arena.check_gaps(); !gaps.empty()) return gaps;
  return judge_outputs(ctx, c, where);
}

std::string judge_outputs(dsa_ctx* ctx, ForwardCase& c, Where where) {
  const std::vector<unsigned char> selected = bytes_of(c.select);

  // The selection alone, with indices for the oracle.
  const int64_t rows = c.select.q.shape[0] * (c.select.q.ndim == 4 ? c.select.q.shape[1] : 1);
  dsa_indexer_topk_desc alone = c.select;
  // Rows are shorter.
  if (alone.indices.ndim == 0) alone.k = std::min(alone.k, 20000);
  std::vector<int32_t> indices(size_t(rows * alone.k) + 1, 12345);
  if (alone.indices.ndim == 0) {
    alone.indices = dsa_tensor_2d(indices.data(), DSA_I32, rows, alone.k);
  }
  std::vector<int32_t> counts(size_t(rows) + 1, 12345);
  if (alone.counts.ndim == 0) alone.counts = dsa_tensor_1d(counts.data(), DSA_I32, rows);
  if (run_select(ctx, alone, where) != DSA_OK) return dsa_last_error();
  const bool repeats = c.select.ties != DSA_TIES_ANY && c.select.order != DSA_ORDER_ANY;
  if (repeats && bytes_of(c.select) != selected)
    return "the selection differs from dsa_indexer_topk";

  dsa_sparse_attn_desc judged = c.attend;
  judged.k = alone.k;
  judged.indices = alone.indices;
  judged.counts = alone.counts;
  return oracle::check_sparse_attn(judged, 1.0 / 512);
}

}  // namespace support

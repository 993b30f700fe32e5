// Times dsa_indexer_topk and dsa_sparse_attn over what it selected, one after the other. Each is
// checked by a case of its own.
#include <fmt/format.h>

#include <cmath>

#include "call.h"
#include "indexer_inputs.h"

namespace bench {

Record run(const Setup& setup, const ChainCase& c) {
  const IndexerCase& s = c.select;
  const AttnCase& a = c.attend;
  Record record = begin_record(setup, "chain");
  record["dtype"] = fmt::format("{}+{}", dtype_name(s.key_dtype), dtype_name(a.key_dtype));
  record["pattern"] = s.causal ? "randn causal" : "randn";
  record["rows"] = s.queries;
  record["n"] = s.keys;
  record["k"] = s.k;
  record["heads"] = a.heads;
  record["dim"] = a.dim;
  record["value_dim"] = a.value_dim;
  record["outputs"] = "indices,out";

  const IndexerInputs in(setup, s);
  const Array indices(DSA_I32, {s.queries, s.k});
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  in.put(s, select);
  select.k = s.k;
  select.indices = indices.tensor();
  Call selection(setup, select);

  Array q(a.q_dtype, {a.queries, a.heads, a.dim});
  Array kv(a.key_dtype, {a.keys, a.dim});
  fill_normal(q, setup.settings.seed + 3);
  fill_normal(kv, setup.settings.seed + 4);
  const Array out(a.out_dtype, {a.queries, a.heads, a.value_dim});
  dsa_sparse_attn_desc attend = dsa_sparse_attn_desc_init();
  attend.k = s.k;
  attend.scale = float(1 / std::sqrt(double(a.dim)));
  attend.q = q.tensor();
  attend.kv = kv.tensor();
  attend.indices = selection.desc().indices;
  attend.out = out.tensor();
  Call attention(setup, attend);

  record["kernel"] = selection.kernel() + "+" + attention.kernel();
  record["workspace_bytes"] = std::max(selection.workspace_bytes(), attention.workspace_bytes());
  const double pairs = double(s.queries) * (double(s.keys) - double(s.causal ? s.queries : 0) / 2);
  const double flop = 2 * pairs * double(s.heads * s.dim) +
                      2 * double(a.queries * a.heads * a.k) * double(a.dim + a.value_dim);
  const double bytes = double(in.q.bytes() + in.keys.bytes() + q.bytes() + kv.bytes()) +
                       double(indices.bytes() + out.bytes());
  set_timing(record, time_calls(setup, [&] { selection(), attention(); }), bytes, flop,
             setup.roofs);
  record["check"] = "-";
  return record;
}

}  // namespace bench

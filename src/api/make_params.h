// From public descriptors to checked parameters: one function an operation, in its own file.
#pragma once

#include "core/params.h"

namespace dsa {

TopkParams make_params(const dsa_topk_desc& desc, CallKind call);
IndexerParams make_params(const dsa_indexer_desc& desc, CallKind call);
IndexerTopkParams make_params(const dsa_indexer_topk_desc& desc, CallKind call);
SparseAttnParams make_params(const dsa_sparse_attn_desc& desc, CallKind call);
MergeLseParams make_params(const dsa_merge_lse_desc& desc, CallKind call);

inline int64_t query_rows(const TopkParams& p) { return p.rows.count; }
inline int64_t query_rows(const IndexerParams& p) { return p.rows.count; }
inline int64_t query_rows(const IndexerTopkParams& p) { return p.indexer.rows.count; }
inline int64_t query_rows(const SparseAttnParams& p) { return p.rows; }
inline int64_t query_rows(const MergeLseParams& p) { return p.rows; }

}  // namespace dsa

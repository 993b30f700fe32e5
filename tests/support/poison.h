// NaN into every key row that a call may not use.
#pragma once

#include "dsa.h"

namespace support {

void poison_unread(const dsa_indexer_desc& d);
void poison_unread(const dsa_indexer_topk_desc& d);
void poison_unread(const dsa_sparse_attn_desc& d);

}  // namespace support

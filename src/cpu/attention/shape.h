// What the row kernels take for a call: formats, and heads that share keys.
#pragma once

#include <cstdint>

#include "core/params.h"
#include "cpu/attention/tier.h"

namespace dsa::cpu {

AttnType attn_type(int32_t dtype);

// Heads that share keys in both scopes.
int32_t attn_group_heads(const SparseAttnParams& p);

// V is the first part of the keys, so that one load of a row serves both products.
bool attn_values_in_keys(const AttnScope& scope, int32_t dv);

// A task of `heads` heads in a scope. `apart`: V has rows of its own.
AttnShape attn_shape(const SparseAttnParams& p, const AttnScope& scope, int32_t heads, bool apart);

}  // namespace dsa::cpu

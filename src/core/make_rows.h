// From the common fields of a descriptor to Rows (core/rows.h): one set of checks for every
// operation.
#pragma once

#include <cinttypes>

#include "core/error.h"
#include "core/rows.h"

namespace dsa {

// B: the batch field, else the extent that a table, the keys or seq_lens give, else 1. All that are
// given must agree. `keys_batch` (named keys_name in errors) is 0 where the keys say nothing.
template <class Desc>
int64_t resolve_batch(const char* op, const Desc& d, int64_t keys_batch, const char* keys_name) {
  if (d.batch < 0) fail(DSA_ERROR_INVALID, "%s.batch is %" PRId64 ", must be >= 0", op, d.batch);
  struct Source {
    const char* name;
    int64_t value;
    bool given;
  };
  const Source sources[] = {{"batch", d.batch, d.batch > 0},
                            {"block_table.shape[0]", d.block_table.shape[0], given(d.block_table)},
                            {keys_name, keys_batch, keys_batch > 0},
                            {"seq_lens.shape[0]", d.seq_lens.shape[0], given(d.seq_lens)}};
  const Source* chosen = nullptr;
  for (const Source& s : sources) {
    if (!s.given) continue;
    if (chosen && chosen->value != s.value) {
      fail(DSA_ERROR_INVALID, "%s.%s is %" PRId64 ", %s.%s is %" PRId64, op, s.name, s.value, op,
           chosen->name, chosen->value);
    }
    if (!chosen) chosen = &s;
  }
  const int64_t batch = chosen ? chosen->value : 1;
  if (batch < 0 || batch > INT32_MAX) {
    fail(DSA_ERROR_INVALID, "%s.%s is %" PRId64 ", must be 0 to 2^31-1", op, chosen->name, batch);
  }
  return batch;
}

// `key_limit` bounds positions of a request, `columns` is that of the score matrix (-1: none
// given).
template <class Desc>
Rows make_rows(const char* op, const Desc& d, int64_t count, int64_t batch, int64_t key_limit,
               int64_t columns, CallKind call) {
  constexpr uint32_t kI32 = dtype_bit(DSA_I32);
  Rows rows;
  rows.count = count;
  rows.batch = batch;
  rows.row_request = row_tensor({op, "row_request", kI32}, d.row_request, 0, count, call);
  rows.row_begin = row_tensor({op, "row_begin", kI32}, d.row_begin, 0, count, call);
  rows.row_end = row_tensor({op, "row_end", kI32}, d.row_end, 0, count, call);
  if (batch == 0 && count > 0) {
    fail(DSA_ERROR_INVALID, "%s: there are %" PRId64 " query rows and no requests (batch is 0)", op,
         count);
  }
  if (!rows.row_request.given()) {
    if (batch > 0 && count % batch != 0) {
      fail(DSA_ERROR_INVALID,
           "%s: %" PRId64 " query rows do not divide by batch %" PRId64 "; give row_request", op,
           count, batch);
    }
    rows.per_request = batch > 0 ? count / batch : 0;
  }

  const bool causal = (d.flags & DSA_CAUSAL) != 0;
  const int ways = int(given(d.row_end)) + int(given(d.seq_lens)) + int(causal);
  if (ways > 1) {
    fail(DSA_ERROR_INVALID, "%s: visible keys are given in %d ways (row_end%s%s); give one", op,
         ways, given(d.seq_lens) ? ", seq_lens" : "", causal ? ", DSA_CAUSAL" : "");
  }
  if (given(d.row_begin) && !given(d.row_end)) {
    fail(DSA_ERROR_INVALID, "%s.row_begin is given without row_end", op);
  }
  if (d.ratio < 0) fail(DSA_ERROR_INVALID, "%s.ratio is %d, must be >= 0", op, d.ratio);
  if (d.next_n < 0) fail(DSA_ERROR_INVALID, "%s.next_n is %d, must be >= 0", op, d.next_n);
  if (d.max_keys < 0) {
    fail(DSA_ERROR_INVALID, "%s.max_keys is %" PRId64 ", must be >= 0", op, d.max_keys);
  }
  if (d.ratio > 1 && !given(d.seq_lens) && !causal) {
    fail(DSA_ERROR_INVALID, "%s.ratio is %d, but only seq_lens and DSA_CAUSAL have it", op,
         d.ratio);
  }
  if (d.next_n != 0 && !given(d.seq_lens)) {
    fail(DSA_ERROR_INVALID, "%s.next_n is %d without seq_lens", op, d.next_n);
  }
  if (d.offset != 0 && !causal) {
    fail(DSA_ERROR_INVALID, "%s.offset is %" PRId64 " without DSA_CAUSAL", op, d.offset);
  }
  rows.ratio = d.ratio == 0 ? 1 : d.ratio;
  rows.max_keys = d.max_keys;
  rows.key_limit = key_limit;
  rows.columns_from_begin = (d.flags & DSA_COLUMNS_FROM_BEGIN) != 0;

  if (given(d.row_end)) {
    rows.by = VisibleBy::kRange;
  } else if (causal) {
    if (rows.row_request.given()) {
      fail(DSA_ERROR_INVALID, "%s: DSA_CAUSAL with row_request; give row_end instead", op);
    }
    if (d.offset < -(int64_t{1} << 40) || d.offset > (int64_t{1} << 40)) {
      fail(DSA_ERROR_INVALID, "%s.offset is %" PRId64 ", out of range", op, d.offset);
    }
    rows.by = VisibleBy::kCausal;
    rows.offset = d.offset;
  } else if (given(d.seq_lens)) {
    check_tensor({op, "seq_lens", kI32}, d.seq_lens, 1, 1, call);
    rows.by = VisibleBy::kSeqLens;
    rows.seq_lens = static_cast<const char*>(d.seq_lens.data);
    rows.seq_lens_stride = d.seq_lens.stride[0] * 4;
    int64_t next_n = d.next_n;
    if (next_n == 0) {
      if (rows.row_request.given()) {
        fail(DSA_ERROR_INVALID, "%s.next_n is 0: seq_lens with row_request needs it", op);
      }
      next_n = rows.per_request > 0 ? rows.per_request : 1;
    }
    if (next_n > INT32_MAX) {
      fail(DSA_ERROR_INVALID, "%s: %" PRId64 " rows a request, above 2^31-1", op, next_n);
    }
    if (!rows.row_request.given() && count > 0 && next_n * batch != count) {
      fail(DSA_ERROR_INVALID,
           "%s.next_n is %" PRId64 " and batch %" PRId64 ", but there are %" PRId64 " query rows",
           op, next_n, batch, count);
    }
    rows.next_n = static_cast<int32_t>(next_n);
  }

  rows.columns = columns;
  if (given(d.mask)) {
    const TensorRule rule = {op, "mask", kFloatDtypes | dtype_bit(DSA_U8)};
    rows.mask = row_tensor(rule, d.mask, 1, count, call);
    const int64_t extent = rows.mask.extent[0];
    rows.columns = columns < 0 || extent < columns ? extent : columns;
  }
  return rows;
}

}  // namespace dsa

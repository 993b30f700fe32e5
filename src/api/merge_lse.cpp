// dsa_merge_lse: validate, pick, run.
#include "api/dispatch.h"

namespace dsa {
namespace {

constexpr const char* kOp = "merge_lse";

// Part 0 of a [P, T, ...] tensor; its part stride in bytes.
RowTensor first_part(const TensorRule& rule, const dsa_tensor& t, int32_t inner, int64_t parts,
                     int64_t rows, CallKind call, int64_t& part_stride) {
  if (!given(t)) return {};
  check_tensor(rule, t, inner + 2, inner + 3, call);
  check_extent(rule, t, 0, parts, "partial_lse.shape[0]");
  part_stride = t.stride[0] * element_bytes(t.dtype);
  dsa_tensor part = t;
  part.ndim = t.ndim - 1;
  for (int32_t i = 0; i < 4; ++i) {
    part.shape[i] = t.shape[i + 1];
    part.stride[i] = t.stride[i + 1];
  }
  // With no parts there is no data, and none is read.
  return row_tensor(rule, part, inner, rows,
                    {.needs_data = call.needs_data && parts > 0, .device = call.device});
}

}  // namespace

MergeLseParams make_params(const dsa_merge_lse_desc& d, CallKind call) {
  check_flags(kOp, d.flags, DSA_LSE_BASE2 | DSA_LSE_WITH_SINK | DSA_LSE_EMPTY_POS_INF);
  constexpr uint32_t kF32 = dtype_bit(DSA_F32);
  MergeLseParams p;
  const TensorRule lse_rule{kOp, "partial_lse", kF32};
  check_tensor(lse_rule, d.partial_lse, 3, 4, call);
  p.parts = d.partial_lse.shape[0];
  p.rows = d.partial_lse.shape[1] * (d.partial_lse.ndim == 4 ? d.partial_lse.shape[2] : 1);
  const int64_t heads = d.partial_lse.shape[d.partial_lse.ndim - 1];
  if (heads < 1 || heads > INT32_MAX) {
    fail(DSA_ERROR_INVALID, "merge_lse.partial_lse.shape[%d] is %lld heads", d.partial_lse.ndim - 1,
         static_cast<long long>(heads));
  }
  p.heads = static_cast<int32_t>(heads);
  p.partial_lse = first_part(lse_rule, d.partial_lse, 1, p.parts, p.rows, call, p.lse_part_stride);

  const TensorRule out_rule{kOp, "out", kFloatDtypes, true};
  const TensorRule part_out_rule{kOp, "partial_out", kFloatDtypes};
  const TensorRule part_max_rule{kOp, "partial_max", kF32};
  p.out = row_tensor(out_rule, d.out, 2, p.rows, call);
  p.lse = row_tensor({kOp, "lse", kF32, true}, d.lse, 1, p.rows, call);
  p.max = row_tensor({kOp, "max", kF32, true}, d.max, 1, p.rows, call);
  if (!p.out.given() && !p.lse.given() && !p.max.given()) {
    fail(DSA_ERROR_INVALID, "merge_lse: no output is given (out, lse, max)");
  }
  if (given(d.partial_out) != p.out.given()) {
    fail(DSA_ERROR_INVALID, "merge_lse.partial_out and out must be given together");
  }
  if (given(d.partial_max) != p.max.given()) {
    fail(DSA_ERROR_INVALID, "merge_lse.partial_max and max must be given together");
  }
  p.partial_out =
      first_part(part_out_rule, d.partial_out, 2, p.parts, p.rows, call, p.out_part_stride);
  p.partial_max =
      first_part(part_max_rule, d.partial_max, 1, p.parts, p.rows, call, p.max_part_stride);
  if (p.out.given()) {
    check_extent(out_rule, d.out, -2, heads, "the number of heads");
    check_extent(part_out_rule, d.partial_out, -2, heads, "the number of heads");
    check_extent(part_out_rule, d.partial_out, -1, p.out.extent[1], "the value dim of out");
    if (p.out.extent[1] < 1 || p.out.extent[1] > INT32_MAX) {
      fail(DSA_ERROR_INVALID, "merge_lse.out.shape[%d] is %lld, must be >= 1", d.out.ndim - 1,
           static_cast<long long>(p.out.extent[1]));
    }
    p.value_dim = static_cast<int32_t>(p.out.extent[1]);
  }
  if (p.lse.given()) check_extent({kOp, "lse", 0}, d.lse, -1, heads, "the number of heads");
  if (p.max.given()) {
    check_extent({kOp, "max", 0}, d.max, -1, heads, "the number of heads");
    check_extent(part_max_rule, d.partial_max, -1, heads, "the number of heads");
  }
  if (given(d.sink)) {
    const TensorRule rule{kOp, "sink", kF32};
    check_tensor(rule, d.sink, 1, 1, call);
    check_extent(rule, d.sink, 0, heads, "the number of heads");
    p.sink = static_cast<const char*>(d.sink.data);
    p.sink_stride = d.sink.stride[0] * 4;
  }
  p.lse_base2 = (d.flags & DSA_LSE_BASE2) != 0;
  p.lse_with_sink = (d.flags & DSA_LSE_WITH_SINK) != 0;
  p.lse_empty_pos_inf = (d.flags & DSA_LSE_EMPTY_POS_INF) != 0;
  if (call.needs_data) {
    check_distinct(kOp, {{"out", &d.out}, {"lse", &d.lse}, {"max", &d.max}},
                   {{"partial_out", &d.partial_out},
                    {"partial_lse", &d.partial_lse},
                    {"partial_max", &d.partial_max},
                    {"sink", &d.sink}});
  }
  return p;
}

}  // namespace dsa

dsa_status dsa_merge_lse(dsa_ctx* ctx, const dsa_merge_lse_desc* desc, const dsa_exec* exec) {
  return dsa::run_operation(ctx, "merge_lse", DSA_OP_MERGE_LSE, desc, exec);
}

#include "core/tensor.h"

#include <cinttypes>

#include "core/error.h"

namespace dsa {
namespace {

constexpr int32_t kMaxDims = 5;
// Keeps every product of extents and strides, in bytes, far from overflow.
constexpr int64_t kMaxExtent = int64_t{1} << 40;
constexpr int64_t kMaxSpanBytes = int64_t{1} << 55;

bool is_reserved(int32_t dtype) {
  return dtype == DSA_I64 || dtype == DSA_GGML_Q8_0 || dtype == DSA_MXFP4 || dtype == DSA_NVFP4;
}

// Sorted by stride, each axis must step over all that the smaller ones reach.
bool overlaps_itself(const dsa_tensor& t) {
  bool used[kMaxDims] = {};
  int64_t reach = 0;
  for (int32_t n = 0; n < t.ndim; ++n) {
    int32_t next = -1;
    for (int32_t i = 0; i < t.ndim; ++i) {
      if (used[i]) continue;
      const int64_t a = t.stride[i] < 0 ? -t.stride[i] : t.stride[i];
      const int64_t b = next < 0 ? 0 : t.stride[next] < 0 ? -t.stride[next] : t.stride[next];
      if (next < 0 || a < b) next = i;
    }
    used[next] = true;
    if (t.shape[next] <= 1) continue;
    const int64_t step = t.stride[next] < 0 ? -t.stride[next] : t.stride[next];
    if (step <= reach) return true;
    reach += step * (t.shape[next] - 1);
  }
  return false;
}

// The first tensor of a call decides on its device; the others must agree.
// One without elements may be anywhere, and decides only where all are such.
void check_device(const TensorRule& rule, const dsa_tensor& t, bool empty, CallDevice& call) {
  const int32_t type = t.device == DSA_DEVICE_CUDA ? DSA_DEVICE_CUDA : DSA_DEVICE_CPU;
  if (type == DSA_DEVICE_CUDA && call.cuda_id < 0) {
    fail(DSA_ERROR_NO_BACKEND, "%s.%s.device is 2 (CUDA), but the context has no CUDA device%s%s",
         rule.op, rule.field, call.cuda_missing[0] ? ": " : "", call.cuda_missing);
  }
  if (type == DSA_DEVICE_CUDA && t.device_id != call.cuda_id) {
    fail(DSA_ERROR_INVALID, "%s.%s.device_id is %d, the context's device is %d", rule.op,
         rule.field, t.device_id, call.cuda_id);
  }
  if (empty) {
    if (call.type == 0) call.type = type;
  } else if (!call.field) {
    call.type = type;
    call.field = rule.field;
  } else if (call.type != type) {
    fail(DSA_ERROR_UNSUPPORTED,
         "%s.%s.device is %d (%s), %s.%s is on %s: the tensors of a call are on one device",
         rule.op, rule.field, t.device, type == DSA_DEVICE_CUDA ? "CUDA" : "CPU", rule.op,
         call.field, call.type == DSA_DEVICE_CUDA ? "CUDA" : "the CPU");
  }
}

}  // namespace

const char* dtype_name(int32_t dtype) {
  switch (dtype) {
    case DSA_F32:
      return "f32";
    case DSA_F16:
      return "f16";
    case DSA_BF16:
      return "bf16";
    case DSA_F8_E4M3FN:
      return "e4m3fn";
    case DSA_U8:
      return "u8";
    case DSA_I32:
      return "i32";
    case DSA_I64:
      return "i64";
    case DSA_GGML_Q8_0:
      return "ggml q8_0";
    case DSA_MXFP4:
      return "mxfp4";
    case DSA_NVFP4:
      return "nvfp4";
    default:
      return "unknown";
  }
}

void check_tensor(const TensorRule& rule, const dsa_tensor& t, int32_t min_ndim, int32_t max_ndim,
                  CallKind call) {
  const char* op = rule.op;
  const char* field = rule.field;
  if (t.ndim < min_ndim || t.ndim > max_ndim) {
    fail(DSA_ERROR_INVALID, "%s.%s.ndim is %d, must be %d to %d", op, field, t.ndim, min_ndim,
         max_ndim);
  }
  if (t.dtype < 1 || t.dtype > 31 || !(rule.dtypes & dtype_bit(t.dtype))) {
    fail(is_reserved(t.dtype) ? DSA_ERROR_UNSUPPORTED : DSA_ERROR_INVALID,
         "%s.%s.dtype is %d (%s), which this field does not take", op, field, t.dtype,
         dtype_name(t.dtype));
  }
  if (t.device < 0 || t.device > DSA_DEVICE_CUDA_HOST) {
    fail(DSA_ERROR_INVALID, "%s.%s.device is %d, must be 1 (CPU), 2 (CUDA) or 3 (pinned host)", op,
         field, t.device);
  }
  if ((t.reserved[0] | t.reserved[1] | t.reserved[2]) != 0) {
    fail(DSA_ERROR_INVALID, "%s.%s.reserved must be zero", op, field);
  }
  const int32_t bytes = element_bytes(t.dtype);
  if (bytes == 0)
    fail(DSA_ERROR_INTERNAL, "%s.%s: no element size for dtype %d", op, field, t.dtype);
  bool empty = false;
  int64_t span = bytes;
  for (int32_t i = 0; i < t.ndim; ++i) {
    const int64_t n = t.shape[i];
    if (n < 0 || n > kMaxExtent) {
      fail(DSA_ERROR_INVALID, "%s.%s.shape[%d] is %" PRId64 ", must be 0 to 2^40", op, field, i, n);
    }
    if (n == 0) empty = true;
    const int64_t step = t.stride[i];
    if (step < -kMaxSpanBytes || step > kMaxSpanBytes) {
      fail(DSA_ERROR_INVALID, "%s.%s.stride[%d] is %" PRId64 ", out of range", op, field, i, step);
    }
    if (n > 1) {
      const int64_t magnitude = step < 0 ? -step : step;
      if (magnitude > (kMaxSpanBytes - span) / (bytes * (n - 1))) {
        fail(DSA_ERROR_INVALID, "%s.%s: shape[%d] %" PRId64 " by stride %" PRId64 " is too far", op,
             field, i, n, step);
      }
      span += magnitude * (n - 1) * bytes;
    }
  }
  if (call.device) check_device(rule, t, empty, *call.device);
  if (empty) return;
  if (rule.is_output && overlaps_itself(t)) {
    fail(DSA_ERROR_INVALID, "%s.%s is an output whose strides make elements overlap", op, field);
  }
  if (!call.needs_data) return;
  if (t.data == nullptr) {
    fail(DSA_ERROR_INVALID, "%s.%s.data is NULL and the tensor is not empty", op, field);
  }
  if (reinterpret_cast<uintptr_t>(t.data) % static_cast<uintptr_t>(bytes) != 0) {
    fail(DSA_ERROR_INVALID, "%s.%s.data is not aligned to its %d-byte elements", op, field, bytes);
  }
}

int64_t row_count(const dsa_tensor& t, int32_t inner) {
  return t.ndim == inner + 1 ? t.shape[0] : t.shape[0] * t.shape[1];
}

RowTensor row_tensor(const TensorRule& rule, const dsa_tensor& t, int32_t inner, int64_t rows,
                     CallKind call) {
  RowTensor view;
  if (!given(t)) return view;
  check_tensor(rule, t, inner + 1, inner + 2, call);
  const int32_t lead = t.ndim - inner;
  const int64_t found = row_count(t, inner);
  if (found != rows) {
    if (lead == 1) {
      fail(DSA_ERROR_INVALID, "%s.%s.shape[0] is %" PRId64 ", the call has %" PRId64 " query rows",
           rule.op, rule.field, found, rows);
    }
    fail(DSA_ERROR_INVALID,
         "%s.%s.shape[0] * shape[1] is %" PRId64 " * %" PRId64 ", the call has %" PRId64
         " query rows",
         rule.op, rule.field, t.shape[0], t.shape[1], rows);
  }
  view.data = static_cast<char*>(t.data);
  view.dtype = t.dtype;
  view.bytes = element_bytes(t.dtype);
  view.row_stride = t.stride[lead - 1] * view.bytes;
  // [B, T/B] axes that step evenly are one axis: saves a division a row.
  if (lead == 2 && t.stride[0] != t.stride[1] * t.shape[1]) {
    view.split = t.shape[1];
    view.outer_stride = t.stride[0] * view.bytes;
  }
  for (int32_t i = 0; i < inner; ++i) {
    view.extent[i] = t.shape[lead + i];
    view.stride[i] = t.stride[lead + i];
  }
  return view;
}

void check_extent(const TensorRule& rule, const dsa_tensor& t, int32_t axis, int64_t expected,
                  const char* expected_name) {
  const int32_t i = axis < 0 ? t.ndim + axis : axis;
  if (t.shape[i] != expected) {
    fail(DSA_ERROR_INVALID, "%s.%s.shape[%d] is %" PRId64 ", %s is %" PRId64, rule.op, rule.field,
         i, t.shape[i], expected_name, expected);
  }
}

}  // namespace dsa

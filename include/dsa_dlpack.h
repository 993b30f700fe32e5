/* libdsa: DLPack tensors as dsa_tensor views, inline.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Include after, or with, DLPack's own header <dlpack/dlpack.h>. Nothing is copied or owned: the
 * DLTensor must outlive the view. Works with any DLPack version that has kDLFloat8_e4m3fn (1.1); with
 * an older one FP8 tensors arrive as uint8, and the caller sets `dtype` to DSA_F8_E4M3FN.
 */
#ifndef DSA_DLPACK_H
#define DSA_DLPACK_H

#include <dlpack/dlpack.h>

#include "dsa.h"

#ifdef __cplusplus
extern "C" {
#endif

/* DLPack's code of kDLFloat8_e4m3fn, spelled out for headers older than 1.1. */
#define DSA_DLPACK_FLOAT8_E4M3FN 10

/* The dsa dtype of a DLPack type; 0 when there is none. */
static inline int32_t dsa_dtype_from_dlpack(DLDataType type) {
  if (type.lanes != 1) return 0;
  if (type.code == kDLFloat && type.bits == 32) return DSA_F32;
  if (type.code == kDLFloat && type.bits == 16) return DSA_F16;
  if (type.code == kDLBfloat && type.bits == 16) return DSA_BF16;
  if (type.code == DSA_DLPACK_FLOAT8_E4M3FN && type.bits == 8) return DSA_F8_E4M3FN;
  if (type.code == kDLUInt && type.bits == 8) return DSA_U8;
  if (type.code == 6 && type.bits == 8) return DSA_U8; /* kDLBool */
  if (type.code == kDLInt && type.bits == 32) return DSA_I32;
  if (type.code == kDLInt && type.bits == 64) return DSA_I64;
  return 0;
}

/* Fills *out from *in. Returns DSA_OK, or DSA_ERROR_UNSUPPORTED for more than 5 axes, no axis, a
 * dtype that libdsa does not have, or a device other than CPU, CUDA and pinned host. */
static inline dsa_status dsa_tensor_from_dlpack(const DLTensor *in, dsa_tensor *out) {
  int32_t i;
  int64_t step = 1;
  const int32_t dtype = dsa_dtype_from_dlpack(in->dtype);
  const int32_t device = (int32_t)in->device.device_type;
  memset(out, 0, sizeof *out);
  if (in->ndim < 1 || in->ndim > 5 || dtype == 0) return DSA_ERROR_UNSUPPORTED;
  if (device != DSA_DEVICE_CPU && device != DSA_DEVICE_CUDA && device != DSA_DEVICE_CUDA_HOST) {
    return DSA_ERROR_UNSUPPORTED;
  }
  out->data = (char *)in->data + in->byte_offset;
  out->ndim = in->ndim;
  out->dtype = dtype;
  out->device = device;
  out->device_id = in->device.device_id;
  for (i = in->ndim - 1; i >= 0; --i) {
    out->shape[i] = in->shape[i];
    out->stride[i] = in->strides ? in->strides[i] : step; /* NULL: dense */
    step *= in->shape[i];
  }
  return DSA_OK;
}

#ifdef __cplusplus
}
#endif
#endif /* DSA_DLPACK_H */

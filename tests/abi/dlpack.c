/* dsa_dlpack.h: views of DLPack tensors, dense and strided, and what it refuses. */
#include <stdio.h>

#include "dsa_dlpack.h"

static int failures;

static void expect(int good, const char *what) {
  if (good) return;
  printf("wrong: %s\n", what);
  ++failures;
}

int main(void) {
  float data[24];
  int64_t shape[6] = {2, 3, 4, 1, 1, 1};
  int64_t strides[3] = {1, 2, 6};
  DLTensor in;
  dsa_tensor out;
  memset(&in, 0, sizeof in);
  in.data = data;
  in.device.device_type = kDLCPU;
  in.ndim = 3;
  in.dtype.code = kDLFloat;
  in.dtype.bits = 32;
  in.dtype.lanes = 1;
  in.shape = shape;

  expect(dsa_tensor_from_dlpack(&in, &out) == DSA_OK, "dense");
  expect(out.data == data && out.ndim == 3 && out.dtype == DSA_F32, "dense: what it is");
  expect(out.device == DSA_DEVICE_CPU && out.device_id == 0, "dense: device");
  expect(out.shape[0] == 2 && out.shape[1] == 3 && out.shape[2] == 4, "dense: shape");
  expect(out.stride[0] == 12 && out.stride[1] == 4 && out.stride[2] == 1, "dense: strides");

  in.strides = strides;
  in.byte_offset = 8;
  expect(dsa_tensor_from_dlpack(&in, &out) == DSA_OK, "strided");
  expect(out.data == data + 2, "strided: byte offset");
  expect(out.stride[0] == 1 && out.stride[1] == 2 && out.stride[2] == 6, "strided: strides");

  in.ndim = 6;
  expect(dsa_tensor_from_dlpack(&in, &out) == DSA_ERROR_UNSUPPORTED, "six axes");
  in.ndim = 3;
  in.device.device_type = kDLMetal;
  expect(dsa_tensor_from_dlpack(&in, &out) == DSA_ERROR_UNSUPPORTED, "another device");
  in.device.device_type = kDLCUDA;
  in.device.device_id = 3;
  expect(dsa_tensor_from_dlpack(&in, &out) == DSA_OK && out.device == DSA_DEVICE_CUDA &&
             out.device_id == 3,
         "CUDA");
  in.dtype.bits = 64;
  expect(dsa_tensor_from_dlpack(&in, &out) == DSA_ERROR_UNSUPPORTED, "f64");
  in.dtype.bits = 32;
  in.dtype.lanes = 4;
  expect(dsa_tensor_from_dlpack(&in, &out) == DSA_ERROR_UNSUPPORTED, "vectors");
  return failures != 0;
}

// A call of dsa_forward of two rows, on the CPU.
#pragma once

#include "dsa.h"

namespace support {

struct SmallForward {
  float q[2 * 2 * 4] = {}, keys[6 * 4] = {}, kv[6 * 8] = {}, queries[2 * 4 * 8] = {},
                  out[2 * 4 * 8];
  dsa_indexer_topk_desc select = dsa_indexer_topk_desc_init();
  dsa_sparse_attn_desc attend = dsa_sparse_attn_desc_init();
  dsa_forward_desc d = dsa_forward_desc_init();

  SmallForward() {
    select.q = dsa_tensor_3d(q, DSA_F32, 2, 2, 4);
    select.keys = dsa_tensor_2d(keys, DSA_F32, 6, 4);
    select.k = 3;
    attend.q = dsa_tensor_3d(queries, DSA_F32, 2, 4, 8);
    attend.kv = dsa_tensor_2d(kv, DSA_F32, 6, 8);
    attend.scale = 0.5f;
    attend.out = dsa_tensor_3d(out, DSA_F32, 2, 4, 8);
    d.select = &select;
    d.attend = &attend;
    for (float& x : out) x = kUntouched;
  }
  SmallForward(const SmallForward&) = delete;
  SmallForward& operator=(const SmallForward&) = delete;

  static constexpr float kUntouched = 7;
};

}  // namespace support

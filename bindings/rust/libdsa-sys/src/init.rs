//! The inline functions of dsa.h, which have no symbol to bind.

use core::ffi::c_void;
use core::mem;

use crate::bindings::*;

macro_rules! define_init {
    ($($name:ident: $desc:ident = $kind:ident;)*) => {$(
        /// A descriptor with `struct_size` and `kind` set and all else zero.
        pub const fn $name() -> $desc {
            // SAFETY: numbers and nullable pointers: all zero is a value.
            let mut desc: $desc = unsafe { mem::zeroed() };
            desc.struct_size = mem::size_of::<$desc>() as u32;
            desc.kind = $kind as u32;
            desc
        }
    )*};
}

define_init! {
    dsa_indexer_desc_init: dsa_indexer_desc = DSA_OP_INDEXER;
    dsa_topk_desc_init: dsa_topk_desc = DSA_OP_TOPK;
    dsa_indexer_topk_desc_init: dsa_indexer_topk_desc = DSA_OP_INDEXER_TOPK;
    dsa_sparse_attn_desc_init: dsa_sparse_attn_desc = DSA_OP_SPARSE_ATTN;
    dsa_merge_lse_desc_init: dsa_merge_lse_desc = DSA_OP_MERGE_LSE;
    dsa_forward_desc_init: dsa_forward_desc = DSA_OP_FORWARD;
}

/// A dense CPU view. `shape` has 1 to 5 extents; more are cut off.
pub const fn dsa_tensor_make(data: *mut c_void, dtype: i32, shape: &[i64]) -> dsa_tensor {
    // SAFETY: numbers and a nullable pointer: all zero is a value.
    let mut tensor: dsa_tensor = unsafe { mem::zeroed() };
    let ndim = if shape.len() < tensor.shape.len() { shape.len() } else { tensor.shape.len() };
    tensor.data = data;
    tensor.dtype = dtype;
    tensor.device = DSA_DEVICE_CPU;
    tensor.ndim = ndim as i32;
    let mut step = 1i64;
    let mut i = ndim;
    while i > 0 {
        i -= 1;
        tensor.shape[i] = shape[i];
        tensor.stride[i] = step;
        step = step.wrapping_mul(shape[i]);
    }
    tensor
}

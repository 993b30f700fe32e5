use half::{bf16, f16};
use libdsa_sys as sys;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// IEEE binary32.
    F32 = sys::DSA_F32 as isize,
    /// IEEE binary16.
    F16 = sys::DSA_F16 as isize,
    /// bfloat16.
    Bf16 = sys::DSA_BF16 as isize,
    /// FP8: 4 exponent bits, 3 mantissa bits, no infinity.
    E4m3 = sys::DSA_F8_E4M3FN as isize,
    /// Bytes: masks, packed caches.
    U8 = sys::DSA_U8 as isize,
    /// Indices, counts, tables.
    I32 = sys::DSA_I32 as isize,
}

/// An FP8 number (e4m3fn: no infinity, NaN 0x7f and 0xff) as its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct E4m3(pub u8);

/// A Rust type that tensors hold.
///
/// # Safety
/// Its memory layout is that of `DTYPE`, and every bit pattern is a value.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// What the library calls it.
    const DTYPE: DType;
}

macro_rules! element {
    ($($type:ty: $dtype:ident,)*) => {$(
        // SAFETY: plain numbers of that layout.
        unsafe impl Element for $type {
            const DTYPE: DType = DType::$dtype;
        }
    )*};
}

element! {
    f32: F32,
    f16: F16,
    bf16: Bf16,
    E4m3: E4m3,
    u8: U8,
    i32: I32,
}

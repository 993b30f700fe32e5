//! Raw bindings of libdsa. The manual is `include/dsa.h`, whose names these are; the crate `libdsa`
//! wraps them safely.
//!
//! The library is found by `DSA_DIR` (an installed prefix), else by pkg-config; the feature
//! `vendored` builds it from the repository. Crates that compile C against it find the folder of
//! dsa.h in `DEP_DSA_INCLUDE`. The feature `bindgen` generates the bindings anew.
#![no_std]
#![allow(missing_docs, non_camel_case_types)]

#[cfg(not(feature = "bindgen"))]
#[rustfmt::skip] // as bindgen writes it
mod bindings;
#[cfg(feature = "bindgen")]
mod bindings {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
mod init;

pub use bindings::*;
pub use init::*;

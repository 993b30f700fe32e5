//! The operations, a file each.

mod indexer;
mod indexer_topk;
mod merge_lse;
mod sparse_attn;
mod topk;

pub use indexer::Indexer;
pub use indexer_topk::IndexerTopk;
pub use merge_lse::MergeLse;
pub use sparse_attn::SparseAttn;
pub use topk::Topk;

/// What every file here uses.
mod prelude {
    pub(super) use std::ffi::c_void;
    pub(super) use std::marker::PhantomData;

    pub(super) use libdsa_sys as sys;

    pub(super) use crate::context::Context;
    pub(super) use crate::error::{check, Result};
    pub(super) use crate::exec::Exec;
    pub(super) use crate::fields::{Flags, KeyFormat, KeyLayout, Order, Selection, Ties};
    pub(super) use crate::operation::{operation, Operation, Sealed};
    pub(super) use crate::tensor::{Tensor, TensorMut};
}

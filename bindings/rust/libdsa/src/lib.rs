//! DeepSeek Sparse Attention: a lightning indexer scores all earlier keys, an exact top-k keeps some
//! of them, and attention runs over those alone.
//!
//! ```
//! use libdsa::{Context, Flags, IndexerTopk, SparseAttn, Tensor, TensorMut};
//!
//! # let (rows, keys_n, k) = (2, 16, 4);
//! # let (index_q, index_keys, w) = (vec![0.5f32; 2 * 4 * 8], vec![0.5f32; 16 * 8], vec![1f32; 8]);
//! # let (q, kv) = (vec![0.1f32; 2 * 4 * 24], vec![0.1f32; 16 * 24]);
//! let ctx = Context::new()?;
//! let mut indices = vec![0i32; rows * k];
//! IndexerTopk::new(Tensor::new(&index_q, [rows, 4, 8])?, Tensor::new(&index_keys, [keys_n, 8])?, 4)
//!     .w(Tensor::new(&w, [rows, 4])?)
//!     .flags(Flags::CAUSAL)
//!     .offset(14)
//!     .indices(TensorMut::new(&mut indices, [rows, k])?)
//!     .run(&ctx)?;
//!
//! let mut out = vec![0f32; rows * 4 * 16];
//! SparseAttn::new(Tensor::new(&q, [rows, 4, 24])?, Tensor::new(&kv, [keys_n, 24])?, 0.2)
//!     .indices(Tensor::new(&indices, [rows, k])?)
//!     .k(4)
//!     .out(TensorMut::new(&mut out, [rows, 4, 16])?)
//!     .run(&ctx)?;
//! # Ok::<(), libdsa::Error>(())
//! ```
//!
//! The manual of every field is `include/dsa.h`; methods have its names. Letters in shapes: T query
//! rows, S keys, B requests, H heads, Hi indexer heads, D head dim, Dv value dim, k keys selected.
//!
//! Host memory needs no `unsafe`: views check their shapes and borrow their slices, and the library
//! checks the rest and answers with an [`Error`]. Device memory and streams come in by `unsafe`
//! functions, whose contract is that they live until the stream has passed the call.

mod context;
mod element;
mod error;
mod exec;
mod fields;
mod operation;
mod ops;
mod options;
mod plan;
mod tensor;

pub use libdsa_sys as sys;

pub use context::{version, Context, Kernel};
pub use element::{DType, E4m3, Element};
pub use error::{Error, Result, Status};
pub use exec::{Exec, Workspace};
pub use fields::{Flags, KeyFormat, KeyLayout, Order, Selection, Ties};
pub use operation::Operation;
pub use ops::{Indexer, IndexerTopk, MergeLse, SparseAttn, Topk};
pub use options::{ContextOptions, LogLevel};
pub use plan::Plan;
pub use tensor::{Tensor, TensorMut};

/// Compiles and runs the code of the manual's page.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/languages/rust.md")]
struct Page;

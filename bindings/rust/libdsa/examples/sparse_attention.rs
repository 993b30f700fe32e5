//! One decode step of a layer: which keys does the query need, and attention over those alone.
//!
//! The key that answers each query is planted, so that what must come out is known.

use half::bf16;
use libdsa::{Context, IndexerTopk, Result, SparseAttn, Tensor, TensorMut};

const KEYS: usize = 1000;
const HEADS: usize = 4;
const INDEX_DIM: usize = 64;
const DIM: usize = 96; // of a key
const VALUE_DIM: usize = 64; // V is the first part of a key
const K: usize = 8;
const PLANTED: usize = 321;

fn main() -> Result<()> {
    let ctx = Context::new()?;

    // Index keys in bf16 that point away from the query, but for the planted one.
    let index_q = vec![bf16::ONE; HEADS * INDEX_DIM];
    let mut index_keys = vec![bf16::NEG_ONE; KEYS * INDEX_DIM];
    index_keys[PLANTED * INDEX_DIM..][..INDEX_DIM].fill(bf16::ONE);
    let mut indices = [0i32; K];
    IndexerTopk::new(
        Tensor::new(&index_q, [1, HEADS, INDEX_DIM])?,
        Tensor::new(&index_keys, [KEYS, INDEX_DIM])?,
        K as i32,
    )
    .indices(TensorMut::new(&mut indices, [1, K])?)
    .run(&ctx)?;
    // Ties (all others score relu(-64) = 0) go to the smaller index.
    println!("selected {indices:?}");
    assert_eq!(indices, [0, 1, 2, 3, 4, 5, 6, PLANTED as i32]);

    // The planted key's logit is 20 above the others': its value comes out.
    let q = vec![1f32; HEADS * DIM];
    let mut kv = vec![0f32; KEYS * DIM];
    for (d, value) in kv[PLANTED * DIM..][..DIM].iter_mut().enumerate() {
        *value = if d % 2 == 0 { 3.0 } else { -1.0 };
    }
    let scale = 20.0 / DIM as f32;
    let (mut out, mut lse) = ([0f32; HEADS * VALUE_DIM], [0f32; HEADS]);
    SparseAttn::new(Tensor::new(&q, [1, HEADS, DIM])?, Tensor::new(&kv, [KEYS, DIM])?, scale)
        .indices(Tensor::new(&indices, [1, K])?)
        .k(K as i32)
        .out(TensorMut::new(&mut out, [1, HEADS, VALUE_DIM])?)
        .lse(TensorMut::new(&mut lse, [1, HEADS])?)
        .run(&ctx)?;
    println!("out {:?} ..., lse {lse:?}", &out[..4]);
    for (i, value) in out.iter().enumerate() {
        let planted = if i % 2 == 0 { 3.0 } else { -1.0 };
        assert!((value - planted).abs() < 1e-5, "element {i} is {value}");
    }
    assert!(lse.iter().all(|lse| (lse - 20.0).abs() < 1e-4));
    Ok(())
}

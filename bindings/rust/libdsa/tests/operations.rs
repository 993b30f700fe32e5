//! Every operation against plain loops.

mod common;

use common::random;
use half::{bf16, f16};
use libdsa::{
    Context, Element, Exec, Flags, Indexer, IndexerTopk, MergeLse, Order, Result, Selection,
    SparseAttn, Tensor, TensorMut, Topk, Workspace,
};

/// Asserts that both agree to `tolerance`.
fn assert_close(found: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (i, (&a, &b)) in found.iter().zip(wanted).enumerate() {
        assert!((f64::from(a) - b).abs() <= tolerance, "element {i}: {a}, wanted {b}");
    }
}

#[test]
fn topk_keeps_the_largest_and_of_ties_the_first() -> Result<()> {
    let scores = [1.0f32, 9.0, f32::NAN, 9.0, f32::NEG_INFINITY, 9.0, -0.5, 2.0];
    let (mut indices, mut values, mut counts) = ([7i32; 8], [7f32; 8], [7i32; 2]);
    Topk::new(Tensor::new(&scores, [2, 4])?, 2)
        .indices(TensorMut::new(&mut indices, [2, 4])?)
        .values(TensorMut::new(&mut values, [2, 4])?)
        .counts(TensorMut::new(&mut counts, [2])?)
        .run(&Context::new()?)?;
    assert_eq!(indices, [1, 3, -1, -1, 1, 3, -1, -1]);
    let empty = f32::NEG_INFINITY;
    assert_eq!(values, [9.0, 9.0, empty, empty, 9.0, 2.0, empty, empty]);
    assert_eq!(counts, [2, 2]);
    Ok(())
}

fn descending<E: Element + PartialEq + std::fmt::Debug>(scores: [E; 4], largest: [E; 2]) {
    let (mut indices, mut values) = ([0i32; 2], scores);
    Topk::new(Tensor::new(&scores, [1, 4]).unwrap(), 2)
        .order(Order::Score)
        .indices(TensorMut::new(&mut indices, [1, 2]).unwrap())
        .values(TensorMut::new(&mut values[..2], [1, 2]).unwrap())
        .run(&Context::new().unwrap())
        .unwrap();
    assert_eq!(indices, [2, 0]);
    assert_eq!(values[..2], largest);
}

#[test]
fn topk_takes_the_half_types() {
    let scores = [2.5f32, -1.0, 3.0, 0.5];
    descending(scores, [3.0, 2.5]);
    descending(scores.map(f16::from_f32), [3.0, 2.5].map(f16::from_f32));
    descending(scores.map(bf16::from_f32), [3.0, 2.5].map(bf16::from_f32));
}

#[test]
fn topk_takes_strides() -> Result<()> {
    // Two rows that lie as columns; the output is every second element.
    let scores = [1f32, 8.0, 5.0, 3.0, 4.0, 6.0];
    let mut indices = [9i32; 8];
    Topk::new(Tensor::strided(&scores, [2, 3], [1, 2])?, 2)
        .indices(TensorMut::strided(&mut indices, [2, 2], [4, 2])?)
        .run(&Context::new()?)?;
    assert_eq!(indices, [1, 9, 2, 9, 0, 9, 2, 9]);
    Ok(())
}

const T: usize = 5;
const S: usize = 37;
const HEADS: usize = 4;
const DIM: usize = 16;

struct IndexerInput {
    q: Vec<f32>,
    keys: Vec<f32>,
    w: Vec<f32>,
}

impl IndexerInput {
    fn new() -> Self {
        let (q, keys) = (random(1, T * HEADS * DIM), random(2, S * DIM));
        IndexerInput { q, keys, w: random(3, T * HEADS) }
    }

    fn score(&self, t: usize, s: usize) -> f64 {
        let head = |h: usize| {
            let q = &self.q[(t * HEADS + h) * DIM..][..DIM];
            let key = &self.keys[s * DIM..][..DIM];
            let dot: f64 = q.iter().zip(key).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            f64::from(self.w[t * HEADS + h]) * dot.max(0.0)
        };
        (0..HEADS).map(head).sum()
    }
}

#[test]
fn indexer_scores_and_the_fused_call_agree_with_loops() -> Result<()> {
    let ctx = Context::new()?;
    let input = IndexerInput::new();
    let q = Tensor::new(&input.q, [T, HEADS, DIM])?;
    let keys = Tensor::new(&input.keys, [S, DIM])?;
    let w = Tensor::new(&input.w, [T, HEADS])?;
    let offset = S - T;

    let mut scores = vec![0f32; T * S];
    Indexer::new(q, keys)
        .w(w)
        .flags(Flags::CAUSAL)
        .offset(offset as i64)
        .scores(TensorMut::new(&mut scores, [T, S])?)
        .run(&ctx)?;
    let wanted = |t, s| if s <= offset + t { input.score(t, s) } else { f64::NEG_INFINITY };
    for (i, &score) in scores.iter().enumerate() {
        let exact = wanted(i / S, i % S);
        let same = f64::from(score) == exact || (f64::from(score) - exact).abs() < 1e-5;
        assert!(same, "element {i}: {score}, wanted {exact}");
    }

    let k = 6;
    let (mut two_steps, mut fused) = (vec![0i32; T * k], vec![0i32; T * k]);
    Topk::new(Tensor::new(&scores, [T, S])?, k as i32)
        .indices(TensorMut::new(&mut two_steps, [T, k])?)
        .run(&ctx)?;
    IndexerTopk::new(q, keys, k as i32)
        .w(w)
        .flags(Flags::CAUSAL)
        .offset(offset as i64)
        .indices(TensorMut::new(&mut fused, [T, k])?)
        .run(&ctx)?;
    assert_eq!(fused, two_steps);
    for (t, row) in fused.chunks(k).enumerate() {
        let mut order: Vec<usize> = (0..=offset + t).collect();
        order.sort_by(|&a, &b| input.score(t, b).total_cmp(&input.score(t, a)));
        let mut best: Vec<i32> = order[..k].iter().map(|&s| s as i32).collect();
        best.sort_unstable();
        assert_eq!(row, best);
    }
    Ok(())
}

const VALUE_DIM: usize = 12;
const SCALE: f32 = 0.3;

/// out [HEADS, VALUE_DIM] and lse [HEADS] of one row over the keys `selected`.
fn attend(q: &[f32], kv: &[f32], selected: &[i32]) -> (Vec<f64>, Vec<f64>) {
    let key = |s: i32| &kv[s as usize * DIM..][..DIM];
    let (mut out, mut lse) = (Vec::new(), Vec::new());
    for q in q.chunks(DIM) {
        let logit = |s: i32| -> f64 {
            let pairs = q.iter().zip(key(s));
            f64::from(SCALE) * pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>()
        };
        let total: f64 = selected.iter().map(|&s| logit(s).exp()).sum();
        lse.push(total.ln());
        out.extend((0..VALUE_DIM).map(|d| {
            selected.iter().map(|&s| logit(s).exp() / total * f64::from(key(s)[d])).sum::<f64>()
        }));
    }
    (out, lse)
}

#[test]
fn attention_over_a_selection_agrees_with_loops() -> Result<()> {
    let (q, kv) = (random(4, T * HEADS * DIM), random(5, S * DIM));
    let k = 6;
    // Rows of 6, 5, 4, 3, 2 keys, the rest skipped.
    let indices: Vec<i32> =
        (0..T * k).map(|i| if i % k < k - i / k { (i * 11 % S) as i32 } else { -1 }).collect();
    let (mut out, mut lse) = (vec![0f32; T * HEADS * VALUE_DIM], vec![0f32; T * HEADS]);
    SparseAttn::new(Tensor::new(&q, [T, HEADS, DIM])?, Tensor::new(&kv, [S, DIM])?, SCALE)
        .indices(Tensor::new(&indices, [T, k])?)
        .k(k as i32)
        .out(TensorMut::new(&mut out, [T, HEADS, VALUE_DIM])?)
        .lse(TensorMut::new(&mut lse, [T, HEADS])?)
        .run(&Context::new()?)?;
    for t in 0..T {
        let row = HEADS * DIM;
        let (o, l) = attend(&q[t * row..][..row], &kv, &indices[t * k..][..k - t]);
        assert_close(&out[t * HEADS * VALUE_DIM..][..HEADS * VALUE_DIM], &o, 1e-5);
        assert_close(&lse[t * HEADS..][..HEADS], &l, 1e-5);
    }
    Ok(())
}

#[test]
fn merged_halves_are_the_whole() -> Result<()> {
    let ctx = Context::new()?;
    let (q, kv) = (random(6, HEADS * DIM), random(7, S * DIM));
    let q = Tensor::new(&q, [1, HEADS, DIM])?;
    let dense = |kv: &[f32], out: &mut [f32], lse: &mut [f32]| -> Result<()> {
        SparseAttn::new(q, Tensor::new(kv, [kv.len() / DIM, DIM])?, SCALE)
            .selection(Selection::All)
            .out(TensorMut::new(out, [1, HEADS, VALUE_DIM])?)
            .lse(TensorMut::new(lse, [1, HEADS])?)
            .run(&ctx)
    };
    let width = HEADS * VALUE_DIM;
    let (mut whole, mut whole_lse) = (vec![0f32; width], vec![0f32; HEADS]);
    dense(&kv, &mut whole, &mut whole_lse)?;

    let (mut parts, mut parts_lse) = (vec![0f32; 2 * width], vec![0f32; 2 * HEADS]);
    let (first, second) = kv.split_at(20 * DIM);
    for (i, half) in [first, second].into_iter().enumerate() {
        dense(half, &mut parts[i * width..][..width], &mut parts_lse[i * HEADS..][..HEADS])?;
    }
    let (mut out, mut lse) = (vec![0f32; width], vec![0f32; HEADS]);
    MergeLse::new(Tensor::new(&parts_lse, [2, 1, HEADS])?)
        .partial_out(Tensor::new(&parts, [2, 1, HEADS, VALUE_DIM])?)
        .out(TensorMut::new(&mut out, [1, HEADS, VALUE_DIM])?)
        .lse(TensorMut::new(&mut lse, [1, HEADS])?)
        .run(&ctx)?;
    let exact = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    assert_close(&out, &exact(&whole), 1e-5);
    assert_close(&lse, &exact(&whole_lse), 1e-5);
    Ok(())
}

#[test]
fn a_plan_and_a_workspace_change_nothing() -> Result<()> {
    let ctx = Context::new()?;
    let scores = random(8, 3 * 5000);
    let (mut wanted, mut indices) = (vec![0i32; 3 * 100], vec![0i32; 3 * 100]);
    let scores = Tensor::new(&scores, [3, 5000])?;
    Topk::new(scores, 100).indices(TensorMut::new(&mut wanted, [3, 100])?).run(&ctx)?;

    let mut call = Topk::new(scores, 100);
    call.indices(TensorMut::new(&mut indices, [3, 100])?);
    let plan = ctx.plan(&call)?;
    assert!(plan.kernel().starts_with("cpu.topk."), "{}", plan.kernel());
    for reason in plan.refused() {
        assert!(reason.starts_with("cpu.topk."), "{reason}");
    }
    let mut workspace = Workspace::new(ctx.workspace_size(&call)? as usize);
    call.run_with(&ctx, &mut Exec::new().workspace(&mut workspace).plan(&plan))?;
    assert_eq!(indices, wanted);
    Ok(())
}

//! Contexts: what they tell, and callbacks and threads that share one.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;

use common::random;
use libdsa::{Context, ContextOptions, Result, Tensor, TensorMut, Topk};

const ROWS: usize = 64;
const COLUMNS: usize = 4096;
const K: usize = 50;

fn select(ctx: &Context, scores: &[f32]) -> Result<Vec<i32>> {
    let mut indices = vec![0i32; ROWS * K];
    Topk::new(Tensor::new(scores, [ROWS, COLUMNS])?, K as i32)
        .indices(TensorMut::new(&mut indices, [ROWS, K])?)
        .run(ctx)?;
    Ok(indices)
}

#[test]
fn it_describes_itself() -> Result<()> {
    let ctx = ContextOptions::new().num_threads(1).create()?;
    let json: serde_json::Value = serde_json::from_str(&ctx.describe()?).expect("JSON");
    assert!(json.is_object());
    let kernels = ctx.kernels();
    let topk = kernels.iter().find(|kernel| kernel.name == "cpu.topk.scalar").expect("a kernel");
    assert_eq!((topk.family.as_str(), topk.device, &topk.refused), ("scalar", 1, &None));
    assert!(libdsa::version() >= 100);
    Ok(())
}

#[test]
fn threads_share_a_context() -> Result<()> {
    let ctx = Context::new()?;
    let scores = random(1, ROWS * COLUMNS);
    let wanted = select(&ctx, &scores)?;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(select(&ctx, &scores).unwrap(), wanted);
                }
            });
        }
    });
    Ok(())
}

/// Runs the top-k on `parallel_for`; the result does not depend on it.
fn select_on(parallel_for: impl Fn(usize, &(dyn Fn() + Sync)) + Send + Sync + 'static) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let ctx = ContextOptions::new()
        .num_threads(4)
        .parallel_for(move |count, body| {
            counted.fetch_add(1, Ordering::Relaxed);
            parallel_for(count, body);
        })
        .create()
        .unwrap();
    let scores = random(2, ROWS * COLUMNS);
    let wanted = select(&Context::new().unwrap(), &scores).unwrap();
    assert_eq!(select(&ctx, &scores).unwrap(), wanted);
    assert!(calls.load(Ordering::Relaxed) > 0, "parallel_for was not called");
}

#[test]
fn parallel_for_on_threads() {
    select_on(|count, body| {
        thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(body);
            }
        });
    });
}

#[test]
fn a_parallel_for_that_calls_too_often_or_never_is_harmless() {
    select_on(|count, body| {
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(move || (0..count).for_each(|_| body()));
            }
        });
    });
    select_on(|_, _| {});
}

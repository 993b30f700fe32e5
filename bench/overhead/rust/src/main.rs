//! What a call costs from Rust: topk on 1 x 128, k 8, the shortest of many repeats, in microseconds;
//! with a call described each time, and with one described once.

use std::time::Instant;

use libdsa::{Context, Result, Tensor, TensorMut, Topk};

const COLUMNS: usize = 128;
const TOP: usize = 8;
const CALLS: u32 = 200;
const REPEATS: usize = 3000;

/// The time of one call in the fastest repeat.
fn shortest(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let start = Instant::now();
        for _ in 0..CALLS {
            call()?;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
    }
    Ok(best)
}

fn main() -> Result<()> {
    let ctx = Context::new()?;
    let scores: Vec<f32> = (0..COLUMNS).map(|i| (i * 37 % COLUMNS) as f32).collect();
    let mut indices = [0i32; TOP];
    let described = shortest(|| {
        Topk::new(Tensor::new(&scores, [1, COLUMNS])?, TOP as i32)
            .indices(TensorMut::new(&mut indices, [1, TOP])?)
            .run(&ctx)
    })?;
    println!("described {described:.3}");

    let mut call = Topk::new(Tensor::new(&scores, [1, COLUMNS])?, TOP as i32);
    call.indices(TensorMut::new(&mut indices, [1, TOP])?);
    println!("reused {:.3}", shortest(|| call.run(&ctx))?);
    Ok(())
}

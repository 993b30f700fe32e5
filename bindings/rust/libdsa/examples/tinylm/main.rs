//! Scores held-out text with a small trained model: libdsa selects and attends in every layer, the
//! rest is plain Rust. The model and the forward pass are described in `examples/tinylm/README.md`.
//!
//!     cargo run --release --example tinylm [folder of model.safetensors, held_out.txt, ...]

mod layers;
mod model;
mod transformer;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::model::{read_floats, Model};
use crate::transformer::Transformer;

/// Positions that the reference has losses of.
const POSITIONS: usize = 4096;
const ALLOWED: f64 = 1e-4;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/tinylm/data"),
        PathBuf::from,
    );
    let model = Model::load(&folder)?;
    let text = fs::read(folder.join("held_out.txt"))?;
    let reference = read_floats(&folder.join("reference_4096.safetensors"), "nll", &[POSITIONS])?;

    let losses = Transformer::new(&model)?.losses(&text[..POSITIONS + 1])?;
    let mean =
        |losses: &[f32]| losses.iter().map(|&l| f64::from(l)).sum::<f64>() / POSITIONS as f64;
    let difference: f64 =
        losses.iter().zip(&reference).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>()
            / POSITIONS as f64;
    println!("held-out loss: {:.6} nats/byte (reference {:.6})", mean(&losses), mean(&reference));
    println!("mean difference of a position: {difference:.1e}");
    if difference.is_nan() || difference > ALLOWED {
        return Err(format!("the losses differ by {difference:e}, {ALLOWED:e} is allowed").into());
    }
    Ok(())
}

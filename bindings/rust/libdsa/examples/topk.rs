//! The 2 largest of each row.

use libdsa::{Context, Result, Tensor, TensorMut, Topk};

fn main() -> Result<()> {
    let ctx = Context::new()?;
    #[rustfmt::skip]
    let scores = [
         1.0f32,  9.0,  3.0,  9.0,
        -2.0,    -1.0, -4.0, -3.0,
    ];
    let mut indices = [0i32; 4];
    let mut call = Topk::new(Tensor::new(&scores, [2, 4])?, 2);
    call.indices(TensorMut::new(&mut indices, [2, 2])?).run(&ctx)?;

    println!("{indices:?}"); // [1, 3, 0, 1]
    assert_eq!(indices, [1, 3, 0, 1]);
    Ok(())
}

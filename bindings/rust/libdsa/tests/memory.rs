//! 10,000 rounds of create, use, destroy leave memory flat.

use libdsa::{Context, Exec, Result, Tensor, TensorMut, Topk, Workspace};

const ROUNDS: usize = 10_000;
// The allocator's arenas and the library's one-time state grow in the first rounds.
const WARM_UP: usize = 1_000;
const ALLOWED_BYTES: i64 = 256 << 10; // 26 bytes a round

fn resident_bytes() -> i64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<i64>().unwrap() * 1024
}

fn round() -> Result<()> {
    let ctx = Context::new()?;
    let scores = [0.5f32; 128];
    let mut indices = [0i32; 8];
    let mut call = Topk::new(Tensor::new(&scores, [1, 128])?, 8);
    call.indices(TensorMut::new(&mut indices, [1, 8])?);
    let plan = ctx.plan(&call)?;
    let mut workspace = Workspace::new(ctx.workspace_size(&call)? as usize);
    call.run(&ctx)?;
    call.run_with(&ctx, &mut Exec::new().plan(&plan).workspace(&mut workspace))?;
    assert!(ctx.describe()?.len() > 2);
    assert!(Topk::new(Tensor::new(&scores, [1, 128])?, 0).run(&ctx).is_err());
    Ok(())
}

#[test]
fn memory_stays_flat() -> Result<()> {
    for _ in 0..WARM_UP {
        round()?;
    }
    let before = resident_bytes();
    for _ in 0..ROUNDS {
        round()?;
    }
    let grown = resident_bytes() - before;
    assert!(grown <= ALLOWED_BYTES, "{ROUNDS} rounds grew the process by {grown} bytes");
    Ok(())
}

//! Messages of the library. A process of its own: the environment is changed.

use std::sync::{Arc, Mutex};

use libdsa::{ContextOptions, LogLevel, Result, Tensor, TensorMut, Topk};

#[test]
fn messages_reach_the_log() -> Result<()> {
    std::env::set_var("DSA_LOG", "dispatch");
    let messages = Arc::new(Mutex::new(Vec::new()));
    let kept = messages.clone();
    let ctx = ContextOptions::new()
        .log(move |level, message| kept.lock().unwrap().push((level, message.to_string())))
        .create()?;
    let (scores, mut indices) = ([1f32; 128], [0i32; 8]);
    Topk::new(Tensor::new(&scores, [1, 128])?, 8)
        .indices(TensorMut::new(&mut indices, [1, 8])?)
        .run(&ctx)?;
    let messages = messages.lock().unwrap();
    let is_dispatch = |(level, text): &(LogLevel, String)| {
        *level == LogLevel::Information && text.contains("cpu.topk.")
    };
    assert!(messages.iter().any(is_dispatch), "{messages:?}");
    Ok(())
}

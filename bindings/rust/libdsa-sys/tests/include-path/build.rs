//! Fails the build where libdsa-sys does not say where dsa.h lies.

use std::path::Path;

fn main() {
    let folder = std::env::var("DEP_DSA_INCLUDE").expect("libdsa-sys exports its include path");
    assert!(Path::new(&folder).join("dsa.h").exists(), "no dsa.h in {folder}");
}

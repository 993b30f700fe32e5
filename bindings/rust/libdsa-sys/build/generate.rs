//! The bindings of dsa.h, as they are checked in in src/bindings.rs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

pub fn generate(include: &Path) {
    let header = include.join("dsa.h");
    println!("cargo:rerun-if-changed={}", header.display());
    let bindings = bindgen::Builder::default()
        .header(header.to_str().expect("a path in UTF-8"))
        .allowlist_item("(dsa|DSA)_.*")
        .rust_edition(bindgen::RustEdition::Edition2021)
        .rust_target(bindgen::RustTarget::stable(82, 0).expect("a release that bindgen knows"))
        .use_core()
        .prepend_enum_name(false)
        .merge_extern_blocks(true)
        .disable_header_comment()
        .formatter(bindgen::Formatter::Prettyplease)
        .generate()
        .unwrap_or_else(|error| crate::find::fail(&format!("{}: {error}", header.display())));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("bindings.rs"), plain_constants(&bindings.to_string()))
        .expect("OUT_DIR can be written");
}

/// The constants of unnamed enums as the i32 that fields hold. bindgen numbers the enums: a new one
/// would change the type of all that follow.
fn plain_constants(bindings: &str) -> String {
    let lines = bindings.lines().filter(|line| !line.starts_with("pub type _bindgen_ty_"));
    let plain = lines.map(|line| match line.split_once(": _bindgen_ty_") {
        Some((name, rest)) => {
            format!("{name}: i32{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => line.to_string(),
    });
    plain.map(|line| line + "\n").collect()
}

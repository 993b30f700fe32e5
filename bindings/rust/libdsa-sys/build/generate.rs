//! The bindings of dsa.h, as they are checked in in src/bindings.rs.

use std::env;
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
    bindings.write_to_file(out.join("bindings.rs")).expect("OUT_DIR can be written");
}

//! An installed library: in the folder that DSA_DIR names, else the one that pkg-config knows.

use std::env;
use std::path::{Path, PathBuf};

const VERSION: &str = "0.1.0";

/// Returns the folder of dsa.h.
#[cfg_attr(feature = "vendored", allow(dead_code))]
pub fn find() -> PathBuf {
    println!("cargo:rerun-if-env-changed=DSA_DIR");
    match env::var_os("DSA_DIR") {
        Some(prefix) => in_prefix(Path::new(&prefix)),
        None => by_pkg_config(),
    }
}

fn in_prefix(prefix: &Path) -> PathBuf {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let folders = ["lib".into(), "lib64".into(), format!("lib/{arch}-linux-gnu")];
    let tried: Vec<PathBuf> = folders.iter().map(|folder| prefix.join(folder)).collect();
    let Some(folder) = tried.iter().find(|folder| folder.join("libdsa.so").exists()) else {
        fail(&format!("DSA_DIR is {}, and libdsa.so is in none of {tried:?}", prefix.display()));
    };
    let include = prefix.join("include");
    if !include.join("dsa.h").exists() {
        fail(&format!("DSA_DIR is {}, which has no include/dsa.h", prefix.display()));
    }
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-lib=dylib=dsa");
    include
}

fn by_pkg_config() -> PathBuf {
    match pkg_config::Config::new().atleast_version(VERSION).probe("libdsa") {
        // None: a folder that the compiler searches by itself.
        Ok(library) => {
            let folders = library.include_paths.into_iter();
            folders.into_iter().find(|f| f.join("dsa.h").exists()).unwrap_or("/usr/include".into())
        }
        Err(error) => fail(&format!(
            "libdsa was not found. Set DSA_DIR to where it is installed (cmake --install build \
             --prefix DIR), or PKG_CONFIG_PATH to the folder of libdsa.pc, or turn on the feature \
             `vendored`. pkg-config says:\n{error}"
        )),
    }
}

/// Ends the build with a message, without a panic's noise.
pub fn fail(message: &str) -> ! {
    eprintln!("libdsa-sys: {message}");
    std::process::exit(1);
}

//! Builds the repository's libdsa.a and links it with what it needs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the folder of dsa.h.
pub fn build() -> PathBuf {
    println!("cargo:rerun-if-env-changed=DSA_SOURCE_DIR");
    let source = env::var_os("DSA_SOURCE_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.."), PathBuf::from);
    if !source.join("include/dsa.h").exists() {
        crate::find::fail(&format!(
            "the feature `vendored` builds a checkout of libdsa; {} is none: set DSA_SOURCE_DIR",
            source.display()
        ));
    }
    for part in ["CMakeLists.txt", "cmake", "include", "src"] {
        println!("cargo:rerun-if-changed={}", source.join(part).display());
    }

    let hwloc = pkg_config::Config::new().atleast_version("2.0").probe("hwloc").is_ok();
    let on_off = |on| if on { "ON" } else { "OFF" };
    // Always optimised: a debug build of the caller still wants kernels that run at speed.
    let prefix = cmake::Config::new(&source)
        .profile("Release")
        .no_default_flags(true)
        .define("DSA_SHARED", "OFF")
        .define("DSA_HWLOC", on_off(hwloc))
        .define("DSA_TESTS", "OFF")
        .define("DSA_TOOLS", "OFF")
        .define("DSA_EXAMPLES", "OFF")
        .define("CMAKE_POSITION_INDEPENDENT_CODE", "ON")
        .define("CMAKE_INSTALL_LIBDIR", "lib")
        .build();

    println!("cargo:rustc-link-search=native={}", prefix.join("lib").display());
    println!("cargo:rustc-link-lib=static=dsa");
    for library in openmp_libraries(&prefix.join("build/CMakeCache.txt")) {
        println!("cargo:rustc-link-lib=dylib={library}");
    }
    println!("cargo:rustc-link-lib=dylib=stdc++");
    prefix.join("include")
}

/// The libraries of the compiler's OpenMP: "gomp;pthread", "omp", or none when it is off.
fn openmp_libraries(cache: &Path) -> Vec<String> {
    let text = fs::read_to_string(cache).expect("CMakeCache.txt of the finished build");
    let names = text.lines().find_map(|line| line.strip_prefix("OpenMP_CXX_LIB_NAMES:STRING="));
    names.unwrap_or("").split(';').filter(|name| !name.is_empty()).map(String::from).collect()
}

//! Finds libdsa (or builds it: feature `vendored`) and tells cargo how to link it. Crates that
//! depend on this one find the folder of dsa.h in `DEP_DSA_INCLUDE`.

mod find;
#[cfg(feature = "bindgen")]
mod generate;
#[cfg(feature = "vendored")]
mod vendored;

fn main() {
    println!("cargo:rerun-if-changed=build");
    #[cfg(feature = "vendored")]
    let include = vendored::build();
    #[cfg(not(feature = "vendored"))]
    let include = find::find();

    println!("cargo:include={}", include.display());
    #[cfg(feature = "bindgen")]
    generate::generate(&include);
}

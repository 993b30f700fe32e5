//! The checked-in bindings are what bindgen makes of the header that was found.
#![cfg(feature = "bindgen")]

#[test]
fn checked_in_bindings_are_current() {
    let path = concat!(env!("OUT_DIR"), "/bindings.rs");
    let generated = std::fs::read_to_string(path).unwrap();
    assert!(
        generated == include_str!("../src/bindings.rs"),
        "src/bindings.rs is not what bindgen makes of dsa.h; compare with (and copy) {path}"
    );
}

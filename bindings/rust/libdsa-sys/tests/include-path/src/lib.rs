//! Its build script is the test.

use std::ffi::CStr;
use std::fmt;

use libdsa_sys as sys;

/// What kind of mistake it was: the `DSA_ERROR_...` values of dsa.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// A field is out of range, or two fields disagree.
    Invalid,
    /// Valid, but no kernel does it on this device (yet).
    Unsupported,
    /// Host or device memory could not be had.
    NoMemory,
    /// The given workspace is too small or not 256-byte aligned.
    Workspace,
    /// No CUDA module, driver or device; the text lists what was tried.
    NoBackend,
    /// Not possible while the stream is being captured.
    Capture,
    /// The device's runtime reported an error.
    Device,
    /// The loaded library is older than this crate.
    StructSize,
    /// A defect of the library.
    Internal,
    /// A value that this crate does not know.
    Other(i32),
}

impl Status {
    pub(crate) fn from_code(code: sys::dsa_status) -> Status {
        match code {
            sys::DSA_ERROR_INVALID => Status::Invalid,
            sys::DSA_ERROR_UNSUPPORTED => Status::Unsupported,
            sys::DSA_ERROR_NO_MEMORY => Status::NoMemory,
            sys::DSA_ERROR_WORKSPACE => Status::Workspace,
            sys::DSA_ERROR_NO_BACKEND => Status::NoBackend,
            sys::DSA_ERROR_CAPTURE => Status::Capture,
            sys::DSA_ERROR_DEVICE => Status::Device,
            sys::DSA_ERROR_STRUCT_SIZE => Status::StructSize,
            sys::DSA_ERROR_INTERNAL => Status::Internal,
            other => Status::Other(other),
        }
    }
}

/// A call that failed. No output was written and nothing was enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    text: String,
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn invalid(text: String) -> Error {
        Error { status: Status::Invalid, text }
    }

    /// What kind of mistake it was.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The library's text, which names the field and the numbers:
    /// `topk.indices.shape[1] is 512, k is 2048`.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text, self.status)
    }
}

impl std::error::Error for Error {}

/// The status of a call, with the text that the library keeps for this thread.
pub(crate) fn check(status: sys::dsa_status) -> Result<()> {
    if status == sys::DSA_OK {
        return Ok(());
    }
    // SAFETY: never NULL, and valid until this thread's next failing call.
    let text = unsafe { CStr::from_ptr(sys::dsa_last_error()) };
    Err(Error { status: Status::from_code(status), text: text.to_string_lossy().into_owned() })
}

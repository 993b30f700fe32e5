use std::ffi::{c_char, CStr};
use std::mem;
use std::ptr::{self, NonNull};

use libdsa_sys as sys;

use crate::error::{check, Result};
use crate::operation::Operation;
use crate::options::{Callbacks, ContextOptions};
use crate::plan::Plan;

/// The CPU and at most one CUDA device. It only saves work (threads, loaded kernels, scratch
/// memory), never changes results, and may be used by any number of threads at once.
pub struct Context {
    raw: NonNull<sys::dsa_ctx>,
    // Called by the library until the context is destroyed.
    _callbacks: Box<Callbacks>,
}

// SAFETY: dsa.h: "It may be used by any number of threads at once". The callbacks are Send + Sync.
unsafe impl Send for Context {}
unsafe impl Sync for Context {}

impl Context {
    /// CPU only, threads from the machine's topology.
    pub fn new() -> Result<Self> {
        ContextOptions::new().create()
    }

    pub(crate) fn create(
        options: &sys::dsa_ctx_options,
        callbacks: Box<Callbacks>,
    ) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: the callbacks live in a box that the context keeps.
        check(unsafe { sys::dsa_ctx_create(options, &mut raw) })?;
        let raw = NonNull::new(raw).expect("set on success");
        Ok(Context { raw, _callbacks: callbacks })
    }

    /// The handle, for functions of `libdsa_sys`.
    pub fn as_ptr(&self) -> *mut sys::dsa_ctx {
        self.raw.as_ptr()
    }

    /// Whether the call would run: `Ok`, or the error it would return. Contents are not read, and
    /// tensors may be without data.
    pub fn supports<Op: Operation>(&self, call: &Op) -> Result<()> {
        // SAFETY: a live context and a descriptor of the operation.
        check(unsafe { sys::dsa_supports(self.as_ptr(), call.descriptor()) })
    }

    /// Bytes of workspace that the call needs. Never shrinks when an extent grows.
    pub fn workspace_size<Op: Operation>(&self, call: &Op) -> Result<u64> {
        let mut bytes = 0;
        // SAFETY: a live context and a descriptor of the operation.
        check(unsafe { sys::dsa_workspace_size(self.as_ptr(), call.descriptor(), &mut bytes) })?;
        Ok(bytes)
    }

    /// Chooses the kernel for calls like this one.
    pub fn plan<Op: Operation>(&self, call: &Op) -> Result<Plan<'_>> {
        Plan::new(self, call)
    }

    /// What was found and chosen (build, instruction sets and why, topology, threads, kernels), as
    /// JSON.
    pub fn describe(&self) -> Result<String> {
        let mut needed = 0;
        // SAFETY: a size query.
        check(unsafe { sys::dsa_ctx_describe(self.as_ptr(), ptr::null_mut(), 0, &mut needed) })?;
        let mut text = vec![0u8; needed as usize];
        let capacity = text.len() as u64;
        // SAFETY: capacity bytes can be written.
        check(unsafe {
            let to = text.as_mut_ptr().cast();
            sys::dsa_ctx_describe(self.as_ptr(), to, capacity, ptr::null_mut())
        })?;
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        Ok(String::from_utf8_lossy(&text[..end]).into_owned())
    }

    /// The kernels of this build, in order of preference within an operation.
    pub fn kernels(&self) -> Vec<Kernel> {
        (0..).map_while(|i| self.kernel(i)).collect()
    }

    fn kernel(&self, i: i32) -> Option<Kernel> {
        // SAFETY: numbers and characters.
        let mut info: sys::dsa_kernel_info = unsafe { mem::zeroed() };
        info.struct_size = mem::size_of_val(&info) as u32;
        // SAFETY: fails past the last kernel, and only there.
        check(unsafe { sys::dsa_kernel_get(self.as_ptr(), i, &mut info) }).ok()?;
        let reason = string(&info.reason);
        Some(Kernel {
            name: string(&info.name),
            family: string(&info.family),
            device: info.device,
            refused: (info.usable == 0).then_some(reason),
        })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: no call is running, since calls and plans borrow the context.
        unsafe { sys::dsa_ctx_destroy(self.raw.as_ptr()) }
    }
}

/// A kernel of this build.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kernel {
    /// `cpu.topk.avx512`.
    pub name: String,
    /// `avx512`: the last part of the name.
    pub family: String,
    /// DLPack's number of its device: 1 CPU, 2 CUDA.
    pub device: i32,
    /// Why this machine or these settings cannot run it.
    pub refused: Option<String>,
}

/// Version of the library that is loaded: 10000 major + 100 minor + patch.
pub fn version() -> u32 {
    // SAFETY: always allowed.
    unsafe { sys::dsa_version() }
}

fn string(text: &[c_char]) -> String {
    // SAFETY: c_char is one byte of any sign.
    let bytes = unsafe { &*(ptr::from_ref(text) as *const [u8]) };
    match CStr::from_bytes_until_nul(bytes) {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

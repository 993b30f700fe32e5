use std::alloc::{self, Layout};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use libdsa_sys as sys;

use crate::plan::Plan;

/// Workspace, plan and stream of one call; all optional.
pub struct Exec<'a> {
    pub(crate) raw: sys::dsa_exec,
    borrows: PhantomData<(&'a mut [u8], &'a Plan<'a>)>,
}

impl<'a> Exec<'a> {
    /// Nothing given: the context lends a workspace and picks the kernel.
    pub fn new() -> Self {
        let raw = sys::dsa_exec {
            struct_size: mem::size_of::<sys::dsa_exec>() as u32,
            flags: 0,
            stream: ptr::null_mut(),
            workspace: ptr::null_mut(),
            workspace_size: 0,
            plan: ptr::null(),
            parallel_user: ptr::null_mut(),
        };
        Exec { raw, borrows: PhantomData }
    }

    /// Scratch memory, 256-byte aligned (see [`Workspace`]), of the bytes that
    /// [`Context::workspace_size`](crate::Context::workspace_size) says.
    pub fn workspace(mut self, workspace: &'a mut [u8]) -> Self {
        self.raw.workspace = workspace.as_mut_ptr().cast();
        self.raw.workspace_size = workspace.len() as u64;
        self
    }

    /// The choice of a kernel, made before.
    pub fn plan(mut self, plan: &'a Plan<'_>) -> Self {
        self.raw.plan = plan.as_ptr();
        self
    }

    /// A `cudaStream_t` for a call on CUDA tensors.
    ///
    /// # Safety
    /// A live stream of the context's device.
    pub unsafe fn stream(mut self, stream: *mut c_void) -> Self {
        self.raw.stream = stream;
        self
    }

    /// Scratch memory of the call's CUDA device.
    ///
    /// # Safety
    /// `bytes` bytes, 256-byte aligned, that nothing else uses until the stream has passed the call.
    pub unsafe fn device_workspace(mut self, workspace: *mut c_void, bytes: u64) -> Self {
        self.raw.workspace = workspace;
        self.raw.workspace_size = bytes;
        self
    }
}

impl Default for Exec<'_> {
    fn default() -> Self {
        Exec::new()
    }
}

/// Bytes on the heap that are aligned as a workspace must be.
pub struct Workspace {
    data: NonNull<u8>,
    layout: Layout,
}

impl Workspace {
    const ALIGNMENT: usize = 256;

    /// Zeroed memory.
    ///
    /// # Panics
    /// When `bytes` exceeds `isize::MAX`. Ends the process when out of memory, as `Vec` does.
    pub fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), Self::ALIGNMENT)
            .expect("a workspace is below isize::MAX bytes");
        // SAFETY: the size is at least 1.
        let data = unsafe { alloc::alloc_zeroed(layout) };
        let data = NonNull::new(data).unwrap_or_else(|| alloc::handle_alloc_error(layout));
        Workspace { data, layout }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { alloc::dealloc(self.data.as_ptr(), self.layout) }
    }
}

impl Deref for Workspace {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: owned and initialised.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.layout.size()) }
    }
}

impl DerefMut for Workspace {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: owned and initialised.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.layout.size()) }
    }
}

// SAFETY: owns its bytes, as a Vec does.
unsafe impl Send for Workspace {}
unsafe impl Sync for Workspace {}

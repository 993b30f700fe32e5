use std::ffi::{c_char, c_void, CStr, CString};
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};

use libdsa_sys as sys;

use crate::context::Context;
use crate::error::{Error, Result};

/// How grave a message of the library is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something works less well than it could.
    Warning,
    /// What `DSA_LOG` asks for.
    Information,
    /// And more of it.
    Detail,
}

type Log = dyn Fn(LogLevel, &str) + Send + Sync;
type ParallelFor = dyn Fn(usize, &(dyn Fn() + Sync)) + Send + Sync;

#[derive(Default)]
pub(crate) struct Callbacks {
    log: Option<Box<Log>>,
    parallel_for: Option<Box<ParallelFor>>,
}

/// What a [`Context`] is made with.
///
/// ```
/// let ctx = libdsa::ContextOptions::new().num_threads(2).create()?;
/// # Ok::<(), libdsa::Error>(())
/// ```
#[derive(Default)]
pub struct ContextOptions {
    num_threads: i32,
    numa_node: i32,
    cuda_device: Option<i32>,
    flags: i32,
    cpu_mask: Vec<u64>,
    module_path: Option<CString>,
    bad_path: bool,
    callbacks: Callbacks,
}

impl ContextOptions {
    /// CPU only, threads from the machine's topology.
    pub fn new() -> Self {
        ContextOptions::default()
    }

    /// CPU threads; 0: `DSA_NUM_THREADS`, else `OMP_NUM_THREADS`, else one per physical core of the
    /// NUMA node, within affinity mask and cgroup quota.
    pub fn num_threads(mut self, threads: i32) -> Self {
        self.num_threads = threads;
        self
    }

    /// Threads of this NUMA node, instead of the nearest.
    pub fn numa_node(mut self, node: i32) -> Self {
        self.numa_node = node.saturating_add(1);
        self
    }

    /// Bit i of word w: CPU 64 w + i may be used. None given: all of the caller's.
    pub fn cpu_mask(mut self, words: impl Into<Vec<u64>>) -> Self {
        self.cpu_mask = words.into();
        self
    }

    /// A CUDA device in addition to the CPU.
    pub fn cuda(mut self, device: i32) -> Self {
        self.cuda_device = Some(device);
        self
    }

    /// A CUDA device, if there are module, driver and device; else the context is for the CPU alone,
    /// and [`Context::kernels`] says why.
    pub fn cuda_if_present(mut self, device: i32) -> Self {
        self.flags |= sys::DSA_CTX_DEVICE_OPTIONAL;
        self.cuda(device)
    }

    /// libdsa-cuda.so or its folder, instead of searching for it.
    pub fn module_path(mut self, path: impl AsRef<Path>) -> Self {
        let path = CString::new(path.as_ref().as_os_str().as_bytes());
        self.bad_path = path.is_err();
        self.module_path = path.ok();
        self
    }

    /// Receives the messages that `DSA_LOG` asks for, which go to stderr otherwise. Called from any
    /// thread. A panic in it ends the process.
    pub fn log(mut self, log: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        self.callbacks.log = Some(Box::new(log));
        self
    }

    /// Runs the library's work on the caller's threads. `parallel_for(count, body)` calls `body`
    /// `count` times, on any threads, and returns when all calls are done; `num_threads` says how
    /// many can run at once. (Calls that are missing are made up for on the calling thread.) A panic
    /// in it ends the process.
    ///
    /// ```
    /// let ctx = libdsa::ContextOptions::new()
    ///     .num_threads(2)
    ///     .parallel_for(|count, body| {
    ///         std::thread::scope(|scope| (0..count).for_each(|_| drop(scope.spawn(body))));
    ///     })
    ///     .create()?;
    /// # Ok::<(), libdsa::Error>(())
    /// ```
    pub fn parallel_for(
        mut self,
        parallel_for: impl Fn(usize, &(dyn Fn() + Sync)) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.parallel_for = Some(Box::new(parallel_for));
        self
    }

    /// Creates the context; reads the environment (`DSA_...`, see dsa.h).
    pub fn create(self) -> Result<Context> {
        if self.bad_path {
            return Err(Error::invalid("ctx_options.module_path has a zero byte".into()));
        }
        // SAFETY: numbers and nullable pointers: all zero is a value.
        let mut raw: sys::dsa_ctx_options = unsafe { mem::zeroed() };
        raw.struct_size = mem::size_of_val(&raw) as u32;
        raw.flags = self.flags as u32;
        raw.num_threads = self.num_threads;
        raw.numa_node = self.numa_node;
        if let Some(device) = self.cuda_device {
            raw.device = sys::DSA_DEVICE_CUDA;
            raw.device_id = device;
        }
        if !self.cpu_mask.is_empty() {
            raw.cpu_mask = self.cpu_mask.as_ptr();
            raw.cpu_mask_words = self.cpu_mask.len() as u64;
        }
        raw.module_path = self.module_path.as_ref().map_or(ptr::null(), |path| path.as_ptr());

        let callbacks = Box::new(self.callbacks);
        let user: *mut c_void = ptr::from_ref(&*callbacks).cast_mut().cast();
        if callbacks.log.is_some() {
            raw.log = Some(log);
            raw.log_user = user;
        }
        if callbacks.parallel_for.is_some() {
            raw.parallel_for = Some(parallel_for);
            raw.parallel_user = user;
        }
        Context::create(&raw, callbacks)
    }
}

unsafe extern "C" fn log(user: *mut c_void, level: i32, message: *const c_char) {
    // SAFETY: `user` is the context's Callbacks, `message` a C string.
    let (callbacks, message) =
        unsafe { (&*user.cast::<Callbacks>(), CStr::from_ptr(message).to_string_lossy()) };
    let level = match level {
        0 => LogLevel::Error,
        1 => LogLevel::Warning,
        2 => LogLevel::Information,
        _ => LogLevel::Detail,
    };
    if let Some(log) = &callbacks.log {
        log(level, &message);
    }
}

/// Hands out each index exactly once, whatever the caller's function does: running one twice at the
/// same time would be a data race.
unsafe extern "C" fn parallel_for(
    user: *mut c_void,
    count: i64,
    body: sys::dsa_parallel_body,
    body_arg: *mut c_void,
) {
    struct Work {
        body: unsafe extern "C" fn(*mut c_void, i64),
        arg: *mut c_void,
        count: i64,
        next: AtomicI64,
    }
    // SAFETY: the library's bodies run on any thread.
    unsafe impl Sync for Work {}
    impl Work {
        /// Whether there was an index left.
        fn step(&self) -> bool {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.count {
                return false;
            }
            // SAFETY: the library's own function, argument and index, the index for the only time.
            unsafe { (self.body)(self.arg, index) };
            true
        }
    }

    let Some(body) = body else { return };
    let work = Work { body, arg: body_arg, count, next: AtomicI64::new(0) };
    // SAFETY: `user` is the context's Callbacks.
    let callbacks = unsafe { &*user.cast::<Callbacks>() };
    if let Some(parallel_for) = &callbacks.parallel_for {
        parallel_for(count as usize, &|| {
            work.step();
        });
    }
    while work.step() {}
}

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use libdsa_sys as sys;

use crate::context::Context;
use crate::error::{check, Result};
use crate::operation::Operation;

/// The choice of a kernel, made once for calls of the same operation, dtypes, layout and head dims:
/// [`Exec::plan`](crate::Exec::plan) saves the choice.
///
/// ```compile_fail,E0505
/// # use libdsa::{Context, DType, Tensor, TensorMut, Topk};
/// let ctx = Context::new()?;
/// let mut call = Topk::new(Tensor::shape_only(DType::F32, [1, 128])?, 8);
/// call.indices(TensorMut::shape_only(DType::I32, [1, 8])?);
/// let plan = ctx.plan(&call)?;
/// drop(ctx); // the plan still refers to it
/// println!("{}", plan.kernel());
/// # Ok::<(), libdsa::Error>(())
/// ```
pub struct Plan<'ctx> {
    raw: NonNull<sys::dsa_plan>,
    ctx: PhantomData<&'ctx Context>,
}

// SAFETY: immutable after its creation.
unsafe impl Send for Plan<'_> {}
unsafe impl Sync for Plan<'_> {}

impl<'ctx> Plan<'ctx> {
    pub(crate) fn new<Op: Operation>(ctx: &'ctx Context, call: &Op) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: a live context and a descriptor of the operation.
        check(unsafe { sys::dsa_plan_create(ctx.as_ptr(), call.descriptor(), &mut raw) })?;
        Ok(Plan { raw: NonNull::new(raw).expect("set on success"), ctx: PhantomData })
    }

    pub(crate) fn as_ptr(&self) -> *const sys::dsa_plan {
        self.raw.as_ptr()
    }

    /// The kernel's name: `cpu.topk.avx512`.
    pub fn kernel(&self) -> &'ctx str {
        // SAFETY: lives as long as the library is loaded; the context keeps it loaded.
        unsafe { text(sys::dsa_plan_kernel(self.as_ptr())) }.unwrap_or_default()
    }

    /// The better kernels that were refused, and why.
    pub fn refused(&self) -> impl Iterator<Item = &str> {
        // SAFETY: the texts live with the plan; NULL past the last.
        (0..).map_while(|i| unsafe { text(sys::dsa_plan_refused(self.as_ptr(), i)) })
    }
}

impl Drop for Plan<'_> {
    fn drop(&mut self) {
        // SAFETY: created by dsa_plan_create, destroyed once.
        unsafe { sys::dsa_plan_destroy(self.raw.as_ptr()) }
    }
}

/// # Safety
/// NULL, or a C string that lives for `'a`.
unsafe fn text<'a>(text: *const std::ffi::c_char) -> Option<&'a str> {
    // SAFETY: as this function's own.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default())
}

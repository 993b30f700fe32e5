//! What the operations share: a descriptor that borrows its tensors, with a method for each field.

mod sealed {
    use std::ffi::c_void;

    pub trait Sealed {
        fn descriptor(&self) -> *const c_void;
    }
}
pub(crate) use sealed::Sealed;

/// A call of one of the operations: [`Indexer`](crate::Indexer), [`Topk`](crate::Topk),
/// [`IndexerTopk`](crate::IndexerTopk), [`SparseAttn`](crate::SparseAttn) or
/// [`MergeLse`](crate::MergeLse).
///
/// Their methods set the descriptor's fields of the same name; what is not set is zero or absent.
pub trait Operation: Sealed {}

/// Defines the type of a call. Its tensors are borrowed for `'a`.
macro_rules! operation {
    (
        $(#[$doc:meta])*
        $name:ident: $desc:ident by $function:ident, new $init:ident
        numbers { $($(#[$number_doc:meta])* $number:ident: $number_type:ty,)* }
        choices { $($(#[$choice_doc:meta])* $choice:ident: $choice_type:ty,)* }
        inputs { $($(#[$input_doc:meta])* $input:ident,)* }
        outputs { $($(#[$output_doc:meta])* $output:ident,)* }
    ) => {
        $(#[$doc])*
        pub struct $name<'a> {
            raw: sys::$desc,
            tensors: PhantomData<(Tensor<'a>, TensorMut<'a>)>,
        }

        // SAFETY: raw pointers that stand for borrowed slices of numbers.
        unsafe impl Send for $name<'_> {}

        impl<'a> $name<'a> {
            $(
                $(#[$number_doc])*
                #[inline]
                pub fn $number(&mut self, value: $number_type) -> &mut Self {
                    self.raw.$number = value;
                    self
                }
            )*
            $(
                $(#[$choice_doc])*
                #[inline]
                pub fn $choice(&mut self, value: $choice_type) -> &mut Self {
                    self.raw.$choice = value as i32;
                    self
                }
            )*
            $(
                $(#[$input_doc])*
                #[inline]
                pub fn $input(&mut self, tensor: Tensor<'a>) -> &mut Self {
                    self.raw.$input = tensor.raw;
                    self
                }
            )*
            $(
                $(#[$output_doc])*
                #[inline]
                pub fn $output(&mut self, tensor: TensorMut<'a>) -> &mut Self {
                    self.raw.$output = tensor.raw;
                    self
                }
            )*

            /// Switches; those that this operation does not take are an error.
            #[inline]
            pub fn flags(&mut self, flags: Flags) -> &mut Self {
                self.raw.flags = flags.0;
                self
            }

            /// Runs on the CPU and returns when done; on CUDA tensors, enqueues and returns.
            #[inline]
            pub fn run(&mut self, ctx: &Context) -> Result<()> {
                // SAFETY: a live context; the tensors are borrowed for 'a, outputs exclusively.
                check(unsafe { sys::$function(ctx.as_ptr(), &self.raw, std::ptr::null()) })
            }

            /// As [`run`](Self::run), with a workspace, a plan or a stream.
            #[inline]
            pub fn run_with(&mut self, ctx: &Context, exec: &mut Exec<'_>) -> Result<()> {
                // SAFETY: as in `run`; what `exec` holds is borrowed too.
                check(unsafe { sys::$function(ctx.as_ptr(), &self.raw, &exec.raw) })
            }

            #[inline]
            fn empty() -> Self {
                $name { raw: sys::$init(), tensors: PhantomData }
            }
        }

        impl Sealed for $name<'_> {
            fn descriptor(&self) -> *const c_void {
                std::ptr::from_ref(&self.raw).cast()
            }
        }

        impl Operation for $name<'_> {}
    };
}
pub(crate) use operation;

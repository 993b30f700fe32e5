use super::prelude::*;

operation! {
    /// Merges P partial attention results of the same queries over disjoint keys into one.
    ///
    /// Flags: `LSE_BASE2`, `LSE_WITH_SINK`, `LSE_EMPTY_POS_INF`.
    MergeLse: dsa_merge_lse_desc by dsa_merge_lse, new dsa_merge_lse_desc_init
    numbers {
    }
    choices {
    }
    inputs {
        /// \[P, T, H, Dv\] f32, f16, bf16; given when `out` is, and only then.
        partial_out,
        /// \[P, T, H\] f32; given when `max` is, and only then.
        partial_max,
        /// \[H\] f32: applied here, once.
        sink,
    }
    outputs {
        /// \[T, H, Dv\] f32, f16, bf16.
        out,
        /// \[T, H\] f32.
        lse,
        /// \[T, H\] f32.
        max,
    }
}

impl<'a> MergeLse<'a> {
    /// partial_lse \[P, T, H\] f32, without the sink.
    #[inline]
    pub fn new(partial_lse: Tensor<'a>) -> Self {
        let mut call = Self::empty();
        call.raw.partial_lse = partial_lse.raw;
        call
    }
}

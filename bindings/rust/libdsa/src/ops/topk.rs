use super::prelude::*;

operation! {
    /// The k largest of each row, exactly: of equal scores the smaller index wins, NaN and -inf are
    /// never selected, and the bits are the same on every run, machine and thread count.
    ///
    /// ```
    /// use libdsa::{Context, Tensor, TensorMut, Topk};
    ///
    /// let scores = [1.0f32, 9.0, 3.0, 9.0, -2.0, -1.0, -4.0, -3.0];
    /// let mut indices = [0i32; 4];
    /// Topk::new(Tensor::new(&scores, [2, 4])?, 2)
    ///     .indices(TensorMut::new(&mut indices, [2, 2])?)
    ///     .run(&Context::new()?)?;
    /// assert_eq!(indices, [1, 3, 0, 1]);
    /// # Ok::<(), libdsa::Error>(())
    /// ```
    ///
    /// Flags: `CAUSAL`, `COLUMNS_FROM_BEGIN`, `SELECT_NEG_INF`.
    Topk: dsa_topk_desc by dsa_topk, new dsa_topk_desc_init
    numbers {
        /// The number of requests B; 0: taken from the tensors.
        batch: i64,
        /// With [`Flags::CAUSAL`]: the position of a request's first row.
        offset: i64,
        /// No row has more visible keys than this; 0: no bound.
        max_keys: i64,
        /// Rows a request, with `seq_lens`; 0: T/B.
        next_n: i32,
        /// Tokens that a key stands for: divides the ends of visible keys.
        ratio: i32,
        /// Keys a page of `block_table`; needed only for slots.
        page_size: i32,
        /// Keys a page of the slots' cache; 0: the page size of the keys.
        slot_page_size: i32,
        /// Slots from one page to the next; 0: `slot_page_size`.
        slot_page_stride: i32,
    }
    choices {
        /// The order of indices, slots and values.
        order: Order,
        /// Which of equal scores at the cut are selected.
        ties: Ties,
    }
    inputs {
        /// \[B, max_pages\] i32: pages of each request.
        block_table,
        /// \[T\] i32: the request of each row.
        row_request,
        /// \[T\] i32: the first visible key.
        row_begin,
        /// \[T\] i32: the end of visible keys.
        row_end,
        /// \[B\] i32: keys of each request.
        seq_lens,
        /// \[T, columns\] u8 (0 hides), f32, f16, bf16 (-inf hides).
        mask,
        /// \[T\] i32: key s is written as s - begin\[t\] + index_base\[t\].
        index_base,
        /// \[B, max_slot_pages\] i32: the table of slots, where it is another than `block_table`.
        slot_table,
        /// \[T, any\] i32: an earlier selection. Only saves time.
        hint_indices,
        /// \[T\] f32: what the k-th largest score is believed to reach. Only saves time.
        hint_bound,
    }
    outputs {
        /// \[T, >= k\] i32: positions, -1 past the count.
        indices,
        /// \[T, >= k\] i32: the same keys as places in a cache.
        slots,
        /// \[T, >= k\]: their scores; dtype of the scores (f32 from index keys).
        values,
        /// \[T\] i32: keys selected.
        counts,
        /// \[T\] f32: score of the last key selected.
        cut_score,
        /// \[T\] i32: its position.
        cut_index,
    }
}

impl<'a> Topk<'a> {
    /// scores \[T, columns\] (f32, f16, bf16); k at least 1, and it may exceed the columns.
    #[inline]
    pub fn new(scores: Tensor<'a>, k: i32) -> Self {
        let mut call = Self::empty();
        call.raw.scores = scores.raw;
        call.raw.k = k;
        call
    }
}

use super::prelude::*;

operation! {
    /// [`Indexer`](crate::Indexer) with f32 scores and [`Topk`](crate::Topk) in one call, bit for bit
    /// the same, without the score matrix in memory.
    ///
    /// Flags: `CAUSAL`, `COLUMNS_FROM_BEGIN` (columns of the mask), `NO_RELU`, `SELECT_NEG_INF`.
    IndexerTopk: dsa_indexer_topk_desc by dsa_indexer_topk, new dsa_indexer_topk_desc_init
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
        /// Keys a page of a packed cache.
        page_size: i32,
        /// Keys a page of the slots' cache; 0: the page size of the keys.
        slot_page_size: i32,
        /// Slots from one page to the next; 0: `slot_page_size`.
        slot_page_stride: i32,
    }
    choices {
        /// How the keys lie.
        key_layout: KeyLayout,
        /// What a key's bytes are.
        key_format: KeyFormat,
        /// The order of indices, slots and values.
        order: Order,
        /// Which of equal scores at the cut are selected.
        ties: Ties,
    }
    inputs {
        /// \[T, Hi\] f32, f16, bf16: head weights; not given: 1.
        w,
        /// \[1\] or \[T, Hi\] f32: scales of q.
        q_scale,
        /// \[1\] or one a key, f32: scales of the keys.
        k_scale,
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

impl<'a> IndexerTopk<'a> {
    /// q \[T, Hi, Di\] and keys as in [`Indexer::new`](crate::Indexer::new); k at least 1.
    #[inline]
    pub fn new(q: Tensor<'a>, keys: Tensor<'a>, k: i32) -> Self {
        let mut call = Self::empty();
        call.raw.q = q.raw;
        call.raw.keys = keys.raw;
        call.raw.k = k;
        call
    }
}

use super::prelude::*;

operation! {
    /// Scores of all keys by the lightning indexer:
    /// `scores[t,s] = k_scale[s] * sum_h w[t,h] * relu(q_scale[t,h] * q[t,h,:] . keys[s,:])`;
    /// columns that are not visible get -inf.
    ///
    /// Flags: `CAUSAL`, `COLUMNS_FROM_BEGIN`, `KEEP_INVISIBLE`, `NO_RELU`.
    Indexer: dsa_indexer_desc by dsa_indexer, new dsa_indexer_desc_init
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
    }
    choices {
        /// How the keys lie.
        key_layout: KeyLayout,
        /// What a key's bytes are.
        key_format: KeyFormat,
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
    }
    outputs {
        /// \[T, columns\] f32, bf16.
        scores,
    }
}

impl<'a> Indexer<'a> {
    /// q \[T, Hi, Di\] (f32, f16, bf16, e4m3fn) and keys \[S, Di\], \[pages, page_size, Di\],
    /// \[B, S, Di\] or packed.
    #[inline]
    pub fn new(q: Tensor<'a>, keys: Tensor<'a>) -> Self {
        let mut call = Self::empty();
        call.raw.q = q.raw;
        call.raw.keys = keys.raw;
        call
    }
}

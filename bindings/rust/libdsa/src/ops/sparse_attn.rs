use super::prelude::*;

operation! {
    /// Attention over the keys that each row selects:
    /// `out[t,h,:] = softmax_j(scale * q[t,h,:] . kv[i_j,:]) . v[i_j,:]`. Without `v`, V is the first
    /// Dv elements of kv (MLA).
    ///
    /// A second scope (`kv_b` and the other `..._b`) is another cache in the same softmax.
    ///
    /// Flags: `CAUSAL`, `COLUMNS_FROM_BEGIN`, `SELECT_NEG_INF`, `BLOCK_TAIL`, `LSE_...`.
    SparseAttn: dsa_sparse_attn_desc by dsa_sparse_attn, new dsa_sparse_attn_desc_init
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
        /// Entries a row of `indices`; 0 with [`Selection::All`].
        k: i32,
        /// Keys that an index stands for; 0: 1.
        index_block: i32,
        /// Keys a page of the slots' cache; 0: the page size of the keys.
        slot_page_size: i32,
        /// Slots from one page to the next; 0: `slot_page_size`.
        slot_page_stride: i32,
        /// As `k`, of the second scope.
        k_b: i32,
        /// As `page_size`, of the second scope.
        page_size_b: i32,
        /// As `slot_page_size`, of the second scope.
        slot_page_size_b: i32,
        /// As `slot_page_stride`, of the second scope.
        slot_page_stride_b: i32,
    }
    choices {
        /// How kv, kv2 and v lie.
        key_layout: KeyLayout,
        /// What the bytes of kv are.
        key_format: KeyFormat,
        /// How the keys of a row are given.
        selection: Selection,
        /// As `key_layout`, of the second scope.
        key_layout_b: KeyLayout,
        /// As `key_format`, of the second scope.
        key_format_b: KeyFormat,
        /// As `selection`, of the second scope: indices, slots or all.
        selection_b: Selection,
    }
    inputs {
        /// \[T, H, D2\]: the second piece of q (rope kept apart).
        q2,
        /// \[S, D2\] or \[S, Hkv, D2\], ...: the second piece of kv.
        kv2,
        /// \[S, Dv\] or \[S, Hkv, Dv\], ...: values apart from keys.
        v,
        /// \[1\], one a key, or \[S, groups\], ... f32: scales of kv.
        kv_scale,
        /// As `kv_scale`, of v.
        v_scale,
        /// \[1\] or \[T, H\] f32: scales of q.
        q_scale,
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
        /// \[T\] i32: an index is read as s - begin\[t\] + index_base\[t\].
        index_base,
        /// \[T, >= k\] i32: positions, blocks or slots, as a top-k writes them; -1 is skipped.
        indices,
        /// \[T\] i32: entries of `indices` that count.
        counts,
        /// \[T, columns\] f32, f16, bf16: with [`Selection::Cut`].
        scores,
        /// \[T\] f32: with [`Selection::Cut`].
        cut_score,
        /// \[T\] i32: with [`Selection::Cut`].
        cut_index,
        /// \[H\] f32: a logit that has no value.
        sink,
        /// The cache of the second scope, as kv of the first.
        kv_b,
        /// As `kv2`, of the second scope.
        kv2_b,
        /// As `v`, of the second scope.
        v_b,
        /// As `kv_scale`, of the second scope.
        kv_scale_b,
        /// As `v_scale`, of the second scope.
        v_scale_b,
        /// As `block_table`, of the second scope.
        block_table_b,
        /// \[T\] i32: the first visible key of the second scope.
        row_begin_b,
        /// \[T\] i32: the end of visible keys of the second scope.
        row_end_b,
        /// As `indices`, of the second scope.
        indices_b,
        /// As `counts`, of the second scope.
        counts_b,
    }
    outputs {
        /// \[T, H, Dv\] f32, f16, bf16.
        out,
        /// \[T, H\] f32: log of the sum of exponentials.
        lse,
        /// \[T, H\] f32: the largest logit.
        max,
    }
}

impl<'a> SparseAttn<'a> {
    /// q \[T, H, D\] (f32, f16, bf16, e4m3fn), kv \[S, D\] or \[S, Hkv, D\] (or with leading
    /// \[pages, page_size\] or \[B, S\]), and the scale of the logits, not 0.
    ///
    /// Then [`k`](Self::k) and [`indices`](Self::indices), or another
    /// [`selection`](Self::selection).
    #[inline]
    pub fn new(q: Tensor<'a>, kv: Tensor<'a>, scale: f32) -> Self {
        let mut call = Self::empty();
        call.raw.q = q.raw;
        call.raw.kv = kv.raw;
        call.raw.scale = scale;
        call
    }
}

//! The values of descriptor fields that are not tensors or numbers.

use std::ops::{BitOr, BitOrAssign};

use libdsa_sys as sys;

/// Switches of an operation, joined by `|`. Each operation names those it takes; others are an
/// error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub(crate) u64);

impl Flags {
    /// Row t sees the keys up to offset + its place within its request.
    pub const CAUSAL: Flags = Flags(sys::DSA_CAUSAL as u64);
    /// Column j of scores and mask is key begin\[t\] + j.
    pub const COLUMNS_FROM_BEGIN: Flags = Flags(sys::DSA_COLUMNS_FROM_BEGIN as u64);
    /// Indexer: leave columns that are not visible untouched, instead of -inf.
    pub const KEEP_INVISIBLE: Flags = Flags(sys::DSA_KEEP_INVISIBLE as u64);
    /// Indexer: the products enter the sum as they are.
    pub const NO_RELU: Flags = Flags(sys::DSA_NO_RELU as u64);
    /// -inf is an ordinary number that can be selected.
    pub const SELECT_NEG_INF: Flags = Flags(sys::DSA_SELECT_NEG_INF as u64);
    /// Attention: read the keys after the last complete block.
    pub const BLOCK_TAIL: Flags = Flags(sys::DSA_BLOCK_TAIL as u64);
    /// lse is log2; the partial lse of a merge too.
    pub const LSE_BASE2: Flags = Flags(sys::DSA_LSE_BASE2 as u64);
    /// The sink enters the lse too.
    pub const LSE_WITH_SINK: Flags = Flags(sys::DSA_LSE_WITH_SINK as u64);
    /// lse of an empty row is +inf, and is read so by a merge.
    pub const LSE_EMPTY_POS_INF: Flags = Flags(sys::DSA_LSE_EMPTY_POS_INF as u64);
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$value_doc])* $value = sys::$code as isize,)*
        }
    )*};
}

choices! {
    /// How keys lie.
    KeyLayout {
        /// \[S, ...\]: one axis for all requests.
        Rows = DSA_LAYOUT_ROWS,
        /// \[pages, page_size, ...\] with a block table.
        Pages = DSA_LAYOUT_PAGES,
        /// \[B, S, ...\]: request r owns slice r.
        Batch = DSA_LAYOUT_BATCH,
    }

    /// What a key's bytes are.
    KeyFormat {
        /// The tensor's own dtype; optional separate scales.
        Plain = DSA_FORMAT_PLAIN,
        /// Index keys, u8 \[pages, bytes\]: a page holds its e4m3fn values, then one f32 scale a key.
        KeyPage132 = DSA_FORMAT_KEY_PAGE_132,
        /// KV of 576, 656 bytes a token: 512 e4m3fn, four f32 scales, 64 bf16.
        KvFp8Row656 = DSA_FORMAT_KV_FP8_656,
    }

    /// The order of indices, slots and values.
    Order {
        /// Ascending index.
        Index = DSA_ORDER_INDEX,
        /// Descending score, of equal ones ascending index.
        Score = DSA_ORDER_SCORE,
        /// Whatever is fastest.
        Any = DSA_ORDER_ANY,
    }

    /// Which of equal scores at the cut are selected.
    Ties {
        /// Those of smaller index.
        SmallerIndex = DSA_TIES_SMALLER_INDEX,
        /// Any of them; still exactly k, but not repeatable.
        Any = DSA_TIES_ANY,
    }

    /// How attention's keys are given.
    Selection {
        /// `indices` holds positions (or blocks).
        Indices = DSA_SELECTION_INDICES,
        /// `indices` holds physical places, as `slots` of a top-k.
        Slots = DSA_SELECTION_SLOTS,
        /// `scores`, `cut_score` and `cut_index` of a top-k.
        Cut = DSA_SELECTION_CUT,
        /// All visible keys: dense attention.
        All = DSA_SELECTION_ALL,
    }
}

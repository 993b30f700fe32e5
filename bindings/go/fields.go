package libdsa

// #include <dsa.h>
import "C"

// Flags are switches of an operation, joined by |. Each operation names those it takes; others are
// an error.
type Flags uint64

const (
	Causal           Flags = C.DSA_CAUSAL             // row t sees keys up to Offset + its place
	ColumnsFromBegin Flags = C.DSA_COLUMNS_FROM_BEGIN // column j is key begin[t] + j
	KeepInvisible    Flags = C.DSA_KEEP_INVISIBLE     // indexer: leave invisible columns untouched
	NoReLU           Flags = C.DSA_NO_RELU            // indexer: products enter the sum as they are
	SelectNegInf     Flags = C.DSA_SELECT_NEG_INF     // -inf is an ordinary number
	BlockTail        Flags = C.DSA_BLOCK_TAIL         // attention: read the incomplete last block
	LSEBase2         Flags = C.DSA_LSE_BASE2          // lse is log2
	LSEWithSink      Flags = C.DSA_LSE_WITH_SINK      // the sink enters the lse too
	LSEEmptyPosInf   Flags = C.DSA_LSE_EMPTY_POS_INF  // lse of an empty row is +inf
)

// KeyLayout says how keys lie.
type KeyLayout int32

const (
	Rows  KeyLayout = C.DSA_LAYOUT_ROWS  // [S, ...]
	Pages KeyLayout = C.DSA_LAYOUT_PAGES // [pages, page size, ...] with a block table
	Batch KeyLayout = C.DSA_LAYOUT_BATCH // [B, S, ...]
)

// KeyFormat says what a key's bytes are.
type KeyFormat int32

const (
	Plain       KeyFormat = C.DSA_FORMAT_PLAIN        // the tensor's own type
	KeyPage132  KeyFormat = C.DSA_FORMAT_KEY_PAGE_132 // index keys: a page of e4m3, then f32 scales
	KVFP8Row656 KeyFormat = C.DSA_FORMAT_KV_FP8_656   // KV: 512 e4m3, four f32 scales, 64 bf16
)

// Order is that of indices, slots and values.
type Order int32

const (
	OrderIndex Order = C.DSA_ORDER_INDEX // ascending index
	OrderScore Order = C.DSA_ORDER_SCORE // descending score, of equal ones ascending index
	OrderAny   Order = C.DSA_ORDER_ANY   // whatever is fastest
)

// Ties says which of equal scores at the cut are selected.
type Ties int32

const (
	TiesSmallerIndex Ties = C.DSA_TIES_SMALLER_INDEX
	TiesAny          Ties = C.DSA_TIES_ANY // still exactly k, but not repeatable
)

// Selection says how attention's keys are given.
type Selection int32

const (
	SelectIndices Selection = C.DSA_SELECTION_INDICES // positions, or blocks
	SelectSlots   Selection = C.DSA_SELECTION_SLOTS   // physical places, in Indices
	SelectCut     Selection = C.DSA_SELECTION_CUT     // Scores, CutScore and CutIndex
	SelectAll     Selection = C.DSA_SELECTION_ALL     // all visible keys: dense attention
)

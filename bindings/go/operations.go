package libdsa

// The structs of this file are those of dsa.h, field by field: the library reads copies of them, and
// a test compares the offsets. Fields named _ are reserved there.

type header struct {
	structSize uint32
	kind       uint32
}

// Indexer scores all keys:
//
//	scores[t,s] = kScale[s] * sum_h w[t,h] * relu(qScale[t,h] * q[t,h,:] . keys[s,:])
//
// Columns that are not visible get -inf. Flags: Causal, ColumnsFromBegin, KeepInvisible, NoReLU.
type Indexer struct {
	header
	Flags     Flags
	Batch     int64 // B; 0: taken from the tensors
	Offset    int64 // Causal: position of a request's first row
	MaxKeys   int64 // 0: none
	NextN     int32 // SeqLens: rows a request; 0: T/B
	Ratio     int32 // tokens that a key stands for; 0: 1
	KeyLayout KeyLayout
	KeyFormat KeyFormat
	PageSize  int32 // of a packed cache
	_         [3]int32

	Q          Tensor // [T, Hi, Di]
	Keys       Tensor // [S, Di] | [pages, page size, Di] | [B, S, Di] | packed
	W          Tensor // [T, Hi]; not given: 1
	QScale     Tensor // [1] or [T, Hi] f32
	KScale     Tensor // one a key, or [1] f32
	BlockTable Tensor // [B, max pages] i32
	RowRequest Tensor // [T] i32
	RowBegin   Tensor // [T] i32
	RowEnd     Tensor // [T] i32
	SeqLens    Tensor // [B] i32
	Mask       Tensor // [T, columns] u8, f32, f16, bf16

	Scores Tensor // out: [T, columns] f32, bf16
}

// Topk selects the k largest of each row, exactly: of equal scores the smaller index wins, NaN and
// -inf are never selected. Flags: Causal, ColumnsFromBegin, SelectNegInf.
type Topk struct {
	header
	Flags          Flags
	Batch          int64
	Offset         int64
	MaxKeys        int64
	NextN          int32
	Ratio          int32
	PageSize       int32 // of BlockTable; needed only for Slots
	K              int32 // at least 1
	Order          Order
	Ties           Ties
	SlotPageSize   int32 // 0: PageSize
	SlotPageStride int32 // 0: SlotPageSize
	_              [6]int32

	Scores      Tensor // [T, columns] f32, f16, bf16
	BlockTable  Tensor // [B, max pages] i32; only for Slots
	RowRequest  Tensor // [T] i32
	RowBegin    Tensor // [T] i32
	RowEnd      Tensor // [T] i32
	SeqLens     Tensor // [B] i32
	Mask        Tensor // [T, columns]
	IndexBase   Tensor // [T] i32
	SlotTable   Tensor // [B, max slot pages] i32
	HintIndices Tensor // [T, any] i32; only saves time
	HintBound   Tensor // [T] f32; only saves time
	_           [2]Tensor

	Indices  Tensor // out: [T, >= k] i32, -1 past the count
	Slots    Tensor // out: [T, >= k] i32
	Values   Tensor // out: [T, >= k], type of Scores
	Counts   Tensor // out: [T] i32
	CutScore Tensor // out: [T] f32
	CutIndex Tensor // out: [T] i32
}

// IndexerTopk is Indexer with f32 scores and Topk in one call, bit for bit the same, without the
// score matrix in memory. Flags: Causal, ColumnsFromBegin, NoReLU, SelectNegInf.
type IndexerTopk struct {
	header
	Flags          Flags
	Batch          int64
	Offset         int64
	MaxKeys        int64
	NextN          int32
	Ratio          int32
	KeyLayout      KeyLayout
	KeyFormat      KeyFormat
	PageSize       int32
	K              int32 // at least 1
	Order          Order
	Ties           Ties
	SlotPageSize   int32
	SlotPageStride int32
	_              [6]int32

	Q           Tensor // [T, Hi, Di]
	Keys        Tensor // as Indexer's
	W           Tensor // [T, Hi]
	QScale      Tensor // [1] or [T, Hi]
	KScale      Tensor // as Indexer's
	BlockTable  Tensor // [B, max pages] i32
	RowRequest  Tensor // [T] i32
	RowBegin    Tensor // [T] i32
	RowEnd      Tensor // [T] i32
	SeqLens     Tensor // [B] i32
	Mask        Tensor // [T, columns]
	IndexBase   Tensor // [T] i32
	SlotTable   Tensor // [B, max slot pages] i32
	HintIndices Tensor // [T, any] i32
	HintBound   Tensor // [T] f32
	_           [2]Tensor

	Indices  Tensor // out: [T, >= k] i32
	Slots    Tensor // out: [T, >= k] i32
	Values   Tensor // out: [T, >= k] f32
	Counts   Tensor // out: [T] i32
	CutScore Tensor // out: [T] f32
	CutIndex Tensor // out: [T] i32
}

// SparseAttn attends to the keys that each row selects:
//
//	out[t,h,:] = softmax_j(scale * q[t,h,:] . kv[i_j,:]) . v[i_j,:]
//
// Without V, the values are the first Dv elements of KV (MLA). The fields that end in B are a second
// scope, another cache in the same softmax. Flags: Causal, ColumnsFromBegin, SelectNegInf, BlockTail,
// LSEBase2, LSEWithSink, LSEEmptyPosInf.
type SparseAttn struct {
	header
	Flags           Flags
	Batch           int64
	Offset          int64
	MaxKeys         int64
	NextN           int32
	Ratio           int32
	KeyLayout       KeyLayout // of KV, KV2, V
	KeyFormat       KeyFormat // of KV
	PageSize        int32
	Selection       Selection
	K               int32 // entries a row; 0 with SelectAll
	IndexBlock      int32 // keys that an index stands for; 0: 1
	SlotPageSize    int32
	SlotPageStride  int32
	Scale           float32 // of the logits, not 0
	KB              int32
	KeyLayoutB      KeyLayout
	KeyFormatB      KeyFormat
	PageSizeB       int32
	SelectionB      Selection
	SlotPageSizeB   int32
	SlotPageStrideB int32

	Q          Tensor // [T, H, D] f32, f16, bf16, e4m3
	Q2         Tensor // [T, H, D2]: the second piece (rope kept apart)
	KV         Tensor // [S, D] or [S, Hkv, D]; or with leading [pages, page size], [B, S]
	KV2        Tensor // [S, D2] or [S, Hkv, D2], ...
	V          Tensor // [S, Dv] or [S, Hkv, Dv], ...
	KVScale    Tensor // [1], one a key, or [S, groups], ... f32
	VScale     Tensor // as KVScale, of V
	QScale     Tensor // [1] or [T, H] f32
	BlockTable Tensor // [B, max pages] i32
	RowRequest Tensor // [T] i32
	RowBegin   Tensor // [T] i32
	RowEnd     Tensor // [T] i32
	SeqLens    Tensor // [B] i32
	Mask       Tensor // [T, columns]
	IndexBase  Tensor // [T] i32
	Indices    Tensor // [T, >= k] i32: positions, blocks or slots; -1 is skipped
	Counts     Tensor // [T] i32
	Scores     Tensor // [T, columns]: SelectCut
	CutScore   Tensor // [T] f32: SelectCut
	CutIndex   Tensor // [T] i32: SelectCut
	Sink       Tensor // [H] f32

	KVB         Tensor
	KV2B        Tensor
	VB          Tensor
	KVScaleB    Tensor
	VScaleB     Tensor
	BlockTableB Tensor
	RowBeginB   Tensor
	RowEndB     Tensor
	IndicesB    Tensor
	CountsB     Tensor

	Out Tensor // out: [T, H, Dv] f32, f16, bf16
	LSE Tensor // out: [T, H] f32
	Max Tensor // out: [T, H] f32
}

// MergeLSE merges P partial attention results of the same queries over disjoint keys into one.
// Flags: LSEBase2, LSEWithSink, LSEEmptyPosInf.
type MergeLSE struct {
	header
	Flags Flags

	PartialOut Tensor // [P, T, H, Dv]; given when Out is, and only then
	PartialLSE Tensor // [P, T, H] f32
	PartialMax Tensor // [P, T, H] f32; given when Max is, and only then
	Sink       Tensor // [H] f32: applied here, once

	Out Tensor // out: [T, H, Dv] f32, f16, bf16
	LSE Tensor // out: [T, H] f32
	Max Tensor // out: [T, H] f32
}

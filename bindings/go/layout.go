package libdsa

// #include <dsa.h>
import "C"

import "reflect"

// cTypes are the structs of dsa.h that Go structs stand for. Here, since tests cannot use cgo.
func cTypes() map[reflect.Type]reflect.Type {
	return map[reflect.Type]reflect.Type{
		reflect.TypeFor[Tensor]():      reflect.TypeFor[C.dsa_tensor](),
		reflect.TypeFor[Indexer]():     reflect.TypeFor[C.dsa_indexer_desc](),
		reflect.TypeFor[Topk]():        reflect.TypeFor[C.dsa_topk_desc](),
		reflect.TypeFor[IndexerTopk](): reflect.TypeFor[C.dsa_indexer_topk_desc](),
		reflect.TypeFor[SparseAttn]():  reflect.TypeFor[C.dsa_sparse_attn_desc](),
		reflect.TypeFor[MergeLSE]():    reflect.TypeFor[C.dsa_merge_lse_desc](),
	}
}

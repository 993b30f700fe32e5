// Package libdsa is DeepSeek Sparse Attention: a lightning indexer scores all earlier keys, an exact
// top-k keeps some of them, and attention runs over those alone.
//
//	ctx, err := libdsa.NewContext(nil)
//	if err != nil { ... }
//	defer ctx.Close()
//	err = ctx.Topk(&libdsa.Topk{
//		Scores:  libdsa.TensorOf(scores, rows, columns),
//		K:       8,
//		Indices: libdsa.TensorOf(indices, rows, 8),
//	}, nil)
//
// A call is a struct of the fields that include/dsa.h, the manual, describes under the same names;
// what is not set is zero or not given. Tensors are views of slices: nothing is copied, and outputs
// are written in place. Letters in shapes: T query rows, S keys, B requests, H heads, Hi indexer
// heads, D head dim, Dv value dim, k keys selected.
//
// Errors are of type *Error, with the library's text; errors.Is finds their Status. A Context may be
// used by any number of goroutines at once; a call's outputs belong to it until it returns.
//
// The package links libdsa by pkg-config. With the build tag libdsa_no_pkgconfig, CGO_CFLAGS and
// CGO_LDFLAGS say where it is.
package libdsa

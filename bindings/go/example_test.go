package libdsa_test

import (
	"fmt"
	"log"

	"libdsa"
)

// The 2 largest of each row.
func Example() {
	ctx, err := libdsa.NewContext(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ctx.Close()

	scores := []float32{
		1, 9, 3, 9,
		-2, -1, -4, -3,
	}
	indices := make([]int32, 4)
	err = ctx.Topk(&libdsa.Topk{
		Scores:  libdsa.TensorOf(scores, 2, 4),
		K:       2,
		Indices: libdsa.TensorOf(indices, 2, 2),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(indices)
	// Output: [1 3 0 1]
}

// One decode step of a layer: which keys does the query need, and attention over those alone. The
// key that answers the query is planted, so that what must come out is known.
func Example_sparseAttention() {
	const (
		keys, heads, indexDim = 1000, 4, 64
		dim, valueDim         = 96, 64 // V is the first part of a key
		k, planted            = 8, 321
	)
	ctx, err := libdsa.NewContext(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ctx.Close()

	// Index keys in bf16 that point away from the query, but for the planted one.
	indexQ, indexKeys := make([]libdsa.BF16, heads*indexDim), make([]libdsa.BF16, keys*indexDim)
	for i := range indexQ {
		indexQ[i] = libdsa.NewBF16(1)
	}
	for i := range indexKeys {
		indexKeys[i] = libdsa.NewBF16(-1)
	}
	copy(indexKeys[planted*indexDim:][:indexDim], indexQ)
	indices := make([]int32, k)
	err = ctx.IndexerTopk(&libdsa.IndexerTopk{
		Q:       libdsa.TensorOf(indexQ, 1, heads, indexDim),
		Keys:    libdsa.TensorOf(indexKeys, keys, indexDim),
		K:       k,
		Indices: libdsa.TensorOf(indices, 1, k),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("selected", indices) // ties go to the smaller index

	// The planted key's logit is 20 above the others': its value comes out.
	q, kv := make([]float32, heads*dim), make([]float32, keys*dim)
	for i := range q {
		q[i] = 1
	}
	for d := range dim {
		kv[planted*dim+d] = 1
	}
	out, lse := make([]float32, heads*valueDim), make([]float32, heads)
	err = ctx.SparseAttn(&libdsa.SparseAttn{
		Q:       libdsa.TensorOf(q, 1, heads, dim),
		KV:      libdsa.TensorOf(kv, keys, dim),
		Scale:   20.0 / dim,
		Indices: libdsa.TensorOf(indices, 1, k),
		K:       k,
		Out:     libdsa.TensorOf(out, 1, heads, valueDim),
		LSE:     libdsa.TensorOf(lse, 1, heads),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("out %.4f %.4f, lse %.4f\n", out[0], out[len(out)-1], lse[0])
	// Output:
	// selected [0 1 2 3 4 5 6 321]
	// out 1.0000 1.0000, lse 20.0000
}

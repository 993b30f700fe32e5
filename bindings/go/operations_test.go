package libdsa

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

func newContext(t testing.TB) *Context {
	t.Helper()
	ctx, err := NewContext(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ctx.Close() })
	return ctx
}

func random(seed uint64, count int) []float32 {
	source := rand.New(rand.NewPCG(seed, 1))
	values := make([]float32, count)
	for i := range values {
		values[i] = float32(source.NormFloat64())
	}
	return values
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func closeTo(t *testing.T, what string, found []float32, wanted []float64, tolerance float64) {
	t.Helper()
	for i, value := range found {
		if !(math.Abs(float64(value)-wanted[i]) <= tolerance) && float64(value) != wanted[i] {
			t.Fatalf("%s: element %d is %g, wanted %g", what, i, value, wanted[i])
		}
	}
}

func TestTopkKeepsTheLargestAndOfTiesTheFirst(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	scores := []float32{1, 9, nan, 9, inf, 9, -0.5, 2}
	indices, values, counts := make([]int32, 8), make([]float32, 8), make([]int32, 2)
	check(t, newContext(t).Topk(&Topk{
		Scores:  TensorOf(scores, 2, 4),
		K:       2,
		Indices: TensorOf(indices, 2, 4),
		Values:  TensorOf(values, 2, 4),
		Counts:  TensorOf(counts, 2),
	}, nil))
	if want := []int32{1, 3, -1, -1, 1, 3, -1, -1}; !slices.Equal(indices, want) {
		t.Error(indices)
	}
	if want := []float32{9, 9, inf, inf, 9, 2, inf, inf}; !slices.Equal(values, want) {
		t.Error(values)
	}
	if !slices.Equal(counts, []int32{2, 2}) {
		t.Error(counts)
	}
}

func TestTopkTakesBF16AndStrides(t *testing.T) {
	// Two rows that lie as columns; the output is every second element.
	var scores []BF16
	for _, value := range []float32{1, 8, 5, 3, 4, 6} {
		scores = append(scores, NewBF16(value))
	}
	indices := slices.Repeat([]int32{9}, 8)
	check(t, newContext(t).Topk(&Topk{
		Scores:  StridedTensor(scores, []int{2, 3}, []int{1, 2}),
		K:       2,
		Indices: StridedTensor(indices, []int{2, 2}, []int{4, 2}),
	}, nil))
	if want := []int32{1, 9, 2, 9, 0, 9, 2, 9}; !slices.Equal(indices, want) {
		t.Error(indices)
	}
}

func TestBF16(t *testing.T) {
	for value, bits := range map[float32]BF16{1: 0x3f80, -2.5: 0xc020, 1 + 1.0/256: 0x3f80,
		1 + 3.0/256: 0x3f82, float32(math.Inf(1)): 0x7f80, math.MaxFloat32: 0x7f80} {
		if got := NewBF16(value); got != bits {
			t.Errorf("%g is %#x, wanted %#x", value, got, bits)
		}
	}
	if nan := NewBF16(math.Float32frombits(0x7f800001)).Float32(); nan == nan {
		t.Error(nan)
	}
	if got := BF16(0xc020).Float32(); got != -2.5 {
		t.Error(got)
	}
}

const (
	rows, keyCount, heads, dim, k = 5, 37, 4, 16, 6

	valueDim = 12
	scale    = 0.3
)

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestIndexerAndTheFusedCallAgreeWithLoops(t *testing.T) {
	ctx := newContext(t)
	q, keys, w := random(1, rows*heads*dim), random(2, keyCount*dim), random(3, rows*heads)
	const offset = keyCount - rows
	wanted := make([]float64, rows*keyCount)
	for i := range wanted {
		row, key := i/keyCount, i%keyCount
		if key > offset+row {
			wanted[i] = math.Inf(-1)
			continue
		}
		for h := range heads {
			product := dot(q[(row*heads+h)*dim:][:dim], keys[key*dim:][:dim])
			wanted[i] += float64(w[row*heads+h]) * max(product, 0)
		}
	}

	scores := make([]float32, rows*keyCount)
	check(t, ctx.Indexer(&Indexer{
		Q: TensorOf(q, rows, heads, dim), Keys: TensorOf(keys, keyCount, dim),
		W: TensorOf(w, rows, heads), Flags: Causal, Offset: offset,
		Scores: TensorOf(scores, rows, keyCount),
	}, nil))
	closeTo(t, "scores", scores, wanted, 1e-4)

	twoSteps, fused := make([]int32, rows*k), make([]int32, rows*k)
	check(t, ctx.Topk(&Topk{Scores: TensorOf(scores, rows, keyCount), K: k,
		Indices: TensorOf(twoSteps, rows, k)}, nil))
	check(t, ctx.IndexerTopk(&IndexerTopk{
		Q: TensorOf(q, rows, heads, dim), Keys: TensorOf(keys, keyCount, dim),
		W: TensorOf(w, rows, heads), Flags: Causal, Offset: offset, K: k,
		Indices: TensorOf(fused, rows, k),
	}, nil))
	if !slices.Equal(fused, twoSteps) {
		t.Errorf("%v, in two steps %v", fused, twoSteps)
	}
	for row := range rows {
		order := make([]int, keyCount)
		for i := range order {
			order[i] = i
		}
		score := wanted[row*keyCount:]
		sort.SliceStable(order, func(a, b int) bool { return score[order[a]] > score[order[b]] })
		best := order[:k]
		slices.Sort(best)
		for j, index := range fused[row*k:][:k] {
			if int(index) != best[j] {
				t.Errorf("row %d: %v, wanted %v", row, fused[row*k:][:k], best)
				break
			}
		}
	}
}

// attend is out and lse of one row and head.
func attend(q, kv []float32, selected []int32) (out []float64, lse float64) {
	total := 0.0
	out = make([]float64, valueDim)
	for _, key := range selected {
		weight := math.Exp(scale * dot(q, kv[int(key)*dim:][:dim]))
		total += weight
		for d := range out {
			out[d] += weight * float64(kv[int(key)*dim+d])
		}
	}
	for d := range out {
		out[d] /= total
	}
	return out, math.Log(total)
}

func TestAttentionAgreesWithLoops(t *testing.T) {
	q, kv := random(4, rows*heads*dim), random(5, keyCount*dim)
	indices := make([]int32, rows*k)
	for i := range indices {
		indices[i] = -1
		if i%k < k-i/k { // rows of 6, 5, 4, 3, 2 keys
			indices[i] = int32(i * 11 % keyCount)
		}
	}
	out, lse := make([]float32, rows*heads*valueDim), make([]float32, rows*heads)
	check(t, newContext(t).SparseAttn(&SparseAttn{
		Q: TensorOf(q, rows, heads, dim), KV: TensorOf(kv, keyCount, dim), Scale: scale,
		Indices: TensorOf(indices, rows, k), K: k,
		Out: TensorOf(out, rows, heads, valueDim), LSE: TensorOf(lse, rows, heads),
	}, nil))
	for i := range rows * heads {
		row := i / heads
		o, l := attend(q[i*dim:][:dim], kv, indices[row*k:][:k-row])
		closeTo(t, "out", out[i*valueDim:][:valueDim], o, 1e-5)
		closeTo(t, "lse", lse[i:][:1], []float64{l}, 1e-5)
	}
}

// More tensors than the usual call has: they reach C in another way.
func TestTwoScopesAndSinkAgreeWithLoops(t *testing.T) {
	ctx := newContext(t)
	q, kv, kvB := random(6, heads*dim), random(7, keyCount*dim), random(8, 10*dim)
	indices, counts, end := []int32{3, 9, 30}, []int32{3}, []int32{10}
	begin, sink := []int32{4}, random(9, heads)
	out, lse, maximum := make([]float32, heads*valueDim), make([]float32, heads), make([]float32, heads)
	check(t, ctx.SparseAttn(&SparseAttn{
		Q: TensorOf(q, 1, heads, dim), KV: TensorOf(kv, keyCount, dim), Scale: scale,
		Indices: TensorOf(indices, 1, 3), Counts: TensorOf(counts, 1), K: 3,
		KVB: TensorOf(kvB, 10, dim), SelectionB: SelectAll,
		RowBeginB: TensorOf(begin, 1), RowEndB: TensorOf(end, 1), Sink: TensorOf(sink, heads),
		Out: TensorOf(out, 1, heads, valueDim), LSE: TensorOf(lse, 1, heads),
		Max: TensorOf(maximum, 1, heads),
	}, nil))
	both := append(slices.Clone(kv), kvB...)
	selected := slices.Clone(indices)
	for key := begin[0]; key < end[0]; key++ {
		selected = append(selected, keyCount+key)
	}
	for h := range heads {
		o, l := attend(q[h*dim:][:dim], both, selected)
		for d := range o { // the sink takes its share of the denominator
			o[d] *= math.Exp(l) / (math.Exp(l) + math.Exp(float64(sink[h])))
		}
		closeTo(t, "out", out[h*valueDim:][:valueDim], o, 1e-5)
		closeTo(t, "lse", lse[h:][:1], []float64{l}, 1e-5)
	}
}

func TestMergedHalvesAreTheWhole(t *testing.T) {
	ctx := newContext(t)
	q, kv := random(10, heads*dim), random(11, keyCount*dim)
	dense := func(kv []float32, out, lse []float32) {
		check(t, ctx.SparseAttn(&SparseAttn{Q: TensorOf(q, 1, heads, dim),
			KV: TensorOf(kv, len(kv)/dim, dim), Scale: scale, Selection: SelectAll,
			Out: TensorOf(out, 1, heads, valueDim), LSE: TensorOf(lse, 1, heads)}, nil))
	}
	const width = heads * valueDim
	whole, wholeLSE := make([]float32, width), make([]float32, heads)
	dense(kv, whole, wholeLSE)
	parts, partsLSE := make([]float32, 2*width), make([]float32, 2*heads)
	dense(kv[:20*dim], parts[:width], partsLSE[:heads])
	dense(kv[20*dim:], parts[width:], partsLSE[heads:])

	out, lse := make([]float32, width), make([]float32, heads)
	check(t, ctx.MergeLSE(&MergeLSE{PartialOut: TensorOf(parts, 2, 1, heads, valueDim),
		PartialLSE: TensorOf(partsLSE, 2, 1, heads), Out: TensorOf(out, 1, heads, valueDim),
		LSE: TensorOf(lse, 1, heads)}, nil))
	exact := func(values []float32) (wide []float64) {
		for _, value := range values {
			wide = append(wide, float64(value))
		}
		return wide
	}
	closeTo(t, "out", out, exact(whole), 1e-5)
	closeTo(t, "lse", lse, exact(wholeLSE), 1e-5)
}

func TestAPlanAndAWorkspaceChangeNothing(t *testing.T) {
	ctx := newContext(t)
	scores := random(12, 3*5000)
	wanted, indices := make([]int32, 300), make([]int32, 300)
	check(t, ctx.Topk(&Topk{Scores: TensorOf(scores, 3, 5000), K: 100,
		Indices: TensorOf(wanted, 3, 100)}, nil))

	call := &Topk{Scores: TensorOf(scores, 3, 5000), K: 100, Indices: TensorOf(indices, 3, 100)}
	plan, err := ctx.NewPlan(call)
	check(t, err)
	defer plan.Close()
	bytes, err := ctx.WorkspaceSize(call)
	check(t, err)
	check(t, ctx.Topk(call, &Exec{Plan: plan, Workspace: NewWorkspace(bytes)}))
	if !slices.Equal(indices, wanted) {
		t.Error("the selection differs")
	}
}

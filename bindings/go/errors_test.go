package libdsa

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func refused(t *testing.T, err error, status Status, text string) {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) || !errors.Is(err, status) || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, wanted %v with %q", err, status, text)
	}
}

func TestWrongShape(t *testing.T) {
	ctx := newContext(t)
	scores, indices := make([]float32, 128), make([]int32, 4)
	call := &Topk{Scores: TensorOf(scores, 1, 128), K: 8, Indices: TensorOf(indices, 1, 4)}
	const text = "topk.indices.shape[1] is 4, k is 8"
	refused(t, ctx.Topk(call, nil), Invalid, text)
	refused(t, ctx.Supports(call), Invalid, text)
	_, err := ctx.WorkspaceSize(call)
	refused(t, err, Invalid, text)
	_, err = ctx.NewPlan(call)
	refused(t, err, Invalid, text)
}

func TestWrongDType(t *testing.T) {
	scores, indices := make([]int32, 128), make([]int32, 8)
	refused(t, newContext(t).Topk(&Topk{Scores: TensorOf(scores, 1, 128), K: 8,
		Indices: TensorOf(indices, 1, 8)}, nil), Invalid, "topk.scores.dtype is 6 (i32)")
}

func TestMissingOrBadFields(t *testing.T) {
	ctx := newContext(t)
	scores, indices := TensorOf(make([]float32, 128), 1, 128), TensorOf(make([]int32, 8), 1, 8)
	refused(t, ctx.Topk(&Topk{}, nil), Invalid, "topk.scores")
	refused(t, ctx.Topk(&Topk{Scores: scores, K: 8}, nil), Invalid, "topk")
	refused(t, ctx.Topk(&Topk{Scores: scores, Indices: indices}, nil), Invalid, "topk.k is 0")
	refused(t, ctx.Topk(nil, nil), Invalid, "nil")
	noData := &Topk{Scores: ShapeOnly(TypeF32, 1, 128), K: 8, Indices: indices}
	check(t, ctx.Supports(noData))
	refused(t, ctx.Topk(noData, nil), Invalid, "topk.scores.data is NULL")
	refused(t, ctx.Topk(&Topk{Scores: scores, K: 8, Flags: BlockTail, Indices: indices}, nil),
		Invalid, "topk.flags has 0x20")
	refused(t, ctx.Topk(&Topk{Scores: scores, K: 8, Indices: CUDATensor(nil, 0, TypeI32, 1, 8)}, nil),
		NoBackend, "topk.indices.device is 2")
}

func TestViewsThatDoNotFitTheirSlices(t *testing.T) {
	ctx := newContext(t)
	data := make([]float32, 12)
	use := func(view Tensor) error { return ctx.Topk(&Topk{HintBound: view}, nil) }
	refused(t, use(TensorOf(data, 3, 5)), Invalid,
		"Topk.HintBound of shape [3 5] is not as long as its slice, which has 12 elements")
	refused(t, use(TensorOf(data, 3, 3)), Invalid, "[3 3]")
	refused(t, use(TensorOf(data)), Invalid, "has 0 axes, must be 1 to 5")
	refused(t, use(TensorOf(data, 1, 1, 1, 1, 1, 12)), Invalid, "has 6 axes")
	refused(t, use(TensorOf(data, -3, -4)), Invalid, "impossible shape [-3 -4]")
	refused(t, use(TensorOf(data, math.MaxInt, 4)), Invalid, "impossible shape")
	refused(t, use(ShapeOnly(TypeF32, math.MaxInt, 3)), Invalid, "impossible shape")

	strided := func(shape, strides []int) error { return use(StridedTensor(data, shape, strides)) }
	refused(t, strided([]int{3, 4}, []int{4, 1}), Invalid, "topk.scores") // the view is fine
	refused(t, strided([]int{100, 4}, []int{0, 3}), Invalid, "topk.scores")
	refused(t, strided([]int{3, 5}, []int{4, 1}), Invalid, "leaves its slice of 12 elements")
	refused(t, strided([]int{2}, []int{math.MaxInt}), Invalid, "leaves its slice")
	refused(t, strided([]int{2, 2}, []int{1}), Invalid, "has 1 strides")
	refused(t, strided([]int{2}, []int{-1}), Invalid, "leaves its slice")
}

func TestTooSmallOrCrookedAWorkspace(t *testing.T) {
	ctx := newContext(t)
	call := &IndexerTopk{Q: TensorOf(make([]float32, 64*64), 64, 1, 64),
		Keys: TensorOf(make([]float32, 4096*64), 4096, 64), K: 32,
		Indices: TensorOf(make([]int32, 64*32), 64, 32)}
	bytes, err := ctx.WorkspaceSize(call)
	check(t, err)
	if bytes <= 256 {
		t.Fatal(bytes)
	}
	workspace := NewWorkspace(bytes)
	run := func(workspace []byte) error { return ctx.IndexerTopk(call, &Exec{Workspace: workspace}) }
	refused(t, run(workspace[:bytes-256]), Workspace, "exec.workspace_size is")
	refused(t, run(workspace[1:]), Workspace, "must be aligned to 256 bytes")
	check(t, run(workspace))
}

func TestClosedHandles(t *testing.T) {
	ctx, other := newContext(t), newContext(t)
	call := &Topk{Scores: TensorOf(make([]float32, 128), 1, 128), K: 8,
		Indices: TensorOf(make([]int32, 8), 1, 8)}
	plan, err := ctx.NewPlan(call)
	check(t, err)
	refused(t, other.Topk(call, &Exec{Plan: plan}), Invalid, "made by another context")
	check(t, plan.Close())
	check(t, plan.Close())
	refused(t, ctx.Topk(call, &Exec{Plan: plan}), Invalid, "exec.plan is closed")

	plan, err = ctx.NewPlan(call)
	check(t, err)
	check(t, ctx.Close())
	check(t, ctx.Close())
	check(t, plan.Close())
	const text = "the context is closed"
	refused(t, ctx.Topk(call, nil), Invalid, text)
	refused(t, ctx.Supports(call), Invalid, text)
	_, err = ctx.NewPlan(call)
	refused(t, err, Invalid, text)
	_, err = ctx.Describe()
	refused(t, err, Invalid, text)
	_, err = ctx.Kernels()
	refused(t, err, Invalid, text)
}

func TestAContextThatCannotBe(t *testing.T) {
	_, err := NewContext(&Options{NumThreads: -1})
	refused(t, err, Invalid, "num_threads is -1")
	options := Options{CUDA: true, ModulePath: "/nonexistent/folder"}
	_, err = NewContext(&options)
	refused(t, err, NoBackend, "/nonexistent/folder")
	options.DeviceOptional = true
	ctx, err := NewContext(&options)
	check(t, err)
	check(t, ctx.Close())
}

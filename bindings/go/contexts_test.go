package libdsa

import (
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"libdsa/internal/cheap"
)

func TestItDescribesItself(t *testing.T) {
	ctx := newContext(t)
	text, err := ctx.Describe()
	check(t, err)
	var fields map[string]any
	check(t, json.Unmarshal([]byte(text), &fields))
	kernels, err := ctx.Kernels()
	check(t, err)
	at := slices.IndexFunc(kernels, func(k Kernel) bool { return k.Name == "cpu.topk.scalar" })
	if at < 0 || kernels[at] != (Kernel{"cpu.topk.scalar", "scalar", 1, true, ""}) {
		t.Error(kernels)
	}
	if Version() < 100 {
		t.Error(Version())
	}
}

func TestGoroutinesShareAContext(t *testing.T) {
	ctx := newContext(t)
	scores := random(1, 64*4096)
	selected := func() []int32 {
		indices := make([]int32, 64*50)
		check(t, ctx.Topk(&Topk{Scores: TensorOf(scores, 64, 4096), K: 50,
			Indices: TensorOf(indices, 64, 50)}, nil))
		return indices
	}
	wanted := selected()
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 10 {
				if !slices.Equal(selected(), wanted) {
					t.Error("the selection differs")
				}
			}
		}()
	}
	group.Wait()
}

// Errors are those of the goroutine's own call, whatever thread it runs on.
func TestErrorsDoNotMix(t *testing.T) {
	ctx := newContext(t)
	scores, indices := make([]float32, 128), make([]int32, 128)
	var group sync.WaitGroup
	for width := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			call := Topk{Scores: TensorOf(scores, 1, 128), K: int32(width + 2),
				Indices: TensorOf(indices[:width+1], 1, width+1)}
			text := "topk.indices.shape[1] is " + strconv.Itoa(width+1)
			for range 200 {
				if err := ctx.Topk(&call, nil); err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("%v, wanted %s", err, text)
				}
			}
		}()
	}
	group.Wait()
}

func TestCloseWaitsForCalls(t *testing.T) {
	scores := random(2, 64*4096)
	for range 20 {
		ctx, err := NewContext(nil)
		check(t, err)
		var group sync.WaitGroup
		for range 4 {
			group.Add(1)
			go func() {
				defer group.Done()
				counts := make([]int32, 64)
				for {
					err := ctx.Topk(&Topk{Scores: TensorOf(scores, 64, 4096), K: 50,
						Counts: TensorOf(counts, 64)}, nil)
					if errors.Is(err, Invalid) && strings.Contains(err.Error(), "closed") {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		check(t, ctx.Close())
		group.Wait()
	}
}

func residentBytes(t *testing.T) int {
	debug.FreeOSMemory() // Go's own garbage is not what is looked for
	text, err := os.ReadFile("/proc/self/status")
	check(t, err)
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	number, _, _ := strings.Cut(after, " kB")
	kilobytes, err := strconv.Atoi(strings.TrimSpace(number))
	check(t, err)
	return kilobytes * 1024
}

func TestMemoryStaysFlat(t *testing.T) {
	const rounds, warmUp = 10000, 1000
	// OpenMP keeps threads for each thread that calls: one, here.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The resident size moves with Go's own heap and threads, the C heap with nothing but leaks.
	const allowedResident, allowedC = 4 << 20, 2 * rounds
	round := func() {
		ctx, err := NewContext(nil)
		check(t, err)
		scores, indices := make([]float32, 128), make([]int32, 8)
		call := &Topk{Scores: TensorOf(scores, 1, 128), K: 8, Indices: TensorOf(indices, 1, 8)}
		plan, err := ctx.NewPlan(call)
		check(t, err)
		check(t, ctx.Topk(call, &Exec{Plan: plan}))
		_, err = ctx.Describe()
		check(t, err)
		call.K = 0
		if ctx.Topk(call, nil) == nil {
			t.Fatal("no error")
		}
		check(t, ctx.Close())
	}
	for range warmUp {
		round()
	}
	resident, c := residentBytes(t), cheap.BytesInUse()
	for range rounds {
		round()
	}
	if grown := residentBytes(t) - resident; grown > allowedResident {
		t.Errorf("%d rounds grew the process by %d bytes", rounds, grown)
	}
	if grown := cheap.BytesInUse() - c; grown > allowedC {
		t.Errorf("%d rounds left %d bytes on the C heap", rounds, grown)
	}
}

// What a call costs from Go: topk on 1 x 128, k 8, the shortest of many repeats, in microseconds; with a
// call described each time, and with one described once.
package main

import (
	"fmt"
	"log"
	"time"

	"libdsa"
)

const (
	columns = 128
	top     = 8
	calls   = 200
	repeats = 3000
)

// shortest is the time of one call in the fastest repeat.
func shortest(call func() error) float64 {
	best := time.Hour
	for range repeats {
		start := time.Now()
		for range calls {
			if err := call(); err != nil {
				log.Fatal(err)
			}
		}
		best = min(best, time.Since(start))
	}
	return best.Seconds() * 1e6 / calls
}

func main() {
	ctx, err := libdsa.NewContext(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ctx.Close()
	scores, indices := make([]float32, columns), make([]int32, top)
	for i := range scores {
		scores[i] = float32(i * 37 % columns)
	}
	fmt.Printf("described %.3f\n", shortest(func() error {
		return ctx.Topk(&libdsa.Topk{
			Scores:  libdsa.TensorOf(scores, 1, columns),
			K:       top,
			Indices: libdsa.TensorOf(indices, 1, top),
		}, nil)
	}))
	call := libdsa.Topk{
		Scores:  libdsa.TensorOf(scores, 1, columns),
		K:       top,
		Indices: libdsa.TensorOf(indices, 1, top),
	}
	fmt.Printf("reused %.3f\n", shortest(func() error { return ctx.Topk(&call, nil) }))
}

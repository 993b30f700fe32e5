package libdsa

// #include "shim.h"
import "C"

// Plan is the choice of a kernel, made once for calls of the same operation, types, layout and head
// dims: Exec.Plan saves the choice.
type Plan struct {
	Kernel  string   // cpu.topk.avx512
	Refused []string // the better kernels that were refused, and why

	ctx *Context
	raw *C.dsa_plan
}

// NewPlan chooses the kernel for calls like this one. The context's Close closes it too.
func (c *Context) NewPlan(op Operation) (*Plan, error) {
	answer, err := op.do(c, C.LIBDSA_GO_PLAN, nil)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Kernel: C.GoString(C.dsa_plan_kernel(answer.plan)), ctx: c, raw: answer.plan}
	for i := C.int32_t(0); ; i++ {
		refused := C.dsa_plan_refused(answer.plan, i)
		if refused == nil {
			break
		}
		plan.Refused = append(plan.Refused, C.GoString(refused))
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raw == nil { // closed meanwhile
		plan.destroy()
		return nil, errClosed
	}
	c.plans[plan] = struct{}{}
	return plan, nil
}

// Close releases the plan. Calls that come later with it get an error. Closing again does nothing.
func (p *Plan) Close() error {
	p.ctx.mu.Lock()
	defer p.ctx.mu.Unlock()
	p.destroy()
	return nil
}

func (p *Plan) destroy() {
	delete(p.ctx.plans, p)
	C.dsa_plan_destroy(p.raw)
	p.raw = nil
}

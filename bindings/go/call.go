package libdsa

// #cgo noescape libdsa_go_call_few
// #cgo nocallback libdsa_go_call_few
// #cgo noescape libdsa_go_call_many
// #cgo nocallback libdsa_go_call_many
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"reflect"
	"unsafe"
)

// Exec is what one call uses besides its tensors; all optional.
type Exec struct {
	Workspace []byte         // see Context.WorkspaceSize and NewWorkspace
	Plan      *Plan          // made from a call of the same shapes
	Stream    unsafe.Pointer // cudaStream_t, for CUDA tensors

	// Scratch memory of the CUDA device instead of Workspace.
	DeviceWorkspace      unsafe.Pointer
	DeviceWorkspaceBytes uint64
}

// NewWorkspace is memory that is aligned as a workspace must be.
func NewWorkspace(bytes uint64) []byte {
	const alignment = 256
	memory := make([]byte, bytes+alignment-1)
	address := uintptr(unsafe.Pointer(unsafe.SliceData(memory)))
	first := uint64(-address % alignment)
	return memory[first : first+bytes : first+bytes]
}

// Operation is *Indexer, *Topk, *IndexerTopk, *SparseAttn or *MergeLSE.
type Operation interface {
	do(c *Context, action C.int, exec *Exec) (C.libdsa_go_answer, error)
}

// Indexer runs the call; exec may be nil.
func (c *Context) Indexer(op *Indexer, exec *Exec) error { return run(op.do(c, runs, exec)) }

// Topk runs the call; exec may be nil.
func (c *Context) Topk(op *Topk, exec *Exec) error { return run(op.do(c, runs, exec)) }

// IndexerTopk runs the call; exec may be nil.
func (c *Context) IndexerTopk(op *IndexerTopk, exec *Exec) error { return run(op.do(c, runs, exec)) }

// SparseAttn runs the call; exec may be nil.
func (c *Context) SparseAttn(op *SparseAttn, exec *Exec) error { return run(op.do(c, runs, exec)) }

// MergeLSE runs the call; exec may be nil.
func (c *Context) MergeLSE(op *MergeLSE, exec *Exec) error { return run(op.do(c, runs, exec)) }

const runs = C.LIBDSA_GO_RUN

func run(_ C.libdsa_go_answer, err error) error { return err }

// Supports says whether the call would run: nil, or the error it would return. Contents are not
// read, and tensors may be without data.
func (c *Context) Supports(op Operation) error {
	_, err := op.do(c, C.LIBDSA_GO_SUPPORTS, nil)
	return err
}

// WorkspaceSize is what the call needs, in bytes. It never shrinks when an extent grows.
func (c *Context) WorkspaceSize(op Operation) (uint64, error) {
	answer, err := op.do(c, C.LIBDSA_GO_WORKSPACE_SIZE, nil)
	return uint64(answer.bytes), err
}

func (op *Indexer) do(c *Context, action C.int, exec *Exec) (C.libdsa_go_answer, error) {
	return do(c, op, C.DSA_OP_INDEXER, unsafe.Offsetof(op.Q), action, exec)
}

func (op *Topk) do(c *Context, action C.int, exec *Exec) (C.libdsa_go_answer, error) {
	return do(c, op, C.DSA_OP_TOPK, unsafe.Offsetof(op.Scores), action, exec)
}

func (op *IndexerTopk) do(c *Context, action C.int, exec *Exec) (C.libdsa_go_answer, error) {
	return do(c, op, C.DSA_OP_INDEXER_TOPK, unsafe.Offsetof(op.Q), action, exec)
}

func (op *SparseAttn) do(c *Context, action C.int, exec *Exec) (C.libdsa_go_answer, error) {
	return do(c, op, C.DSA_OP_SPARSE_ATTN, unsafe.Offsetof(op.Q), action, exec)
}

func (op *MergeLSE) do(c *Context, action C.int, exec *Exec) (C.libdsa_go_answer, error) {
	return do(c, op, C.DSA_OP_MERGE_LSE, unsafe.Offsetof(op.PartialOut), action, exec)
}

// do hands the descriptor to C as it lies. It holds Go pointers, which cgo allows where they point to
// pinned memory: each of them goes along as an argument, and so is pinned until the call returns.
// (Pinning by runtime.Pinner takes 50 ns a tensor.) `first` is the offset of the first tensor; all
// that follows it are tensors.
func do[Desc any](c *Context, op *Desc, kind uint32, first uintptr, action C.int,
	exec *Exec) (C.libdsa_go_answer, error) {
	if op == nil {
		return C.libdsa_go_answer{}, invalid("%s is nil", reflect.TypeOf(op))
	}
	size := unsafe.Sizeof(*op)
	at := unsafe.Pointer(op)
	*(*header)(at) = header{structSize: uint32(size), kind: kind}
	tensors := unsafe.Slice((*Tensor)(unsafe.Add(at, first)), (size-first)/unsafe.Sizeof(Tensor{}))

	var data [C.LIBDSA_GO_MANY]unsafe.Pointer
	given := 0
	for i := range tensors {
		t := &tensors[i]
		if t.ndim == 0 {
			continue
		}
		if t.misfit != fits {
			return C.libdsa_go_answer{}, t.describe(fieldName(reflect.TypeOf(op).Elem(), first, i))
		}
		data[given] = t.data
		given++
	}
	return c.call(action, at, &data, given, exec)
}

// fieldName is that of the i-th tensor: Topk.Scores.
func fieldName(desc reflect.Type, first uintptr, i int) string {
	offset := first + uintptr(i)*unsafe.Sizeof(Tensor{})
	for _, field := range reflect.VisibleFields(desc) {
		if field.Offset == offset && field.Type == reflect.TypeFor[Tensor]() {
			return desc.Name() + "." + field.Name
		}
	}
	return desc.Name()
}

func (c *Context) call(action C.int, desc unsafe.Pointer,
	p *[C.LIBDSA_GO_MANY]unsafe.Pointer, given int, exec *Exec) (C.libdsa_go_answer, error) {
	var stream C.uintptr_t
	var workspace unsafe.Pointer
	var workspaceSize uint64
	var plan *C.dsa_plan

	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.raw == nil {
		return C.libdsa_go_answer{}, errClosed
	}
	if exec != nil {
		stream = C.uintptr_t(uintptr(exec.Stream))
		workspace, workspaceSize = exec.DeviceWorkspace, exec.DeviceWorkspaceBytes
		if len(exec.Workspace) > 0 {
			workspace = unsafe.Pointer(unsafe.SliceData(exec.Workspace))
			workspaceSize = uint64(len(exec.Workspace))
		}
		if exec.Plan != nil {
			if exec.Plan.ctx != c {
				return C.libdsa_go_answer{}, invalid("exec.plan was made by another context")
			}
			if plan = exec.Plan.raw; plan == nil {
				return C.libdsa_go_answer{}, invalid("exec.plan is closed")
			}
		}
	}
	// The descriptor as bytes too: the runtime would search it, and does not know that what it points
	// to is pinned.
	var answer C.libdsa_go_answer
	if given <= C.LIBDSA_GO_FEW {
		answer = C.libdsa_go_call_few(action, c.raw, bytes(desc), stream, bytes(workspace),
			C.uint64_t(workspaceSize), plan, bytes(p[0]), bytes(p[1]), bytes(p[2]), bytes(p[3]),
			bytes(p[4]), bytes(p[5]), bytes(p[6]), bytes(p[7]))
	} else {
		answer = C.libdsa_go_call_many(action, c.raw, bytes(desc), stream, bytes(workspace),
			C.uint64_t(workspaceSize), plan,
			bytes(p[0]), bytes(p[1]), bytes(p[2]), bytes(p[3]), bytes(p[4]), bytes(p[5]),
			bytes(p[6]), bytes(p[7]), bytes(p[8]), bytes(p[9]), bytes(p[10]), bytes(p[11]),
			bytes(p[12]), bytes(p[13]), bytes(p[14]), bytes(p[15]), bytes(p[16]), bytes(p[17]),
			bytes(p[18]), bytes(p[19]), bytes(p[20]), bytes(p[21]), bytes(p[22]), bytes(p[23]),
			bytes(p[24]), bytes(p[25]), bytes(p[26]), bytes(p[27]), bytes(p[28]), bytes(p[29]),
			bytes(p[30]), bytes(p[31]), bytes(p[32]), bytes(p[33]))
	}
	if answer.status != C.DSA_OK {
		return answer, takeError(answer.status, answer.text)
	}
	return answer, nil
}

func bytes(p unsafe.Pointer) *C.uchar { return (*C.uchar)(p) }

func takeError(status C.dsa_status, text *C.char) error {
	defer C.free(unsafe.Pointer(text))
	return &Error{Status(status), C.GoString(text)}
}

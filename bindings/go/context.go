package libdsa

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"sync"
	"unsafe"
)

// Context is the CPU and at most one CUDA device. It only saves work (threads, loaded kernels,
// scratch memory), never changes results. Any number of goroutines may use it at once.
type Context struct {
	// Held for reading by calls, for writing by Close: a call either runs on a live context or
	// gets an error.
	mu    sync.RWMutex
	raw   *C.dsa_ctx
	plans map[*Plan]struct{}
}

// Options of a Context. Zero values mean what the library would choose.
type Options struct {
	NumThreads int      // DSA_NUM_THREADS, else OMP_NUM_THREADS, else one per core of the NUMA node
	NUMANode   int      // node + 1
	CPUMask    []uint64 // bit i of word w: CPU 64 w + i may be used
	CUDA       bool     // a CUDA device in addition to the CPU
	DeviceID   int
	// Without a CUDA module, driver or device the context is made all the same, for the CPU;
	// Kernels says why.
	DeviceOptional bool
	ModulePath     string // libdsa-cuda.so or its folder
}

var errClosed = invalid("the context is closed")

// NewContext reads the environment (DSA_..., see dsa.h). options may be nil.
func NewContext(options *Options) (*Context, error) {
	if options == nil {
		options = &Options{}
	}
	device := C.int32_t(C.DSA_DEVICE_CPU)
	if options.CUDA {
		device = C.DSA_DEVICE_CUDA
	}
	var flags C.uint32_t
	if options.DeviceOptional {
		flags = C.DSA_CTX_DEVICE_OPTIONAL
	}
	var path *C.char
	if options.ModulePath != "" {
		path = C.CString(options.ModulePath)
		defer C.free(unsafe.Pointer(path))
	}
	mask := (*C.uint64_t)(unsafe.SliceData(options.CPUMask))
	made := C.libdsa_go_ctx_create(flags, device, C.int32_t(options.DeviceID),
		C.int32_t(options.NumThreads), C.int32_t(options.NUMANode), mask,
		C.uint64_t(len(options.CPUMask)), path)
	if made.status != C.DSA_OK {
		return nil, takeError(made.status, made.text)
	}
	return &Context{raw: made.ctx, plans: map[*Plan]struct{}{}}, nil
}

// Close waits for running calls and releases the context and its plans. Calls that come later get
// an error. Closing again does nothing.
func (c *Context) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for plan := range c.plans {
		plan.destroy()
	}
	C.dsa_ctx_destroy(c.raw)
	c.raw = nil
	return nil
}

// Describe says what was found and chosen (build, instruction sets and why, topology, threads,
// kernels), as JSON.
func (c *Context) Describe() (string, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.raw == nil {
		return "", errClosed
	}
	var needed C.uint64_t
	C.dsa_ctx_describe(c.raw, nil, 0, &needed)
	text := (*C.char)(C.malloc(C.size_t(needed) + 1))
	defer C.free(unsafe.Pointer(text))
	C.dsa_ctx_describe(c.raw, text, needed+1, nil)
	return C.GoString(text), nil
}

// Kernel is a kernel of this build.
type Kernel struct {
	Name    string // cpu.topk.avx512
	Family  string // avx512: the last part of the name
	Device  int    // DLPack's number: 1 CPU, 2 CUDA
	Usable  bool
	Refused string // why this machine or these settings cannot run it
}

// Kernels are those of this build, in order of preference within an operation.
func (c *Context) Kernels() ([]Kernel, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.raw == nil {
		return nil, errClosed
	}
	var kernels []Kernel
	for i := C.int32_t(0); ; i++ {
		info := C.dsa_kernel_info{struct_size: C.sizeof_dsa_kernel_info}
		if C.dsa_kernel_get(c.raw, i, &info) != C.DSA_OK {
			return kernels, nil
		}
		kernels = append(kernels, Kernel{Name: C.GoString(&info.name[0]),
			Family: C.GoString(&info.family[0]), Device: int(info.device),
			Usable: info.usable != 0, Refused: C.GoString(&info.reason[0])})
	}
}

// Version is that of the loaded library: 10000 major + 100 minor + patch.
func Version() uint32 { return uint32(C.dsa_version()) }

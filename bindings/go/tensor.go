package libdsa

// #include <dsa.h>
import "C"

import (
	"math"
	"math/bits"
	"unsafe"
)

// DType is the type of a tensor's elements.
type DType int32

const (
	TypeF32  DType = C.DSA_F32
	TypeF16  DType = C.DSA_F16
	TypeBF16 DType = C.DSA_BF16
	TypeE4M3 DType = C.DSA_F8_E4M3FN
	TypeU8   DType = C.DSA_U8
	TypeI32  DType = C.DSA_I32
)

// F16 holds the bits of an IEEE binary16.
type F16 uint16

// BF16 holds the bits of a bfloat16, the upper half of a float32.
type BF16 uint16

// E4M3 holds the bits of an FP8 number (e4m3fn).
type E4M3 uint8

// NewBF16 rounds to nearest, ties to even; a NaN stays one.
func NewBF16(value float32) BF16 {
	bits := math.Float32bits(value)
	if value != value {
		return BF16(bits>>16 | 0x40)
	}
	return BF16((bits + 0x7fff + bits>>16&1) >> 16)
}

// Float32 is exact.
func (b BF16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// Element is a Go type that tensors hold.
type Element interface {
	float32 | F16 | BF16 | E4M3 | uint8 | int32
}

const maxAxes = 5

// Tensor is a view of numbers, of 1 to 5 axes, slowest first. The zero Tensor stands for one that is
// not given. A view that does not fit its slice is answered with an error by the call it is used in.
//
// It is a dsa_tensor. What is wrong with one that does not fit lies in its reserved words; the
// library never sees it.
type Tensor struct {
	data     unsafe.Pointer
	shape    [maxAxes]int64
	stride   [maxAxes]int64
	ndim     int32
	dtype    DType
	device   int32
	deviceID int32
	misfit   misfit
	length   int64 // where it does not fit
	_        uint64
}

type misfit int64

const (
	fits       misfit = iota
	badLength         // length is that of the slice, which the view does not cover
	badEnd            // length is that of the slice, which the view leaves
	badAxes           // length axes, of which there can be 5
	badStrides        // length strides for ndim axes
)

// TensorOf is a dense view of all of data.
func TensorOf[E Element](data []E, shape ...int) Tensor {
	var t Tensor
	t.data = unsafe.Pointer(unsafe.SliceData(data))
	t.dtype = dtypeOf[E]()
	if elements, ok := t.setShape(shape); ok && elements != uint64(len(data)) {
		t.misfit, t.length = badLength, int64(len(data))
	}
	return t
}

// StridedTensor is a view with strides in elements: 0 repeats an axis, and they may be in any order.
// The elements of an output must not overlap.
func StridedTensor[E Element](data []E, shape, strides []int) Tensor {
	var t Tensor
	t.data = unsafe.Pointer(unsafe.SliceData(data))
	t.dtype = dtypeOf[E]()
	if _, ok := t.setShape(shape); !ok {
		return t
	}
	if len(strides) != len(shape) {
		t.misfit, t.length = badStrides, int64(len(strides))
		return t
	}
	for i, step := range strides {
		t.stride[i] = int64(step)
	}
	if !t.endsWithin(int64(len(data))) {
		t.misfit, t.length = badEnd, int64(len(data))
	}
	return t
}

// ShapeOnly is a shape without data, for Supports, WorkspaceSize and NewPlan.
func ShapeOnly(dtype DType, shape ...int) Tensor {
	t := Tensor{dtype: dtype}
	t.setShape(shape)
	return t
}

// CUDATensor is a dense view of memory of a CUDA device, which must live until the stream has passed
// the call. Its end is not checked.
func CUDATensor(data unsafe.Pointer, device int, dtype DType, shape ...int) Tensor {
	t := Tensor{data: data, dtype: dtype, device: C.DSA_DEVICE_CUDA, deviceID: int32(device)}
	t.setShape(shape)
	return t
}

func dtypeOf[E Element]() DType {
	switch any(*new(E)).(type) {
	case float32:
		return TypeF32
	case F16:
		return TypeF16
	case BF16:
		return TypeBF16
	case E4M3:
		return TypeE4M3
	case uint8:
		return TypeU8
	default:
		return TypeI32
	}
}

// setShape returns the number of elements; false when there cannot be such a tensor.
func (t *Tensor) setShape(shape []int) (elements uint64, ok bool) {
	if len(shape) < 1 || len(shape) > maxAxes {
		t.ndim, t.misfit, t.length = 1, badAxes, int64(len(shape))
		return 0, false
	}
	t.ndim = int32(len(shape))
	elements, ok = 1, true
	for i := len(shape) - 1; i >= 0; i-- {
		t.shape[i], t.stride[i] = int64(shape[i]), int64(elements)
		high, low := bits.Mul64(elements, uint64(shape[i]))
		if shape[i] < 0 || high != 0 || int64(low) < 0 {
			ok = false
		}
		elements = low
	}
	if !ok {
		t.misfit, t.length = badLength, -1
	}
	return elements, ok
}

// endsWithin says whether the elements that the view reaches lie in a slice.
func (t *Tensor) endsWithin(length int64) bool {
	last := int64(0)
	for i, n := range t.shape[:t.ndim] {
		step := t.stride[i]
		if n == 0 {
			return true
		}
		if step < 0 || n > 1 && step > (length-1-last)/(n-1) {
			return false
		}
		last += step * (n - 1)
	}
	return last < length
}

// describe says what is wrong with a view that does not fit. Works on a copy, which goes to the heap.
func (t Tensor) describe(field string) *Error {
	shape := t.shape[:t.ndim]
	switch t.misfit {
	case badAxes:
		return invalid("%s has %d axes, must be 1 to %d", field, t.length, maxAxes)
	case badStrides:
		return invalid("%s of shape %v has %d strides", field, shape, t.length)
	case badEnd:
		return invalid("%s of shape %v and strides %v leaves its slice of %d elements", field, shape,
			t.stride[:t.ndim], t.length)
	default:
		if t.length < 0 {
			return invalid("%s has the impossible shape %v", field, shape)
		}
		return invalid("%s of shape %v is not as long as its slice, which has %d elements", field,
			shape, t.length)
	}
}

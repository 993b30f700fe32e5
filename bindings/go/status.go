package libdsa

// #include <dsa.h>
import "C"

import "fmt"

// Status says what kind of mistake it was. It is an error itself, for errors.Is.
type Status int32

const (
	Invalid     Status = C.DSA_ERROR_INVALID     // a field is out of range, or two fields disagree
	Unsupported Status = C.DSA_ERROR_UNSUPPORTED // valid, but no kernel does it on this device (yet)
	NoMemory    Status = C.DSA_ERROR_NO_MEMORY
	Workspace   Status = C.DSA_ERROR_WORKSPACE   // too small or not 256-byte aligned
	NoBackend   Status = C.DSA_ERROR_NO_BACKEND  // no CUDA module, driver or device
	Capture     Status = C.DSA_ERROR_CAPTURE     // not while the stream is being captured
	DeviceError Status = C.DSA_ERROR_DEVICE      // the device's runtime reported an error
	StructSize  Status = C.DSA_ERROR_STRUCT_SIZE // the loaded library is older than this package
	Internal    Status = C.DSA_ERROR_INTERNAL    // a defect of the library
)

// Error is the name of dsa.h: DSA_ERROR_INVALID.
func (s Status) Error() string {
	return C.GoString(C.dsa_status_name(C.dsa_status(s)))
}

// Error is a call that failed. No output was written and nothing was enqueued.
type Error struct {
	Status Status
	Text   string // names the field and the numbers: topk.indices.shape[1] is 512, k is 2048
}

func (e *Error) Error() string { return e.Text + " (" + e.Status.Error() + ")" }

// Unwrap gives the Status: errors.Is(err, libdsa.Unsupported).
func (e *Error) Unwrap() error { return e.Status }

func invalid(format string, values ...any) *Error {
	return &Error{Invalid, fmt.Sprintf(format, values...)}
}

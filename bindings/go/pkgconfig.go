//go:build !libdsa_no_pkgconfig

package libdsa

// #cgo pkg-config: libdsa
import "C"

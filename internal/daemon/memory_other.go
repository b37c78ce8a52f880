//go:build !linux

package daemon

// systemMemory returns 0: what there is is not known.
func systemMemory() int64 { return 0 }

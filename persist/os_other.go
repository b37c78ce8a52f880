//go:build !linux

package persist

// Allocate implements File. Room is not set aside: the file grows as it is
// written to.
func (f osFile) Allocate(size int64) error { return f.lengthen(size) }

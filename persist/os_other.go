//go:build !linux

package persist

// ReadNow implements Reader. The system does not tell what it can read at once.
func (osFile) ReadNow([]byte, int64) (n int, ok bool) { return 0, false }

// Allocate implements File. Room is not set aside: the file grows as it is
// written to.
func (f osFile) Allocate(size int64) error { return f.lengthen(size) }

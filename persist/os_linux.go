package persist

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Sync is fdatasync(2): the size of the file and its contents are durable, but
// not when it was last changed.
func (f osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

// ReadNow implements Reader: preadv2(2) with RWF_NOWAIT. What is not in the page
// cache, or on a file system that cannot tell, is not read.
func (f osFile) ReadNow(b []byte, offset int64) (n int, ok bool) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		for n < len(b) {
			k, err := unix.Preadv2(int(fd), [][]byte{b[n:]}, offset+int64(n), unix.RWF_NOWAIT)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return
			}
			if k == 0 {
				break // the end of the file
			}
			n += k
		}
		ok = true
	})
	return n, ok && err == nil
}

// Allocate implements File. Where the file system cannot set room aside, the
// file grows as it is written to.
func (f osFile) Allocate(size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case err == unix.EINTR:
			continue
		case errors.Is(err, unix.EOPNOTSUPP):
			return f.lengthen(size)
		case err != nil:
			return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
		return nil
	}
}

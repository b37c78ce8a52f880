package journal

import (
	"encoding/binary"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// bell wakes one thread, which waits for it in a system call and not in the Go
// scheduler: what a sync takes is short enough for the difference to show.
type bell struct {
	fd int // eventfd
}

func newBell() (bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	return bell{fd}, err
}

// over is what end adds: reading gets the sum of what was added.
const over = 1 << 32

func (b *bell) ring() { b.add(1) }

// end has wait return false.
func (b *bell) end() { b.add(over) }

func (b *bell) add(n uint64) {
	var buf [8]byte
	binary.NativeEndian.PutUint64(buf[:], n)
	_, _ = unix.Write(b.fd, buf[:])
}

// wait waits until the bell is rung, or returns false at the end. It is for
// one goroutine, which it binds to its thread.
func (b *bell) wait() bool {
	runtime.LockOSThread()
	var buf [8]byte
	for {
		if _, err := unix.Read(b.fd, buf[:]); err != unix.EINTR {
			return err == nil && binary.NativeEndian.Uint64(buf[:]) < over
		}
	}
}

// sleep waits for a time, or until the bell is rung, which the next wait tells.
func (b *bell) sleep(d time.Duration) {
	fds := []unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}}
	timeout := unix.NsecToTimespec(int64(d))
	_, _ = unix.Ppoll(fds, &timeout, nil)
}

func (b *bell) close() { unix.Close(b.fd) }

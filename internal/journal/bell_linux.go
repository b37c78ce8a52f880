package journal

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// threadBell is a bell for a goroutine that waits in a system call, bound to its
// thread. It wakes sooner than by the Go scheduler, which shows when somebody
// waits for the sync.
type threadBell struct{ fd int } // eventfd

func newThreadBell() (bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	return threadBell{fd}, err
}

// over is what end adds: reading gets the sum of what was added.
const over = 1 << 32

func (b threadBell) ring() { b.add(1) }

func (b threadBell) end() { b.add(over) }

func (b threadBell) add(n uint64) {
	var buf [8]byte
	binary.NativeEndian.PutUint64(buf[:], n)
	_, _ = unix.Write(b.fd, buf[:])
}

func (b threadBell) wait() bool {
	var buf [8]byte
	for {
		if _, err := unix.Read(b.fd, buf[:]); err != unix.EINTR {
			return err == nil && binary.NativeEndian.Uint64(buf[:]) < over
		}
	}
}

func (b threadBell) sleep(d time.Duration) {
	fds := []unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}}
	timeout := unix.NsecToTimespec(int64(d))
	_, _ = unix.Ppoll(fds, &timeout, nil)
}

func (b threadBell) close() { unix.Close(b.fd) }

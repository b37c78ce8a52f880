//go:build unix

package journal

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock keeps other servers out of a directory. It is the kind of lock that
// beanstalkd takes, so it keeps that out as well.
type lock struct{ file *os.File }

// takeLock takes the lock of the file name, which it makes if need be.
func takeLock(name string) (*lock, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	how := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &how); err != nil {
		f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("cannot lock %s: %w", name, err)
	}
	return &lock{f}, nil
}

// release gives the lock up. The file stays: another server may be about to
// lock it.
func (l *lock) release() { l.file.Close() }

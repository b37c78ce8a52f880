//go:build unix

package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// isLocked reports whether another process has the lock of that name. It must
// not be called by the process that has it, which would lose it.
func isLocked(name string) (bool, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	how := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &how); err != nil {
		return false, fmt.Errorf("cannot look at the lock %s: %w", name, err)
	}
	return how.Type != unix.F_UNLCK, nil
}

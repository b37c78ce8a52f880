//go:build unix

package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// ownTime returns the CPU time that this process has used.
func ownTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

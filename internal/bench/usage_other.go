//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errNoProc = errors.New("the CPU time of another process can be measured on Linux only")

// checkPID reports whether the process can be measured.
func checkPID(pid int) error {
	if pid != 0 {
		return errNoProc
	}
	return nil
}

func serverTime(int) (time.Duration, error) { return 0, errNoProc }

func residentBytes(int) (int64, error) { return 0, errNoProc }

//go:build unix

package control

import "syscall"

// keepPrivate has a socket made for its owner alone, where the system takes the
// mode of the file from that of the socket. Elsewhere it is set afterwards.
func keepPrivate(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}

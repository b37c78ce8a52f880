//go:build !unix

package control

import "syscall"

// keepPrivate does nothing: who may use a socket is up to the directory.
func keepPrivate(string, string, syscall.RawConn) error { return nil }

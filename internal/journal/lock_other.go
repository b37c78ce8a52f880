//go:build !unix

package journal

import "errors"

// lock keeps other servers out of a directory.
type lock struct{}

// takeLock always fails.
func takeLock(string) (*lock, error) {
	return nil, errors.New("there is no journal on this system: it needs locks that others respect, and files that can be renamed while they are open")
}

func (*lock) release() {}

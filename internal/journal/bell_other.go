//go:build !linux

package journal

func newThreadBell() (bell, error) { return newParkBell(), nil }

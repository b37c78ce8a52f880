//go:build !linux

package bench

// newTransport returns the transport that is best on this system.
func newTransport(t Target, clients int) (transport, error) { return newPortable(t, clients) }

package server

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// peer returns the address of the other side, which the first call asks the system
// for.
func (c *conn) peer() string {
	if c.remote != "" || c.dead {
		return c.remote
	}
	sa, err := unix.Getpeername(c.fd)
	if err != nil {
		return ""
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		c.remote = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		c.remote = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	default:
		c.remote = "local socket"
	}
	return c.remote
}

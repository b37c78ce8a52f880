package server

import "spoked/internal/session"

// RemoteOf returns the address that the connection of a session comes from, as
// HOST:PORT, or "" if it has ended or has none, as over a unix socket. It is for
// View, and takes a system call.
func RemoteOf(s *session.Session) string {
	if c, ok := s.Owner.(interface{ remote() string }); ok && !s.Closed() { // until then it has its descriptor
		return c.remote()
	}
	return ""
}

func (c *stream) remote() string {
	if a := c.net.RemoteAddr(); a != nil && a.Network() == "tcp" {
		return a.String()
	}
	return ""
}

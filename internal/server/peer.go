package server

import "spoked/internal/session"

// Peer tells of the connection whose client has that Data: its number, and the
// address of the other side, "" if that is not known; false if it is no
// connection. It may only be called by a function that Do or View calls. The first
// call for a connection may take a system call, the others nothing.
func (s *Server) Peer(data any) (id uint64, remote string, ok bool) {
	k, ok := data.(*session.Session)
	if !ok {
		return 0, "", false
	}
	if p, ok := k.Owner.(interface{ peer() string }); ok {
		remote = p.peer()
	}
	return k.ID(), remote, true
}

func (c *stream) peer() string { return c.net.RemoteAddr().String() }

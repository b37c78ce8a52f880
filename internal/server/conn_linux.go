package server

import (
	"net/netip"
	"syscall"
	"unsafe"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"spoked/internal/session"
)

// conn is a connection of an event loop. Only its loop touches it, apart from
// the session, which the server's mutex guards.
type conn struct {
	loop       *loop
	session    *session.Session // nil until its loop has adopted it
	fd         int
	generation int32 // tells it from others that had the descriptor

	in   []byte // read in this turn, part of the loop's buffer
	rest []byte // read before and not yet dealt with
	out  []byte // taken from the session; what follows sent is still to be sent
	sent int

	needs    uint64 // batch of the journal that must be settled before out is sent
	readable bool   // reading may bring something
	urgent   bool   // there has been urgent data, at which reads stop short
	hungUp   bool   // the peer has closed its side; there may be unread input
	eof      bool   // all input has been read
	broken   bool   // reading or writing has failed
	waiting  bool   // the session waits in a reserve,
	busy     bool   // or for what is being done for it
	last     bool   // to be closed when out has been sent
	dead     bool   // closed, or about to be
	queued   bool   // in loop.active
	dirty    bool   // in loop.dirty
	held     bool   // in loop.held
	inTurns  bool   // see pace
	pace     pace
}

// ready notes what epoll has said of c.
func (l *loop) ready(c *conn, events uint32) {
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.readable = true
		c.urgent = c.urgent || events&unix.EPOLLPRI != 0
		c.hungUp = c.hungUp || events&(unix.EPOLLRDHUP|unix.EPOLLHUP) != 0
		if events&unix.EPOLLERR != 0 || events&unix.EPOLLHUP != 0 {
			c.broken = c.waiting || len(c.out) > 0 // nobody is there to be answered
		}
		l.activate(c)
	}
	if events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		l.markDirty(c)
	}
}

// activate has c looked at in the next turn.
func (l *loop) activate(c *conn) {
	if !c.queued {
		c.queued = true
		l.active = append(l.active, c)
	}
}

// markDirty has c's output written at the end of this turn.
func (l *loop) markDirty(c *conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// kill has c closed in the next turn.
func (l *loop) kill(c *conn) {
	c.dead = true
	l.dead = append(l.dead, c)
}

// wantsInput reports whether c is to be read from.
func (c *conn) wantsInput() bool {
	return c.readable && !c.dead && !c.last && !c.waiting && len(c.out) == 0 && len(c.rest) == 0 &&
		(!c.inTurns || c.pace.reading)
}

// serve executes what c has sent. The mutex is held.
func (l *loop) serve(c *conn, now int64) {
	if c.broken {
		l.close(c, now)
		return
	}
	if c.hungUp || c.eof {
		if c.waiting {
			c.takeTurns(0)
		}
		c.session.HalfClose(now)
	}
	stuck := len(c.out) > 0 // until an edge tells that there is room
	if !stuck {
		l.feed(c, now)
	}
	l.collect(c)
	c.session.Backlog = c.waiting && (len(c.rest) > 0 || c.readable)
	idle := !c.busy && (len(c.rest) == 0 || c.waiting)
	c.last = c.last || c.session.Quit() || idle && (l.quitting || c.eof && !c.waiting)
	switch {
	case stuck || len(c.out) > 0 && !c.inTurns: // flush decides what is next
	case c.last && len(c.out) == 0:
		l.close(c, now)
	default:
		l.goOn(c)
	}
}

// feed gives the session what has been read of c, in this turn or before.
func (l *loop) feed(c *conn, now int64) {
	in, kept := c.in, len(c.rest) > 0
	c.in = nil
	if kept {
		in = c.rest
	}
	if len(in) == 0 && !c.inTurns {
		return
	}
	part, limit := in, max(fewCommands, turnCommands/len(l.turn))
	if c.inTurns {
		part, limit = in[:c.pace.portion(len(in), c.session.Receiving())], 1
	}
	n, commands := c.session.Feed(now, part, limit)
	switch {
	case n == len(in):
		c.rest = nil
	case kept:
		c.rest = in[n:]
	default:
		c.rest = append([]byte(nil), in[n:]...)
	}
	switch {
	case c.inTurns:
		c.pace.used(n, commands)
		c.inTurns = c.hungUp || len(c.rest) > 0 || c.readable
	case n < len(in) && commands < limit && !c.session.Waiting() && !c.session.Full() && !c.session.Quit():
		c.takeTurns(readAhead(l.server.service.NewDecoder(), in, n)) // it has woken a client with a backlog
	}
}

// takeTurns puts c at beanstalkd's pace, with so many bytes read.
func (c *conn) takeTurns(window int) {
	c.inTurns = true
	c.pace = pace{window: window}
}

// goOn has c looked at again if it can do more now.
func (l *loop) goOn(c *conn) {
	if !c.waiting && (len(c.rest) > 0 || c.readable || c.eof) {
		l.activate(c)
	}
}

// woken takes note that the wait of c has ended. The mutex is held.
func (l *loop) woken(c *conn) {
	if c.dead {
		return
	}
	if !c.busy && (len(c.rest) > 0 || c.readable) {
		c.takeTurns(len(c.rest)) // another client has woken it
	}
	l.collect(c)
	l.activate(c)
}

// collect takes the replies from the session. The mutex is held.
func (l *loop) collect(c *conn) {
	c.waiting, c.busy = c.session.Waiting(), c.session.Busy()
	if !c.session.HasOutput() {
		return
	}
	c.needs = c.session.Needs()
	if out := c.session.TakeOutput(); c.out == nil {
		c.out = out
	} else {
		c.out = append(c.out, out...)
		l.sent = append(l.sent, out)
	}
	l.markDirty(c)
}

// flush writes what it can of c's output. What is left is written when an
// edge tells that there is room; nothing is read or executed before.
func (l *loop) flush(c *conn) {
	if len(c.out) > 0 && !l.server.maySend(c.needs) {
		l.hold(c)
		return
	}
	for c.sent < len(c.out) {
		n, errno := rawWrite(c.fd, c.out[c.sent:])
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 {
			l.server.log.Debug("write failed", zap.Int("fd", c.fd), zap.Error(errno))
			l.kill(c)
			return
		}
		c.sent += n
	}
	l.sent = append(l.sent, c.out)
	c.out, c.sent = nil, 0
	if c.last {
		l.kill(c)
		return
	}
	l.goOn(c)
}

// adopt makes an accepted connection l's. The mutex is held.
func (l *loop) adopt(c *conn) {
	c.loop = l
	l.generation++
	c.generation = l.generation
	ev := unix.EpollEvent{Events: interest, Fd: int32(c.fd), Pad: c.generation}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, c.fd, &ev); err != nil {
		l.server.log.Error("connection dropped: epoll_ctl failed", zap.Error(err))
		unix.Close(c.fd)
		return
	}
	for c.fd >= len(l.conns) {
		l.conns = append(l.conns, nil)
	}
	l.conns[c.fd] = c
	l.open++
	c.session = l.server.service.NewSession(c)
	l.server.log.Debug("accepted", zap.Int("fd", c.fd))
}

// close ends c. The mutex is held.
func (l *loop) close(c *conn, now int64) {
	c.dead = true
	c.session.Close(now)
	c.in, c.rest, c.out = nil, nil, nil
	l.conns[c.fd] = nil
	l.open--
	l.ended = append(l.ended, c.fd)
	l.server.log.Debug("closed", zap.Int("fd", c.fd))
}

// hangUp closes the descriptors of connections that have ended. That takes the
// kernel longer than all else about them, so when there are many the others' turn
// comes in between.
func (l *loop) hangUp() {
	if len(l.ended) == 0 {
		return
	}
	n := min(len(l.ended), hangUps)
	for _, fd := range l.ended[:n] {
		rawClose(fd)
	}
	if l.ended = l.ended[n:]; len(l.ended) == 0 {
		l.ended = nil
	}
	l.resumeAccept()
}

// rawRead and rawWrite are recv(2) and send(2), which are a little cheaper than
// read(2) and write(2), for sockets that never block: the Go scheduler need not
// know.

func rawRead(fd int, b []byte) (int, syscall.Errno) {
	return raw(unix.SYS_RECVFROM, fd, b, 0)
}

func rawWrite(fd int, b []byte) (int, syscall.Errno) {
	return raw(unix.SYS_SENDTO, fd, b, unix.MSG_NOSIGNAL)
}

// rawClose is close(2) for a socket that does not linger.
func rawClose(fd int) { _, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func raw(call uintptr, fd int, b []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), 0
	}
}

func (c *conn) remote() string {
	switch a, _ := unix.Getpeername(c.fd); a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	}
	return ""
}

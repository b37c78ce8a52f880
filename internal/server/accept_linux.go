package server

import (
	"errors"
	"fmt"
	"math"
	"net"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// acceptor is the part of the first loop that accepts connections.
type acceptor struct {
	listener int     // file descriptor; -1 if there is none
	fresh    []*conn // accepted in this turn
	next     int     // loop that gets the next one
	retry    int64   // instant at which to try again after an error; 0: not paused
	failing  bool    // the error has been logged
}

// acceptBatch is how many connections are accepted before others are served.
const acceptBatch = 128

// takeOver makes a listening socket the loop's own, out of the sight of Go's
// poller, and closes l.
func takeOver(l net.Listener) (fd int, err error) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has no file descriptor", l)
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd = -1
	var dupErr error
	if err := rc.Control(func(p uintptr) { fd, dupErr = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	if dupErr != nil {
		return -1, fmt.Errorf("dup: %w", dupErr)
	}
	switch l := l.(type) {
	case *net.UnixListener:
		l.SetUnlinkOnClose(false) // the socket lives on
	case *net.TCPListener:
		// Connections inherit these, which saves setting them on each.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	}
	return fd, errors.Join(unix.SetNonblock(fd, true), l.Close())
}

// listen has the loop told of new connections.
func (l *loop) listen() error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.listener)}
	if err := unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.listener, &ev); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// accept takes new connections from the listener. When there is no file
// descriptor for another it pauses, so that those who are connected are
// served as ever.
func (l *loop) accept() {
	for range acceptBatch {
		fd, err := rawAccept(l.listener)
		switch err {
		case 0:
			l.fresh = append(l.fresh, &conn{fd: fd})
		case unix.EAGAIN:
			if l.failing {
				l.failing = false
				l.server.log.Info("accepting connections again")
			}
			return
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO:
		default:
			l.pauseAccept(err)
			return
		}
	}
}

// rawAccept is accept4(2) for a listener that never blocks. It does not ask for the
// peer's address.
func rawAccept(listener int) (fd int, errno syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

func (l *loop) pauseAccept(err error) {
	l.server.unaccepted.Add(1)
	if !l.failing {
		l.failing = true
		l.server.log.Warn("cannot accept connections; those open are served", zap.Error(err))
	}
	l.retry = l.server.clock.now() + int64(acceptRetry)
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, l.listener, nil)
}

// acceptAt returns when retryAccept has something to do.
func (l *loop) acceptAt() int64 {
	if l.retry == 0 {
		return math.MaxInt64
	}
	return l.retry
}

func (l *loop) retryAccept() {
	if l.retry != 0 && l.retry <= l.server.clock.now() {
		l.resumeAccept()
	}
}

// resumeAccept ends a pause of accepting, if there is one.
func (l *loop) resumeAccept() {
	if l.retry == 0 || l.listener < 0 {
		return
	}
	l.retry = 0
	if err := l.listen(); err != nil {
		l.pauseAccept(err)
	}
}

// distribute gives the accepted connections to the loops in turn. The mutex
// is held.
func (l *loop) distribute() {
	for _, c := range l.fresh {
		to := l.loops.loop[l.next%len(l.loops.loop)]
		l.next++
		if to == l {
			l.adopt(c)
			continue
		}
		to.post(c)
	}
	clear(l.fresh)
	l.fresh = l.fresh[:0]
}

func (l *loop) closeListener() {
	if l.listener >= 0 {
		// Closing it does not end the interest if another process has it too.
		_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, l.listener, nil)
		unix.Close(l.listener)
		l.listener = -1
		l.retry = 0
	}
}

package bench

import (
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll is the transport of one thread. As in the server, sockets are registered
// once, edge-triggered, and system calls that cannot block are raw.
type epoll struct {
	ep      int
	addr    unix.Sockaddr
	family  int
	name    string // of the server, for errors
	socks   []sock
	raw     [256]unix.EpollEvent
	events  []event
	coarse  bool // the kernel waits for milliseconds only
	created int32
}

// sock is a client's socket.
type sock struct {
	fd         int    // -1: none
	created    int32  // tells it from others that the client had
	out        []byte // still to be sent
	connecting bool
}

// newTransport returns the transport that is best on this system.
func newTransport(t Target, clients int) (transport, error) {
	network, name, err := t.network()
	if err != nil {
		return nil, err
	}
	e := &epoll{name: name, socks: make([]sock, clients), events: make([]event, 0, 256)}
	for i := range e.socks {
		e.socks[i].fd = -1
	}
	if e.addr, e.family, err = resolve(network, name); err != nil {
		return nil, err
	}
	if e.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	runtime.LockOSThread()
	// A wait at a given rate should end when it is to end.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return e, nil
}

func resolve(network, name string) (unix.Sockaddr, int, error) {
	if network == "unix" {
		return &unix.SockaddrUnix{Name: name}, unix.AF_UNIX, nil
	}
	a, err := net.ResolveTCPAddr(network, name)
	if err != nil {
		return nil, 0, err
	}
	if ip4 := a.IP.To4(); ip4 != nil {
		return &unix.SockaddrInet4{Addr: [4]byte(ip4), Port: a.Port}, unix.AF_INET, nil
	}
	sa := &unix.SockaddrInet6{Addr: [16]byte(a.IP.To16()), Port: a.Port}
	if a.Zone != "" {
		zone, err := net.InterfaceByName(a.Zone)
		if err != nil {
			return nil, 0, err
		}
		sa.ZoneId = uint32(zone.Index)
	}
	return sa, unix.AF_INET6, nil
}

func (e *epoll) dial(i int) error {
	s := &e.socks[i]
	fd, err := unix.Socket(e.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("client %d: %w", i+1, os.NewSyscallError("socket", err))
	}
	e.created++
	*s = sock{fd: fd, created: e.created, connecting: true}
	if e.family != unix.AF_UNIX {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	err = unix.Connect(fd, e.addr)
	if err == unix.EAGAIN && e.family == unix.AF_UNIX {
		// Its queue of connections is full, and there is no event for that.
		_ = unix.SetNonblock(fd, false)
		err = unix.Connect(fd, e.addr)
		_ = unix.SetNonblock(fd, true)
	}
	if err != nil && err != unix.EINPROGRESS {
		return e.refused(err)
	}
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&math.MaxUint32,
		Fd:     int32(i), Pad: s.created,
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(e.ep, unix.EPOLL_CTL_ADD, fd, &ev))
}

func (e *epoll) refused(err error) error {
	return &LostError{fmt.Errorf("connect to %s: %w", e.name, err)}
}

func (e *epoll) send(i int, p []byte) error {
	s := &e.socks[i]
	s.out = p
	return s.flush()
}

func (e *epoll) unsent(i int) bool { return len(e.socks[i].out) > 0 }

// flush sends what it can.
func (s *sock) flush() error {
	for len(s.out) > 0 {
		n, errno := rawTransfer(unix.SYS_WRITE, s.fd, s.out)
		if errno == unix.EAGAIN {
			return nil // an edge will tell when there is room
		}
		if errno != 0 {
			return os.NewSyscallError("write", errno)
		}
		s.out = s.out[n:]
	}
	return nil
}

func (e *epoll) read(i int, p []byte) (int, error) {
	n, errno := rawTransfer(unix.SYS_READ, e.socks[i].fd, p)
	switch {
	case errno == unix.EAGAIN:
		return 0, nil
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (e *epoll) wait(limit time.Duration) ([]event, error) {
	e.events = e.events[:0]
	n, errno := e.poll(limit)
	if errno == unix.EINTR {
		return nil, nil
	}
	if errno != 0 {
		return nil, os.NewSyscallError("epoll_wait", errno)
	}
	for _, ev := range e.raw[:n] {
		s := &e.socks[ev.Fd]
		if s.fd < 0 || s.created != ev.Pad {
			continue
		}
		told := event{client: ev.Fd}
		if s.connecting {
			errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && errno != 0 {
				err = syscall.Errno(errno)
			}
			if err != nil {
				return nil, e.refused(err)
			}
			if ev.Events&unix.EPOLLOUT == 0 {
				continue
			}
			s.connecting, told.connected = false, true
		} else if len(s.out) > 0 {
			if err := s.flush(); err != nil {
				return nil, err
			}
		}
		e.events = append(e.events, told)
	}
	return e.events, nil
}

// poll fills e.raw. It blocks with the knowledge of the Go scheduler: with one
// processor, a server in this process could not run otherwise.
func (e *epoll) poll(limit time.Duration) (int, syscall.Errno) {
	limit = max(limit, 0)
	if !e.coarse {
		ts := unix.NsecToTimespec(int64(limit))
		n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.ep),
			uintptr(unsafe.Pointer(&e.raw[0])), uintptr(len(e.raw)), uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno != unix.ENOSYS {
			return int(n), errno
		}
		e.coarse = true // a kernel before 5.11
	}
	ms := (limit + time.Millisecond - 1) / time.Millisecond
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.ep),
		uintptr(unsafe.Pointer(&e.raw[0])), uintptr(len(e.raw)), uintptr(ms), 0, 0)
	return int(n), errno
}

func (e *epoll) close(i int) {
	if s := &e.socks[i]; s.fd >= 0 {
		unix.Close(s.fd)
		*s = sock{fd: -1}
	}
}

func (e *epoll) shut() {
	for i := range e.socks {
		e.close(i)
	}
	unix.Close(e.ep)
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	runtime.UnlockOSThread()
}

// rawTransfer is read(2) or write(2) for a descriptor that never blocks: the Go
// scheduler need not know.
func rawTransfer(call uintptr, fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

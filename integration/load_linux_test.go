package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A load is what clients do to a server.
type load struct {
	Conns    int // clients
	Pipeline int // commands that each sends at once, before it reads replies
	Body     int // bytes in a job
	MinDelay int // seconds; the delay of each job is random between the two
	MaxDelay int
	Steps    []step // what each client does, again and again

	Gaps bool // a job to be deleted need not be there

	// Setup, unless nil, returns commands that a client sends first, with replies
	// of one line.
	Setup func(client int) string

	// Hop, unless 0, has clients go from one of so many tubes to another each time
	// that they begin with their steps, the first of which must be puts.
	Hop int
}

// A step is one command, as many of them as there are in a pipeline.
type step int

const (
	stepPut     step = iota
	stepReserve      // the job must be there: the client does not wait
	stepDelete       // the jobs of the step before; if it is the first, jobs 1, 2, 3 and so on
)

var (
	putOnly          = []step{stepPut}
	putDelete        = []step{stepPut, stepDelete}
	putReserveDelete = []step{stepPut, stepReserve, stepDelete}
	reserveDelete    = []step{stepReserve, stepDelete}
	deleteOnly       = []step{stepDelete}
)

// A loadResult is what a generator has seen in one run.
type loadResult struct {
	Commands int // answered
	Elapsed  time.Duration
	trips    []time.Duration // ascending; from sending a pipeline to having all replies
}

// Trip returns the duration that the part p of all round trips did not exceed.
func (r *loadResult) Trip(p float64) time.Duration {
	return r.trips[min(int(p*float64(len(r.trips))), len(r.trips)-1)]
}

// A generator puts a load on a server from one thread, in which it waits with
// epoll for all clients. It has to be about as cheap as the server, or it is
// what the figures are about; so, as in the server, sockets are registered
// once, edge-triggered, and system calls are raw.
type generator struct {
	load
	ep       int
	clients  []loader
	puts     []byte // a pipeline of each command, ready to be sent
	reserves []byte
	in       []byte
	events   [256]unix.EpollEvent

	start    time.Time
	jobs     int // still to be taken up
	busy     int // clients in the middle of their steps
	nextID   uint64
	commands int
	trips    []time.Duration
}

// A loader is one client of a generator.
type loader struct {
	number  int
	fd      int
	step    int // index in Steps
	sent    time.Duration
	out     []byte // still to be sent
	asked   int    // commands of the step
	pending int    // replies still to come
	skip    int    // bytes of a body still to come
	part    []byte // of a line, until the rest comes
	ids     []uint64
	own     []byte // backs out when there is nothing ready to be sent
	hops    int
	tube    []byte // to which it has hopped
}

// newGenerator connects the clients of a load.
func newGenerator(addr string, l load) (*generator, error) {
	g := &generator{load: l, in: make([]byte, 1<<18), nextID: 1}
	g.puts = g.appendPuts(nil)
	g.reserves = bytes.Repeat([]byte("reserve-with-timeout 0\r\n"), l.Pipeline)
	var err error
	if g.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	for range l.Conns {
		fd, err := dialRaw(addr)
		if err != nil {
			g.Close()
			return nil, err
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET&math.MaxUint32, Fd: int32(len(g.clients))}
		g.clients = append(g.clients, loader{number: len(g.clients), fd: fd, ids: make([]uint64, 0, l.Pipeline)})
		if err := unix.EpollCtl(g.ep, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			g.Close()
			return nil, os.NewSyscallError("epoll_ctl", err)
		}
		if l.Setup != nil {
			if err := converse(fd, l.Setup(len(g.clients)-1)); err != nil {
				g.Close()
				return nil, err
			}
		}
	}
	return g, nil
}

// Close disconnects the clients.
func (g *generator) Close() {
	for i := range g.clients {
		unix.Close(g.clients[i].fd)
	}
	unix.Close(g.ep)
}

// dialRaw returns a non-blocking socket connected to addr. When it is closed, no
// port is left in TIME_WAIT.
func dialRaw(addr string) (fd int, err error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return -1, err
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = errors.Join(
		unix.Connect(fd, &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetNonblock(fd, true),
	)
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", addr, err)
	}
	return fd, nil
}

// Run has the clients repeat their steps until limit has passed, and end with
// the last step. If jobs is not 0, they end when they have taken up so many
// jobs, rounded up to a pipeline, and not to get so far within limit is an error.
func (g *generator) Run(limit time.Duration, jobs int) (*loadResult, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const patience = 30 * time.Second // for the last step
	counted := jobs > 0
	if !counted {
		jobs = math.MaxInt
	}
	g.start, g.jobs, g.busy, g.commands = time.Now(), jobs, len(g.clients), 0
	g.trips = make([]time.Duration, 0, 1<<18)
	for i := range g.clients {
		if err := g.begin(&g.clients[i], time.Since(g.start)); err != nil {
			return nil, err
		}
	}
	for g.busy > 0 {
		n, err := g.wait()
		if err != nil {
			return nil, err
		}
		switch past := time.Since(g.start) - limit; {
		case past > patience:
			return nil, fmt.Errorf("no reply for %v", patience)
		case past > 0 && counted && g.jobs > 0:
			return nil, fmt.Errorf("%d of %d jobs are left after %v", g.jobs, jobs, limit)
		case past > 0:
			g.jobs = 0
		}
		for _, ev := range g.events[:n] {
			if err := g.serve(&g.clients[ev.Fd]); err != nil {
				return nil, err
			}
		}
	}
	r := &loadResult{Commands: g.commands, Elapsed: time.Since(g.start), trips: g.trips}
	slices.Sort(r.trips)
	return r, nil
}

// Send sends text from each client. The replies are for nobody.
func (g *generator) Send(text string) error {
	for i := range g.clients {
		g.clients[i].out = []byte(text)
		if err := g.clients[i].flush(); err != nil {
			return err
		}
	}
	return nil
}

// begin sends the commands of c's next step.
func (g *generator) begin(c *loader, now time.Duration) error {
	if c.step == 0 {
		if g.jobs <= 0 {
			g.busy--
			return nil
		}
		g.jobs -= g.Pipeline
	}
	c.sent, c.asked = now, g.Pipeline
	switch g.Steps[c.step] {
	case stepPut:
		c.out = g.puts
		if g.MinDelay != g.MaxDelay {
			c.own = g.appendPuts(c.own[:0])
			c.out = c.own
		}
		if g.Hop > 0 {
			c.own = append(g.appendHop(c.own[:0], c), g.puts...)
			c.out = c.own
			c.asked += 3
		}
		c.ids = c.ids[:0]
	case stepReserve:
		c.out = g.reserves
		c.ids = c.ids[:0]
	case stepDelete:
		if c.step == 0 {
			c.ids = c.ids[:0]
			for range g.Pipeline {
				c.ids = append(c.ids, g.nextID)
				g.nextID++
			}
		}
		c.own = c.own[:0]
		for _, id := range c.ids {
			c.own = append(c.own, "delete "...)
			c.own = strconv.AppendUint(c.own, id, 10)
			c.own = append(c.own, "\r\n"...)
		}
		c.out = c.own
	}
	c.pending = c.asked
	return c.flush()
}

// appendHop appends the commands by which c goes on to its next tube. It begins
// where no other client is, and neighbours in its course are none in memory.
func (g *generator) appendHop(b []byte, c *loader) []byte {
	const stride = 7919 // a prime
	b = append(b, "use "...)
	name := len(b)
	b = appendTube(b, (c.number*g.Hop/len(g.clients)+c.hops*stride)%g.Hop)
	end := len(b)
	b = append(b, "\r\nwatch "...)
	b = append(b, b[name:end]...)
	b = append(b, "\r\nignore "...)
	if c.hops == 0 {
		b = append(b, "default"...)
	} else {
		b = append(b, c.tube...)
	}
	b = append(b, "\r\n"...)
	c.hops++
	c.tube = append(c.tube[:0], b[name:end]...)
	return b
}

// appendTube appends the name of one of many tubes.
func appendTube(b []byte, i int) []byte {
	return strconv.AppendInt(append(b, "tube-"...), int64(i), 10)
}

// appendPuts appends a pipeline of puts to b.
func (g *generator) appendPuts(b []byte) []byte {
	for range g.Pipeline {
		b = append(b, "put 1 "...)
		b = strconv.AppendInt(b, int64(g.MinDelay+rand.IntN(g.MaxDelay-g.MinDelay+1)), 10)
		b = append(b, " 100 "...)
		b = strconv.AppendInt(b, int64(g.Body), 10)
		b = append(b, "\r\n"...)
		for range g.Body {
			b = append(b, 'x')
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// wait waits for events, and returns how many of g.events it has filled. It
// keeps the processor from the Go scheduler meanwhile, which costs nothing: the
// rest of this process waits for the generator.
func (g *generator) wait() (int, error) {
	const timeout = 100 // ms
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(g.ep),
		uintptr(unsafe.Pointer(&g.events[0])), uintptr(len(g.events)), timeout, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, os.NewSyscallError("epoll_wait", errno)
}

// serve deals with an event of c.
func (g *generator) serve(c *loader) error {
	if err := c.flush(); err != nil {
		return err
	}
	for {
		kept := copy(g.in, c.part)
		n, errno := transfer(unix.SYS_READ, c.fd, g.in[kept:])
		switch {
		case errno == unix.EAGAIN:
			return nil
		case errno != 0:
			return os.NewSyscallError("read", errno)
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		if err := g.receive(c, g.in[:kept+n]); err != nil {
			return err
		}
		if c.pending == 0 && c.skip == 0 {
			now := time.Since(g.start)
			g.trips = append(g.trips, now-c.sent)
			g.commands += c.asked
			c.step = (c.step + 1) % len(g.Steps)
			return g.begin(c, now)
		}
		if kept+n < len(g.in) {
			return nil // and epoll will tell of more
		}
	}
}

// receive takes note of the replies in p.
func (g *generator) receive(c *loader, p []byte) error {
	c.part = c.part[:0]
	for {
		n := min(c.skip, len(p))
		c.skip -= n
		p = p[n:]
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			c.part = append(c.part, p...)
			return nil
		}
		if err := g.reply(c, p[:end+1]); err != nil {
			return err
		}
		p = p[end+1:]
	}
}

// reply takes note of the first line of a reply.
func (g *generator) reply(c *loader, line []byte) error {
	c.pending--
	switch g.Steps[c.step] {
	case stepPut:
		if rest, ok := bytes.CutPrefix(line, []byte("INSERTED ")); ok {
			id, _ := leadingNumber(rest)
			c.ids = append(c.ids, id)
			return nil
		}
		if g.Hop > 0 && (bytes.HasPrefix(line, []byte("USING ")) || bytes.HasPrefix(line, []byte("WATCHING "))) {
			return nil
		}
	case stepReserve:
		if rest, ok := bytes.CutPrefix(line, []byte("RESERVED ")); ok {
			id, rest := leadingNumber(rest)
			size, _ := leadingNumber(rest)
			c.ids = append(c.ids, id)
			c.skip = int(size) + len("\r\n")
			return nil
		}
	case stepDelete:
		if string(line) == "DELETED\r\n" || g.Gaps && string(line) == "NOT_FOUND\r\n" {
			return nil
		}
	}
	return fmt.Errorf("unexpected reply: %q", line)
}

// leadingNumber returns the number that p begins with, and what comes behind it and
// the byte that ends it.
func leadingNumber(p []byte) (n uint64, rest []byte) {
	for i, ch := range p {
		if ch < '0' || '9' < ch {
			return n, p[i+1:]
		}
		n = 10*n + uint64(ch-'0')
	}
	return n, nil
}

// flush sends what it can of what is to be sent.
func (c *loader) flush() error {
	for len(c.out) > 0 {
		n, errno := transfer(unix.SYS_WRITE, c.fd, c.out)
		if errno == unix.EAGAIN {
			return nil // and epoll will tell when there is room
		}
		if errno != 0 {
			return os.NewSyscallError("write", errno)
		}
		c.out = c.out[n:]
	}
	return nil
}

// converse sends commands on a non-blocking socket and waits for their replies, of
// one line each. Bodies in commands must not have line ends.
func converse(fd int, commands string) error {
	const portion = 256 // commands; so that their replies fit where they wait
	in := make([]byte, 1<<16)
	for commands != "" {
		end, asked := 0, 0
		for ; asked < portion && end < len(commands); asked++ {
			line := strings.IndexByte(commands[end:], '\n') + 1
			if strings.HasPrefix(commands[end:], "put ") {
				line += strings.IndexByte(commands[end+line:], '\n') + 1
			}
			end += line
		}
		for out := []byte(commands[:end]); len(out) > 0; {
			n, err := unix.Write(fd, out)
			if err != nil {
				return os.NewSyscallError("write", err)
			}
			out = out[n:]
		}
		commands = commands[end:]
		for asked > 0 {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if n, err := unix.Poll(ready, 10_000); err == unix.EINTR {
				continue
			} else if n == 0 || err != nil {
				return fmt.Errorf("waiting for %d replies: %v", asked, err)
			}
			n, err := unix.Read(fd, in)
			switch {
			case err == unix.EINTR:
				continue
			case err != nil:
				return os.NewSyscallError("read", err)
			case n == 0:
				return io.ErrUnexpectedEOF
			}
			asked -= bytes.Count(in[:n], []byte("\n"))
		}
	}
	return nil
}

// transfer is read(2) or write(2) for a descriptor that never blocks.
func transfer(call uintptr, fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

package server

import (
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"spoked/internal/session"
)

// loops is the transport of one or more event loops. The first also accepts.
type loops struct {
	server *Server
	loop   []*loop
	group  sync.WaitGroup

	// behind is the loop that catches up with the time, or goes on with what
	// clients have begun, while that is more than fits into a turn. The others
	// leave it to that one, so that nobody waits for a portion of each. The
	// server's mutex guards it.
	behind *loop
}

// A loop serves its connections from one thread. It repeats a turn:
//
//  1. wait until connections are ready, or the engine's next deadline is due;
//  2. read each ready connection once, all into one buffer;
//  3. take the server's mutex: let time pass in the engine, execute every
//     complete command, and take the replies from the sessions;
//  4. write each connection's replies, in one system call a connection.
//
// Sockets are non-blocking and registered once, edge-triggered, for
// everything: a loop never changes its interest, but remembers what a
// connection is ready for. System calls that cannot block are made raw,
// without telling the Go scheduler.
type loop struct {
	loops  *loops
	server *Server
	ep     int // epoll instance
	bell   int // eventfd: rung by other threads; -1 when the loop has ended
	buf    []byte
	events [256]unix.EpollEvent

	conns  []*conn  // by file descriptor
	active []*conn  // to be looked at in the next turn
	turn   []*conn  // being looked at in this one
	dirty  []*conn  // have output to write at the end of the turn
	dead   []*conn  // to be closed in the next turn
	sent   [][]byte // buffers to be given back
	ended  []int    // descriptors that are to be closed, of connections that have ended
	held   []*conn  // have output that waits for the journal
	seen   uint64   // what was settled when they were last looked at

	open       int   // connections
	generation int32 // of the newest connection
	acceptor         // of the first loop
	spin       spinner
	coarse     bool // the system can wait for whole milliseconds only
	short      bool // it may block for a moment without telling the Go scheduler
	times      timing
	timed      bool  // this turn
	deadline   int64 // when to wake for the engine; math.MaxInt64: never
	quitting   bool  // no more input is read
	signal     atomic.Uint32

	// Guarded by the server's mutex:
	mail  []*conn // new ones, and those woken by other loops
	turns uint64  // so far
}

// What stop has asked of a loop.
const (
	running uint32 = iota
	stopping
	aborting
)

const (
	readBuffer = 8 * readChunk
	hangUps    = 64 // descriptors closed in a turn
	waits      = 4  // times that a turn asks epoll while there are more events
	interest   = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&math.MaxUint32
)

func newLoops(s *Server, l net.Listener) (transport, error) {
	fd, err := takeOver(l)
	if err != nil {
		return nil, err
	}
	t := &loops{server: s}
	for i := range s.opts.Loops {
		lp, err := newLoop(t)
		if err != nil {
			return nil, err
		}
		lp.listener = -1
		if i == 0 {
			lp.listener = fd
			if err := lp.listen(); err != nil {
				return nil, err
			}
		}
		t.loop = append(t.loop, lp)
	}
	return t, nil
}

func newLoop(t *loops) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(bell)}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, bell, &ev); err != nil {
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return &loop{
		loops: t, server: t.server, ep: ep, bell: bell,
		buf: make([]byte, readBuffer), deadline: math.MaxInt64,
		short: runtime.GOMAXPROCS(0) > t.server.opts.Loops, // others can run meanwhile
	}, nil
}

func (t *loops) serve() error {
	for _, l := range t.loop {
		t.group.Go(l.run)
	}
	t.group.Wait()
	return nil
}

func (t *loops) stop(abruptly bool) {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	for _, l := range t.loop {
		if abruptly {
			l.signal.Store(aborting)
		} else {
			l.signal.CompareAndSwap(running, stopping)
		}
		l.ring()
	}
}

func (t *loops) attend() {
	for _, l := range t.loop {
		if l.bell >= 0 {
			l.ring()
			return
		}
	}
}

// pass is done in the stead of the loops, but not of one that is behind already.
func (t *loops) pass(now int64) {
	if t.behind == nil {
		t.server.service.Advance(now, dueLimit)
	}
}

// follow rings a loop if one has anything to do.
func (t *loops) follow(int64) {
	s := t.server
	s.commit(false)
	s.ebb()
	next, ok := s.service.Next()
	for _, l := range t.loop {
		ok = ok && next < l.deadline
	}
	if ok || s.service.Stirred() {
		t.attend()
	}
}

func (t *loops) figures() (all []LoopFigures) {
	for _, l := range t.loop {
		f := l.times.figures()
		f.Turns, f.Connections = l.turns, l.open
		all = append(all, f)
	}
	return all
}

func (t *loops) timings() (all []*timing) {
	for _, l := range t.loop {
		all = append(all, &l.times)
	}
	return all
}

func (t *loops) settled() {
	for _, l := range t.loop {
		l.ring()
	}
}

// run repeats the turn until the loop has been stopped and is empty.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		l.wait()
		if sig := l.signal.Load(); sig != running {
			if l.finish(sig == aborting); l.open == 0 {
				break
			}
		}
		l.read()
		l.execute()
		l.write()
		if l.timed {
			l.times.turned(l.server.clock.now())
		}
		l.hangUp()
	}
	for len(l.ended) > 0 {
		l.hangUp()
	}
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	unix.Close(l.ep)
	unix.Close(l.bell)
	l.bell = -1
	if l.loops.behind == l {
		l.loops.behind = nil
	}
	l.loops.settled() // another may have to go on, or to see to its sessions
	for _, c := range l.mail {
		l.refuse(c)
	}
}

// refuse closes c, which came after the loop had ended, if it is new.
func (l *loop) refuse(c *conn) {
	if c.session == nil {
		unix.Close(c.fd)
	}
}

// finish works towards the end: nothing more is accepted or read, and
// connections close when what has been read is executed and their output has
// been sent, or at once.
func (l *loop) finish(abruptly bool) {
	l.closeListener()
	l.quitting = true
	l.execute() // adopts what has been accepted
	for _, c := range l.conns {
		if c == nil || c.dead || (c.busy || len(c.rest) > 0 && !c.waiting) && !abruptly {
			continue
		}
		c.last = true
		if abruptly || len(c.out) == 0 {
			l.kill(c)
		}
	}
	l.execute()
}

// post gives c, new or woken, to l. The mutex is held.
func (l *loop) post(c *conn) {
	if l.bell < 0 {
		l.refuse(c)
		return
	}
	l.mail = append(l.mail, c)
	if len(l.mail) == 1 {
		l.ring()
	}
}

// ring wakes the loop from its wait. Any thread may do it that holds the
// mutex.
func (l *loop) ring() {
	if l.bell < 0 {
		return // it has ended
	}
	one := [8]byte{1}
	_, _ = unix.Write(l.bell, one[:])
}

// wait returns when there is something to do, and notes which connections
// are ready for what.
func (l *loop) wait() {
	n := l.poll()
	l.note(n)
	for again := 1; n == len(l.events) && again < waits; again++ { // so that nobody waits for many others
		n = l.epollWait(0)
		l.note(n)
	}
	l.retryAccept()
}

// note takes note of n events.
func (l *loop) note(n int) {
	for _, ev := range l.events[:n] {
		switch fd := int(ev.Fd); fd {
		case l.bell:
			var b [8]byte
			_, _ = unix.Read(fd, b[:])
		case l.listener:
			l.accept()
		default:
			if c := l.conn(fd); c != nil && c.generation == ev.Pad {
				l.ready(c, ev.Events)
			}
		}
	}
}

// conn returns the connection with that descriptor, or nil.
func (l *loop) conn(fd int) *conn {
	if fd >= len(l.conns) {
		return nil
	}
	return l.conns[fd]
}

// read reads each active connection once, as long as there is room.
func (l *loop) read() {
	l.turn, l.active = l.active, l.turn[:0]
	free := l.buf
	for _, c := range l.turn {
		c.queued = false
		if !c.wantsInput() || l.quitting {
			continue
		}
		if len(free) < readChunk {
			l.activate(c) // in the next turn
			continue
		}
		n, errno := rawRead(c.fd, free[:readChunk])
		switch {
		case errno == unix.EAGAIN:
			c.readable = false
		case errno != 0:
			c.broken = true
		case n == 0:
			c.eof = true
		default:
			c.in = free[:n]
			free = free[n:]
			// A short read has emptied the socket: an edge will tell of more.
			// There will be none for an end that has been seen already, or
			// for what stands behind a byte of urgent data.
			c.readable = n == readChunk || c.hungUp || c.urgent
		}
	}
}

// execute lets time pass, closes what is to be closed, and executes what has
// been read.
func (l *loop) execute() {
	s := l.server
	s.mu.Lock()
	now := s.clock.now()
	l.turns++
	if l.timed = s.latencies.Load(); l.timed {
		if l.times.began == 0 {
			l.times.began = now // the first turn that is
		}
		s.service.SetTally(&l.times.tally)
	}
	l.advance(now)
	for _, c := range l.dead {
		l.close(c, now)
	}
	clear(l.dead)
	l.dead = l.dead[:0]
	for _, c := range l.turn {
		if !c.dead {
			l.serve(c, now)
		}
	}
	clear(l.turn)
	l.turn = l.turn[:0]
	l.distribute()
	for _, b := range l.sent {
		s.service.Recycle(b)
	}
	clear(l.sent)
	l.sent = l.sent[:0]
	s.service.TakeWoken(func(w *session.Session) {
		c := w.Owner.(*conn)
		if c.loop == l {
			l.woken(c)
		} else {
			c.loop.post(c)
		}
	})
	for _, c := range l.mail {
		if c.session == nil {
			l.adopt(c)
		} else {
			l.woken(c)
		}
	}
	clear(l.mail)
	l.mail = l.mail[:0]
	if s.opts.Journal != nil {
		s.commit(l.nobodyElse())
	}
	next, ok := s.service.Next()
	s.ebb()
	l.deadline = math.MaxInt64
	if behind := l.loops.behind; ok && (behind == nil || behind == l) {
		l.deadline = next
	}
	s.mu.Unlock()
}

// advance lets a portion happen of what is due and of what is under way. The
// mutex is held.
func (l *loop) advance(now int64) {
	t := l.loops
	if t.behind != nil && t.behind != l {
		return
	}
	t.behind = nil
	if l.server.service.Advance(now, dueLimit) {
		t.behind = l
	}
}

// write sends the output that this turn has brought, or that the journal has
// settled.
func (l *loop) write() {
	l.release()
	for _, c := range l.dirty {
		c.dirty = false
		if !c.dead {
			l.flush(c)
		}
	}
	clear(l.dirty)
	l.dirty = l.dirty[:0]
}

// nobodyElse reports whether all clients wait for the journal, or for a job.
// When there are many it does not look.
func (l *loop) nobodyElse() bool {
	const many = 2
	if l.open > many || len(l.loops.loop) > 1 {
		return false
	}
	settled := l.server.opts.Journal.Settled()
	for _, c := range l.conns {
		if c != nil && (c.busy || !c.waiting) && (len(c.out) == 0 || c.needs <= settled) {
			return false
		}
	}
	return true
}

// hold keeps c's output until the journal has settled what it depends on.
func (l *loop) hold(c *conn) {
	if !c.held {
		c.held = true
		l.held = append(l.held, c)
	}
}

// release has output written that need not be held any more.
func (l *loop) release() {
	if len(l.held) == 0 {
		return
	}
	settled := l.server.opts.Journal.Settled()
	if settled == l.seen {
		return
	}
	l.seen = settled
	for _, c := range l.held {
		c.held = false
		l.markDirty(c) // it may have to be held again
	}
	clear(l.held)
	l.held = l.held[:0]
}

package server

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"spoked/internal/session"
)

// goroutines is the transport that serves each connection from a goroutine of
// its own. It needs nothing but net.Conn.
//
// A connection's goroutine reads, and executes what it has read. It reads on
// while the client waits in a reserve, to notice when the client goes away,
// but keeps no more than readChunk of what it reads then. It also writes its
// replies. A connection that gets output from elsewhere, from the goroutine of
// a client that put a job or from the timer, has a goroutine started that
// writes it; never do two write at a time. While output waits to be written,
// nothing is executed.
type goroutines struct {
	server   *Server
	listener net.Listener
	group    sync.WaitGroup // of connections and flushes

	// Guarded by the server's mutex:
	conns    map[*stream]bool
	pending  []*stream // have output that nobody writes yet
	timer    *time.Timer
	armed    int64 // instant at which timer fires; 0: it does not
	behind   bool  // there is more to be done than fits into one go: the timer sees to it
	quitting bool
	progress *sync.Cond // the journal has settled more, or failed
	times    timing     // of all connections
	turns    uint64     // goes of any of them
}

const (
	// smallRead is what a connection reads at a time until it fills that.
	smallRead = 4 << 10

	// lookAfter is how long a connection is not read from before it is looked
	// at whether the client is still there.
	lookAfter = time.Second
)

// stream is one connection. The server's mutex guards all but net.
type stream struct {
	goroutines *goroutines
	session    *session.Session
	net        net.Conn
	rest       []byte        // read and not yet dealt with
	room       chan struct{} // told when there is less of it
	out        []byte        // to be written
	needs      uint64        // batch of the journal that must be settled before
	flushing   bool          // a goroutine is writing
	tally      session.Tally // of what is executed, if times are kept,
	began      int64         // since this instant; else 0
	eof        bool
	last       bool // to be closed when out has been written
	closed     bool
}

func newGoroutines(s *Server, l net.Listener) transport {
	g := &goroutines{server: s, listener: l, conns: map[*stream]bool{}, progress: sync.NewCond(&s.mu)}
	g.timer = time.AfterFunc(time.Hour, g.tick)
	return g
}

func (g *goroutines) serve() error {
	var warned time.Time
	for {
		conn, err := g.listener.Accept()
		if err == nil {
			g.start(conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			break
		}
		g.server.unaccepted.Add(1)
		if time.Since(warned) > time.Minute {
			warned = time.Now()
			g.server.log.Warn("cannot accept connections; those open are served", zap.Error(err))
		}
		time.Sleep(acceptRetry)
	}
	g.group.Wait()
	g.timer.Stop()
	return nil
}

func (g *goroutines) stop(abruptly bool) {
	g.listener.Close()
	s := g.server
	s.mu.Lock()
	defer s.mu.Unlock()
	g.quitting = true
	now := s.clock.now()
	for c := range g.conns {
		if abruptly {
			c.close(now)
		}
		c.advance(now)
	}
	g.progress.Broadcast() // to those that wait for the journal and are closed
	g.settle(now)
	g.launch(nil)
}

func (g *goroutines) start(conn net.Conn) {
	s := g.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.quitting {
		conn.Close()
		return
	}
	c := &stream{goroutines: g, net: conn, room: make(chan struct{}, 1)}
	c.session = s.service.NewSession(c)
	g.conns[c] = true
	s.log.Debug("accepted", zap.Stringer("peer", conn.RemoteAddr()))
	g.group.Go(c.read)
}

func (g *goroutines) figures() []LoopFigures {
	f := g.times.figures()
	f.Turns, f.Connections = g.turns, len(g.conns)
	return []LoopFigures{f}
}

func (g *goroutines) timings() []*timing { return []*timing{&g.times} }

func (g *goroutines) settled() { g.progress.Broadcast() }

func (g *goroutines) attend() { g.follow(g.server.clock.now()) }

func (g *goroutines) follow(now int64) {
	g.settle(now)
	g.launch(nil)
}

// tick lets time pass in the engine.
func (g *goroutines) tick() {
	s := g.server
	s.mu.Lock()
	defer s.mu.Unlock()
	g.armed = 0
	g.behind = false
	g.follow(s.clock.now())
}

// settle ends everything done under the mutex: it lets time pass, sees to the
// connections that others have woken, and sets the timer.
func (g *goroutines) settle(now int64) {
	service := g.server.service
	g.pass(now)
	service.TakeWoken(func(w *session.Session) { w.Owner.(*stream).advance(now) })
	g.server.commit(len(g.conns) == 1)
	g.server.ebb()
	at, ok := service.Next()
	at = max(at, now)
	if ok && (g.armed == 0 || at < g.armed) {
		g.armed = max(at, 1)
		g.timer.Reset(time.Duration(at - now))
	}
}

// pass lets a portion happen of what is due and of what is under way.
func (g *goroutines) pass(now int64) {
	if !g.behind {
		g.behind = g.server.service.Advance(now, dueLimit)
	}
}

// launch has all output written that waits for it. That of self is left to
// the caller; launch reports whether there is any.
func (g *goroutines) launch(self *stream) (mine bool) {
	for _, c := range g.pending {
		if c == self {
			mine = true
		} else {
			g.group.Go(c.flush)
		}
	}
	clear(g.pending)
	g.pending = g.pending[:0]
	return mine
}

// read is the connection's goroutine.
func (c *stream) read() {
	g, s := c.goroutines, c.goroutines.server
	buf := make([]byte, smallRead)
	for {
		n, err := c.net.Read(buf)
		began := int64(0)
		if s.latencies.Load() {
			began = s.clock.now()
		}
		s.mu.Lock()
		if g.quitting {
			s.mu.Unlock()
			return // what has been read before is seen to by advance
		}
		now := s.clock.now()
		c.rest = append(c.rest, buf[:n]...)
		c.eof = c.eof || err != nil
		c.began = began
		g.pass(now)
		if err != nil && !errors.Is(err, io.EOF) {
			c.close(now)
		}
		c.advance(now)
		g.settle(now)
		mine := g.launch(c)
		if !c.flushing {
			c.answered(now)
		}
		s.mu.Unlock()
		if mine {
			c.flush()
		}
		if err != nil || !c.awaitRoom() {
			return
		}
		if n == len(buf) && n < readChunk {
			buf = make([]byte, readChunk) // a client that sends much
		}
	}
}

// awaitRoom waits until there is room for more input, and reports whether it
// is to be read. Meanwhile it looks now and then whether the client has gone,
// which reading would tell, if there were room.
func (c *stream) awaitRoom() bool {
	g, s := c.goroutines, c.goroutines.server
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(c.rest) >= readChunk && !c.closed {
		s.mu.Unlock()
		gone := false
		select {
		case <-c.room:
		case <-time.After(lookAfter):
			gone = hungUp(c.net)
		}
		s.mu.Lock()
		if gone && c.session.Waiting() && !c.closed {
			now := s.clock.now()
			c.session.HalfClose(now)
			c.advance(now)
			g.settle(now)
			g.launch(nil)
		}
	}
	return !c.closed
}

// advance executes what can be executed, and sees to it that the replies are
// written, by launch.
func (c *stream) advance(now int64) {
	if c.closed {
		return
	}
	if c.eof {
		c.session.HalfClose(now)
	}
	if len(c.rest) > 0 && len(c.out) == 0 && !c.flushing && !c.last {
		var tally *session.Tally
		if c.began != 0 {
			tally = &c.tally
		}
		c.goroutines.server.service.SetTally(tally)
		c.goroutines.turns++
		n, _ := c.session.Feed(now, c.rest, turnCommands)
		c.rest = c.rest[n:]
		if len(c.rest) == 0 {
			c.rest = nil
		}
		c.tellRoom()
	}
	c.needs = c.session.Needs()
	if out := c.session.TakeOutput(); c.out == nil {
		c.out = out
	} else if out != nil {
		c.out = append(c.out, out...)
		c.goroutines.server.service.Recycle(out)
	}
	idle := !c.session.Busy() && (len(c.rest) == 0 || c.session.Waiting())
	c.last = c.last || c.session.Quit() || idle && (c.goroutines.quitting || c.eof && !c.session.Waiting())
	switch {
	case c.flushing:
	case len(c.out) > 0:
		c.flushing = true
		c.goroutines.pending = append(c.goroutines.pending, c)
	case c.last:
		c.close(now)
	}
}

// flush writes output as long as there is any. It is for the one goroutine
// that launch has left c to.
func (c *stream) flush() {
	g, s := c.goroutines, c.goroutines.server
	s.mu.Lock()
	defer s.mu.Unlock()
	for mine := true; mine; mine = g.launch(c) {
		for !s.maySend(c.needs) && !c.closed {
			g.progress.Wait()
		}
		out := c.out
		c.out = nil
		s.mu.Unlock()
		_, err := c.net.Write(out)
		s.mu.Lock()
		now := s.clock.now()
		c.answered(now)
		s.service.Recycle(out)
		c.flushing = false
		if err != nil {
			s.log.Debug("write failed", zap.Error(err))
			c.close(now)
		}
		c.advance(now)
		g.settle(now)
	}
}

// answered tells that what c has executed has been answered at the instant now.
func (c *stream) answered(now int64) {
	if !c.tally.Empty() {
		c.goroutines.times.took(&c.tally, now-c.began)
		c.began = now
	}
}

// tellRoom lets the reader go on, if it has stopped.
func (c *stream) tellRoom() {
	select {
	case c.room <- struct{}{}:
	default:
	}
}

// close ends the connection at once.
func (c *stream) close(now int64) {
	if c.closed {
		return
	}
	c.closed = true
	c.session.Close(now)
	delete(c.goroutines.conns, c)
	c.net.Close()
	c.tellRoom()
	c.goroutines.server.log.Debug("closed", zap.Stringer("peer", c.net.RemoteAddr()))
}

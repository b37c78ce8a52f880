package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"spoked/internal/journal"
	"spoked/internal/session"
)

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("server: closed")

// Transport says how connections are served.
type Transport uint8

const (
	// EventLoop serves all connections from one or more epoll loops. Linux only.
	EventLoop Transport = iota
	// Goroutines serves each connection from a goroutine.
	Goroutines
)

// Options say how a server serves.
type Options struct {
	Session   session.Options
	Transport Transport
	Loops     int // event loops; 0 is 1
	Log       *zap.Logger

	// Journal, unless nil, has the jobs to begin with, and keeps what becomes
	// of them. The caller opens it and stops it when Serve has returned.
	Journal *journal.Journal

	// Ready, unless nil, is called by Serve when clients are going to be
	// served.
	Ready func()
}

const (
	// readChunk is the most that is read of a connection at a time, and so
	// the most that is kept of what a client sends while it waits.
	readChunk = 64 << 10

	// dueLimit is how many deadlines are dealt with, and steps of long commands
	// done, before connections are served again.
	dueLimit = 1024

	// turnCommands is about how many commands are executed in a turn, or of a
	// connection that has a goroutine in one go, and fewCommands how many at least
	// of each connection of the turn. What is left is executed in the next.
	turnCommands = 4096
	fewCommands  = 16

	// acceptRetry is how long accepting pauses when the process or the system
	// has no file descriptor left.
	acceptRetry = 100 * time.Millisecond
)

// A Server serves one listener.
type Server struct {
	opts  Options
	log   *zap.Logger
	clock clock

	mu      sync.Mutex // guards all below, and the state of every session
	service *session.Service
	serving transport
	closed  bool
	started bool  // Serve has been called
	ended   bool  // it has done all it does
	failure error // of the journal
	tide    tide
	more    chan struct{} // closed when the journal has settled more; nil if nobody waits for that

	failed    atomic.Bool // no more replies may leave
	latencies atomic.Bool // KeepTimes has been called

	unaccepted atomic.Uint64 // times that accepting has failed

	over chan struct{} // closed when the server has ended or failed
}

// transport is what Serve starts.
type transport interface {
	// serve blocks until stop has been called and all connections are closed.
	serve() error
	// stop ends accepting and reading. Connections are closed when their
	// output has been sent, or, abruptly, now. It may be called again.
	stop(abruptly bool)
	// settled tells that replies may leave that have waited for the journal.
	// The server's mutex is held.
	settled()
	// attend tells that sessions have got output other than by a turn. The
	// server's mutex is held.
	attend()
	// pass lets a portion happen of what is due and of what is under way, unless
	// somebody is at it already. The server's mutex is held.
	pass(now int64)
	// figures returns those of each loop. The server's mutex is held.
	figures() []LoopFigures
	// timings returns where the times of each are kept.
	timings() []*timing
	// follow sees to what comes of something that was done outside of a turn. The
	// server's mutex is held.
	follow(now int64)
}

// New returns a server.
func New(opts Options) *Server {
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	opts.Loops = max(1, opts.Loops)
	s := &Server{opts: opts, log: opts.Log, clock: newClock(), over: make(chan struct{})}
	if opts.Journal != nil {
		opts.Session.Engine, opts.Session.Journal = opts.Journal.Engine(), opts.Journal
	}
	s.service = session.NewService(s.clock.now(), opts.Session)
	return s
}

// Serve accepts connections on l, which becomes the server's, and serves them
// until Shutdown or Close; it then returns ErrServerClosed. It can be called
// once.
func (s *Server) Serve(l net.Listener) error {
	defer s.end()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		l.Close()
		return ErrServerClosed
	}
	t, err := s.newTransport(l)
	s.serving = t
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if j := s.opts.Journal; j != nil {
		if err := j.Start(&s.mu, s.settled, t.attend, s.fail); err != nil {
			return err
		}
	}
	s.begin()
	if s.opts.Ready != nil {
		s.opts.Ready()
	}
	if err := t.serve(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.failure == nil && s.service.Unfinished() { // clients have begun it
		s.service.Advance(s.clock.now(), dueLimit)
		s.commit(false)
	}
	s.ended = true
	if s.failure != nil {
		return s.failure
	}
	return ErrServerClosed
}

// commit ends a turn for the journal; alone if nobody else would be held up by
// it. The mutex is held.
func (s *Server) commit(alone bool) {
	s.service.Engine().Trim()
	if j := s.opts.Journal; j != nil {
		j.Commit(alone)
	}
}

// maySend reports whether replies may leave that depend on that batch of the
// journal.
func (s *Server) maySend(batch uint64) bool {
	if s.failed.Load() {
		return false // it may tell of something that was not recorded
	}
	return batch == 0 || batch <= s.opts.Journal.Settled()
}

// fail ends everything because of the journal's error. The mutex is held.
func (s *Server) fail(err error) {
	s.failure = err
	s.failed.Store(true)
	s.finish()
	go s.Close()
}

func (s *Server) newTransport(l net.Listener) (transport, error) {
	if s.opts.Transport == EventLoop {
		t, err := newLoops(s, l)
		if err != nil {
			return nil, fmt.Errorf("server: event loop: %w", err)
		}
		return t, nil
	}
	return newGoroutines(s, l), nil
}

// Drain has all further puts refused, until Undrain.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.service.Drain()
}

// Undrain has puts taken again.
func (s *Server) Undrain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.service.Undrain()
}

// Shutdown stops accepting and reading, and closes each connection when the
// commands that have been read of it are executed and their replies sent; one
// that waits in a reserve, at once. Serve returns when all are closed. When ctx
// ends before, the rest is closed abruptly.
func (s *Server) Shutdown(ctx context.Context) {
	s.stop(false)
	context.AfterFunc(ctx, s.Close)
}

// Close closes everything at once.
func (s *Server) Close() { s.stop(true) }

func (s *Server) stop(abruptly bool) {
	s.mu.Lock()
	s.closed = true
	s.service.Engine().Closing()
	t := s.serving
	s.mu.Unlock()
	if t != nil {
		t.stop(abruptly)
	}
}

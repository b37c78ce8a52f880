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

	// dueLimit is how many deadlines are dealt with before connections are
	// served again.
	dueLimit = 2048

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
	failure error // of the journal

	failed atomic.Bool // no more replies may leave
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
}

// New returns a server.
func New(opts Options) *Server {
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	opts.Loops = max(1, opts.Loops)
	s := &Server{opts: opts, log: opts.Log, clock: newClock()}
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
		if err := j.Start(&s.mu, t.settled, t.attend, s.fail); err != nil {
			return err
		}
	}
	if s.opts.Ready != nil {
		s.opts.Ready()
	}
	if err := t.serve(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
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

// Drain has all further puts refused, for good.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.service.Drain()
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

// Package manage is what a person or a program does to a running queue other
// than over a connection of the wire protocol: it reserves under leases, lists
// and searches jobs, changes many at once, and listens to what happens.
//
// Whoever holds the server's mutex keeps everybody else waiting. So nothing
// here holds it for longer than about a tenth of a millisecond: what takes
// longer is done in portions, after each of which it leaves the mutex to others
// for seven times as long as that has kept them from it. So these lose an eighth of
// the time at most, or little more, however much is searched, and by however many.
//
// Values go in and out as those of package queue; internal/httpapi has their
// JSON.
package manage

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"spoked/queue"
)

// Errors of this package; others are those of queue.
var (
	// ErrLeaseOver says that a lease has ended, by its time or by an operation,
	// or is not one of this process.
	ErrLeaseOver = errors.New("manage: the lease has ended")
	// ErrBadLease says that a text cannot be a lease.
	ErrBadLease = errors.New("manage: not a lease")
	// ErrTooMany says that as many wait already as may.
	ErrTooMany = errors.New("manage: too many are waiting")
	// ErrStopping says that the server stops.
	ErrStopping = errors.New("manage: the server is stopping")
)

// A Server is what owns the engine. Its methods may be used concurrently.
type Server interface {
	// Do calls f while nobody else uses the engine, after time has passed in
	// it, and has what follows recorded and sent. It returns the batch of the
	// journal that an answer depends on.
	Do(f func(e *queue.Engine, now int64)) (batch uint64)
	// View calls f likewise, which changes nothing.
	View(f func(e *queue.Engine, now int64))
	// Newest returns the batch that what View has shown depends on at most.
	Newest() (batch uint64)
	// Await blocks until the batch is settled.
	Await(ctx context.Context, batch uint64) error
	// Fetch returns the body of a job that is in the journal alone; it is the
	// caller's.
	Fetch(ctx context.Context, j queue.Job) ([]byte, error)
}

// Options say how a Manager works. Zero members have the defaults.
type Options struct {
	MaxWaits int // reserves that wait at a time; default 10,000
	// Ring is how many events are kept for those who listen; default 16,384.
	Ring int
	// Linger is how long events are gathered when nobody listens any more, for
	// one who comes back; default 15 s.
	Linger time.Duration
}

// A Manager does operations on one server's queue. Its methods may be used
// concurrently.
type Manager struct {
	server Server
	holder *queue.Client // has all leases; under the server's mutex, as also what it uses
	key    [32]byte      // of the leases' marks
	waits  chan struct{} // has one for each reserve that waits
	gate   chan struct{} // has one from the beginning of a portion until the next may begin
	events hub

	stop     sync.Once
	stopping chan struct{}
}

// New returns a manager of what s serves.
func New(s Server, opts Options) *Manager {
	if opts.MaxWaits <= 0 {
		opts.MaxWaits = 10_000
	}
	if opts.Ring <= 0 {
		opts.Ring = 1 << 14
	}
	if opts.Linger <= 0 {
		opts.Linger = 15 * time.Second
	}
	m := &Manager{
		server:   s,
		waits:    make(chan struct{}, opts.MaxWaits),
		gate:     make(chan struct{}, 1),
		stopping: make(chan struct{}),
	}
	_, _ = rand.Read(m.key[:]) // never fails
	m.events.open(s, opts.Ring, opts.Linger, time.Now())
	s.Do(func(e *queue.Engine, _ int64) { m.holder = e.AttachHidden() })
	return m
}

// Stop has all that waits or listens end, now and from now on.
func (m *Manager) Stop() { m.stop.Do(func() { close(m.stopping) }) }

// Stopping returns a channel that is closed by Stop.
func (m *Manager) Stopping() <-chan struct{} { return m.stopping }

// do calls f like Server.Do and waits for the journal. f's error comes first;
// what was recorded is recorded nevertheless.
func (m *Manager) do(ctx context.Context, f func(e *queue.Engine, now int64) error) error {
	var err error
	batch := m.server.Do(func(e *queue.Engine, now int64) { err = f(e, now) })
	if err != nil {
		return err
	}
	return m.server.Await(ctx, batch)
}

// Settle waits for the journal to know of all that has been looked at: what is told
// before could be undone by a power cut.
func (m *Manager) Settle(ctx context.Context) error {
	return m.server.Await(ctx, m.server.Newest())
}

// The paces of what takes long.
const (
	holdTime = 100 * time.Microsecond // to hold the mutex
	handTime = 100 * time.Microsecond // for it to be handed over, and back to a thread that sleeps
	restRate = 7                      // to rest so many times as long as both

	firstWork = 256
	leastWork = 16
	mostWork  = 1 << 14
)

// pace finds out how much can be done in a portion.
type pace struct {
	work    int           // steps
	besides time.Duration // for a portion to set: what it costs others besides
}

func newPace() pace { return pace{work: firstWork} }

// portion calls f, which does about p.work steps, with the mutex held by hold,
// which is a method of the server. After that the mutex is left to others for a
// while: the next portion, of whatever operation, waits as long, or until ctx
// ends.
func (m *Manager) portion(ctx context.Context, p *pace, hold func(func(*queue.Engine, int64)), f func(e *queue.Engine, now int64)) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	var held time.Duration
	hold(func(e *queue.Engine, now int64) {
		began := time.Now()
		f(e, now)
		held = time.Since(began)
	})
	m.rest(held + handTime + p.besides)
	if held > holdTime {
		p.work = max(leastWork, p.work*3/4)
	} else if held < holdTime/2 {
		p.work = min(mostWork, p.work*5/4)
	}
	return nil
}

// fetch returns the body of a job that is in the journal alone, at the pace of
// portions: when it comes at once, it costs the server as much.
func (m *Manager) fetch(ctx context.Context, j queue.Job) ([]byte, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	body, err := m.server.Fetch(ctx, j)
	m.rest(min(time.Since(began), holdTime)) // beyond that it was the disk
	return body, err
}

// enter waits until a portion may begin, or ctx ends. Rest must follow.
func (m *Manager) enter(ctx context.Context) error {
	select {
	case m.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// rest lets no portion begin for a while after one that has taken so long.
func (m *Manager) rest(after time.Duration) {
	time.AfterFunc(after*restRate, func() { <-m.gate })
}

// view is what a portion that changes nothing is held by.
func (m *Manager) view(f func(*queue.Engine, int64)) { m.server.View(f) }

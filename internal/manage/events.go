package manage

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"spoked/queue"
)

// hub keeps the newest events in a ring, which all who listen read at their own
// pace. One that is slower than what happens finds that the ring has gone past
// it, and is told how many events it has missed: so nobody has a queue, and who
// does not read costs nothing.
//
// It observes the engine only while somebody listens, and some time longer.
type hub struct {
	server Server
	linger time.Duration

	mu        sync.Mutex // never held when the server's is taken
	ring      []queue.Event
	next      uint64 // number of the next event; it is at ring[next % len(ring)]
	first     uint64 // number of the oldest event that is there, or next
	since     uint64 // number of the first event of those that are observed now
	listeners map[*Listener]struct{}
	observing bool
	idle      *time.Timer // stops observing; nil while somebody listens

	switching sync.Mutex // held while the observer is set; taken before the server's
}

// open begins with a number that is above those of earlier processes, unless
// more than a million events a second happened in these.
func (h *hub) open(s Server, size int, linger time.Duration, now time.Time) {
	h.server, h.linger = s, linger
	h.ring = make([]queue.Event, size)
	h.next = uint64(now.UnixMicro())
	h.first, h.since = h.next, h.next
	h.listeners = map[*Listener]struct{}{}
}

// Observe takes an event. The server's mutex is held.
func (h *hub) Observe(v queue.Event) {
	h.mu.Lock()
	h.ring[h.next%uint64(len(h.ring))] = v
	h.next++
	if h.next-h.first > uint64(len(h.ring)) {
		h.first = h.next - uint64(len(h.ring))
	}
	for l := range h.listeners {
		select {
		case l.bell <- struct{}{}:
		default: // it has been told
		}
	}
	h.mu.Unlock()
}

// observe has the hub be told of events, if anybody listens, or not.
func (h *hub) observe() {
	h.switching.Lock()
	defer h.switching.Unlock()
	h.mu.Lock()
	want := len(h.listeners) > 0 || h.idle != nil
	is := h.observing
	if h.observing = want; want && !is {
		h.next++ // what has happened in between is missing
		h.first, h.since = h.next, h.next
	}
	h.mu.Unlock()
	if want != is {
		h.server.Do(func(e *queue.Engine, _ int64) {
			if want {
				e.SetObserver(h)
			} else {
				e.SetObserver(nil)
			}
		})
	}
}

// Interest says which events somebody listens to.
type Interest struct {
	Tubes []string // any, if there are none
	Kinds []string // such as "job.put", or "job.*"; any, if there are none
	// After is the number of the event to go on behind; 0 begins with what
	// happens now.
	After uint64
}

// CheckKind reports whether a kind in an Interest is one that there can be.
func CheckKind(kind string) bool {
	for k := range queue.NumEvents {
		if matchesKind(kind, k.String()) {
			return true
		}
	}
	return false
}

func matchesKind(want, kind string) bool {
	if family, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(kind, family)
	}
	return want == kind
}

// An Event is one with its number.
type Event struct {
	Seq uint64
	queue.Event
}

// A Listener gets events. Close must end it. It is not for concurrent use.
type Listener struct {
	hub   *hub
	at    uint64        // number of the next event
	bell  chan struct{} // rings when there may be one
	tubes []string
	kinds [queue.NumEvents]bool
}

// mostListeners is how many may listen at a time.
const mostListeners = 256

// Listen begins to listen. The error is ErrTooMany if many do.
func (m *Manager) Listen(in Interest) (*Listener, error) {
	h := &m.events
	l := &Listener{hub: h, bell: make(chan struct{}, 1), tubes: in.Tubes}
	for k := range queue.NumEvents {
		l.kinds[k] = len(in.Kinds) == 0 || slices.ContainsFunc(in.Kinds, func(want string) bool {
			return matchesKind(want, k.String())
		})
	}
	h.mu.Lock()
	if len(h.listeners) >= mostListeners {
		h.mu.Unlock()
		return nil, ErrTooMany
	}
	h.listeners[l] = struct{}{}
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
	h.mu.Unlock()
	h.observe()
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.at = h.next; in.After > 0 {
		l.at = min(in.After+1, h.next)
	}
	return l, nil
}

// Close ends it.
func (l *Listener) Close() {
	h := l.hub
	h.mu.Lock()
	delete(h.listeners, l)
	if len(h.listeners) == 0 {
		var t *time.Timer
		t = time.AfterFunc(h.linger, func() {
			h.mu.Lock()
			mine := h.idle == t
			if mine {
				h.idle = nil
			}
			h.mu.Unlock()
			if mine {
				h.observe()
			}
		})
		h.idle = t
	}
	h.mu.Unlock()
}

// Next blocks until there are events that are listened to, ctx ends, or the
// manager stops, and appends them to events, at most as many as it has room for.
// dropped is how many events, of any kind, are missing before them, or Unknown. An
// empty answer without an error is not given, unless
// events were dropped.
func (l *Listener) Next(ctx context.Context, m *Manager, events []Event) (_ []Event, dropped uint64, err error) {
	for {
		if events, dropped = l.read(events); len(events) > 0 || dropped > 0 {
			return events, dropped, nil
		}
		select {
		case <-l.bell:
		case <-ctx.Done():
			return events, 0, context.Cause(ctx)
		case <-m.stopping:
			return events, 0, ErrStopping
		}
	}
}

// Unknown is a number of events that nobody has counted.
const Unknown = math.MaxUint64

// readLimit is how many events are read while others may not write.
const readLimit = 1024

// read returns what there is. It holds the hub's mutex, for which the server may
// wait, for readLimit events at a time.
func (l *Listener) read(events []Event) (_ []Event, dropped uint64) {
	h := l.hub
	for more := true; more; {
		h.mu.Lock()
		if l.at < h.first {
			if len(events) > 0 { // first those before the gap
				h.mu.Unlock()
				return events, 0
			}
			if l.at < h.since {
				dropped = Unknown
			} else {
				dropped += h.first - l.at
			}
			l.at = h.first
		}
		for n := 0; n < readLimit && l.at < h.next && len(events) < cap(events); n++ {
			v := &h.ring[l.at%uint64(len(h.ring))]
			if l.kinds[v.Kind] && (len(l.tubes) == 0 || slices.Contains(l.tubes, v.Tube)) {
				events = append(events, Event{l.at, *v})
			}
			l.at++
		}
		more = l.at < h.next && len(events) < cap(events)
		h.mu.Unlock()
	}
	return events, dropped
}

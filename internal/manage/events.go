package manage

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"spoked/queue"
)

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
	since uint64        // as the hub's
	bell  chan struct{} // rings when there may be one
	tubes map[string]struct{}
	kinds [queue.NumEvents]bool

	told time.Time     // when it began to look for what Next has returned
	owed time.Duration // how long it looked in vain before
}

// MostListeners is how many may listen at a time.
const MostListeners = 64

// Listen begins to listen. The error is ErrTooMany if MostListeners do.
func (m *Manager) Listen(in Interest) (*Listener, error) {
	h := &m.events
	l := &Listener{hub: h, bell: make(chan struct{}, 1), tubes: make(map[string]struct{}, len(in.Tubes))}
	for _, t := range in.Tubes {
		l.tubes[t] = struct{}{}
	}
	for k := range queue.NumEvents {
		l.kinds[k] = len(in.Kinds) == 0 || slices.ContainsFunc(in.Kinds, func(want string) bool {
			return matchesKind(want, k.String())
		})
	}
	h.mu.Lock()
	if len(h.listeners) >= MostListeners {
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
	l.since = h.since
	h.mu.Unlock()
	if l.at = h.next.Load(); in.After > 0 {
		l.at = min(in.After+1, l.at)
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
// empty answer without an error is not given, unless events were dropped.
//
// The time from one call's answer to the next call is what the events cost, and
// all listeners together get an eighth of a processor's: when more happens than
// that is enough for, Next blocks for longer, and events are dropped.
func (l *Listener) Next(ctx context.Context, m *Manager, events []Event) (_ []Event, dropped uint64, err error) {
	for {
		if err := l.turn(ctx, m); err != nil {
			return events, 0, err
		}
		l.told = time.Now()
		if events, dropped = l.read(events); len(events) > 0 || dropped > 0 {
			return events, dropped, nil
		}
		l.owed, l.told = l.owed+time.Since(l.told), time.Time{}
		select {
		case <-l.bell:
		case <-ctx.Done():
			return events, 0, context.Cause(ctx)
		case <-m.stopping:
			return events, 0, ErrStopping
		}
	}
}

// Settle waits for the journal to know of all that Next has told of, as
// Manager.Settle does. The time is none that the events cost.
func (l *Listener) Settle(ctx context.Context, m *Manager) error {
	began := time.Now()
	err := m.Settle(ctx)
	l.told = l.told.Add(time.Since(began))
	return err
}

// mostCost is what a listener's turn is taken to cost at most: what lasts longer
// is the network, or others that use the processor.
const mostCost = time.Millisecond

// turn waits until the listener may look for events, by what it and others have
// cost the server.
func (l *Listener) turn(ctx context.Context, m *Manager) error {
	cost := l.owed
	if l.owed = 0; !l.told.IsZero() {
		cost += time.Since(l.told)
		l.told = time.Time{}
	}
	h, now := l.hub, time.Now()
	h.mu.Lock()
	if h.free.Before(now) {
		h.free = now
	}
	wait := h.free.Sub(now)
	h.free = h.free.Add(min(cost, mostCost) * (1 + restRate))
	h.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.stopping:
		return ErrStopping
	}
}

// tell has the listener look for events if it waits for them.
func (l *Listener) tell() {
	select {
	case l.bell <- struct{}{}:
	default: // it has been told
	}
}

// Unknown is a number of events that nobody has counted.
const Unknown = math.MaxUint64

// read returns what there is, as far as there is room. Nobody waits for it.
func (l *Listener) read(events []Event) (_ []Event, dropped uint64) {
	h := l.hub
	for len(events) < cap(events) {
		next := h.next.Load()
		first := max(l.since, next-min(next, h.size))
		if l.at < first {
			if len(events) > 0 { // first those before the gap
				return events, 0
			}
			if l.at < l.since {
				dropped = Unknown
			} else if dropped != Unknown {
				dropped += first - l.at
			}
			l.at = first
		}
		if l.at == next {
			break
		}
		if p := h.page(l.at); p != nil { // else it has just gone
			l.choose(p.events[l.at-p.first:min(next-p.first, pageEvents)], &events)
		}
	}
	return events, dropped
}

// choose takes the events that are listened to, as far as there is room, from those
// that are the next.
func (l *Listener) choose(next []queue.Event, events *[]Event) {
	for i := range next {
		if len(*events) == cap(*events) {
			return
		}
		v := &next[i]
		if l.kinds[v.Kind] && l.hears(v.Tube) {
			*events = append(*events, Event{l.at, *v})
		}
		l.at++
	}
}

func (l *Listener) hears(tube string) bool {
	if len(l.tubes) == 0 {
		return true
	}
	_, ok := l.tubes[tube]
	return ok
}

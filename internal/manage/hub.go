package manage

import (
	"sync"
	"sync/atomic"
	"time"

	"spoked/queue"
)

// hub keeps the newest events, which all who listen read at their own pace. One
// that is slower than what happens finds that its place has been taken by newer
// events, and is told how many it has missed: so nobody has a queue, and who does
// not read costs nothing.
//
// Whoever makes an event holds the server's mutex, and waits for no listener:
// events are written to pages, of which nothing is changed that can be read. Only
// one call at a time writes, as the server's mutex sees to it.
//
// The hub observes the engine only while somebody listens, and some time longer.
type hub struct {
	server Server
	linger time.Duration

	size   uint64                 // events that are kept
	pages  []atomic.Pointer[page] // the page with an event is at its number / pageEvents % len(pages)
	writes *page                  // the newest, for the one that writes
	next   atomic.Uint64          // number of the next event; those below can be read
	asleep atomic.Bool            // the ringer is to be woken by the next event
	bell   chan struct{}          // wakes it

	mu        sync.Mutex // never held when the server's is taken, and not taken while that is held
	since     uint64     // number of the first event of those that are observed now
	listeners map[*Listener]struct{}
	observing bool
	idle      *time.Timer // stops observing; nil while somebody listens
	free      time.Time   // when the next listener may look

	switching sync.Mutex    // held while the observer is set; taken before the server's
	stop      chan struct{} // closed to stop the ringer, of the time since begin
	stopped   chan struct{} // closed when it has stopped
}

// pageEvents is how many events a page has.
const pageEvents = 256

// page has events with consecutive numbers.
type page struct {
	first  uint64 // number of its first event
	events [pageEvents]queue.Event
}

// open begins with a number that is above those of earlier processes, unless
// more than a million events a second happened in these.
func (h *hub) open(s Server, size int, linger time.Duration, now time.Time) {
	h.server, h.linger = s, linger
	h.size = uint64(size)
	h.pages = make([]atomic.Pointer[page], size/pageEvents+3) // one that begins before, one that is written, one for the rest
	h.next.Store(uint64(now.UnixMicro()))
	h.since = h.next.Load()
	h.bell = make(chan struct{}, 1)
	h.listeners = map[*Listener]struct{}{}
}

// Observe takes an event. The server's mutex is held. O(1), however many listen.
func (h *hub) Observe(v queue.Event) {
	n := h.next.Load()
	p, first := h.writes, n-n%pageEvents
	if p == nil || p.first != first {
		p = &page{first: first}
		h.writes = p
		h.pages[first/pageEvents%uint64(len(h.pages))].Store(p)
	}
	p.events[n-first] = v
	h.next.Store(n + 1)
	if h.asleep.Load() && h.asleep.CompareAndSwap(true, false) {
		select {
		case h.bell <- struct{}{}:
		default: // rings
		}
	}
}

// page returns the page with the event of that number, which is below next, or
// nil if it has gone.
func (h *hub) page(n uint64) *page {
	p := h.pages[n/pageEvents%uint64(len(h.pages))].Load()
	if p == nil || p.first != n-n%pageEvents {
		return nil
	}
	return p
}

// ringPause is how long listeners are left alone after they have been told that
// there are events.
const ringPause = 10 * time.Millisecond

// ring tells those who listen that there are events, from the one with the number
// told on, until h.stop is closed.
func (h *hub) ring(told uint64) {
	defer close(h.stopped)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		h.asleep.Store(true)
		if h.next.Load() == told || !h.asleep.CompareAndSwap(true, false) {
			select {
			case <-h.bell:
			case <-h.stop:
				return
			}
		}
		told = h.next.Load()
		h.mu.Lock()
		for l := range h.listeners {
			l.tell()
		}
		h.mu.Unlock()
		pause.Reset(ringPause)
		select {
		case <-pause.C:
		case <-h.stop:
			return
		}
	}
}

// observe has the hub be told of events, if anybody listens, or not.
func (h *hub) observe() {
	h.switching.Lock()
	defer h.switching.Unlock()
	h.mu.Lock()
	want := len(h.listeners) > 0 || h.idle != nil
	is := h.observing
	h.observing = want
	h.mu.Unlock()
	if want == is {
		return
	}
	if want {
		h.begin()
		h.server.Do(func(e *queue.Engine, _ int64) { e.SetObserver(h) })
	} else {
		h.server.Do(func(e *queue.Engine, _ int64) { e.SetObserver(nil) })
		h.end()
	}
}

// begin prepares for events. What has happened since end is missing: it has a
// number that no event has.
func (h *hub) begin() {
	n := h.next.Add(1)
	h.mu.Lock()
	h.since = n
	h.mu.Unlock()
	h.stop, h.stopped = make(chan struct{}), make(chan struct{})
	go h.ring(n)
}

// end forgets the events.
func (h *hub) end() {
	close(h.stop)
	<-h.stopped
	h.writes = nil
	for i := range h.pages {
		h.pages[i].Store(nil)
	}
}

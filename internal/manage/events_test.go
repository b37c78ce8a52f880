package manage

import (
	"context"
	"errors"
	"testing"
	"time"

	"spoked/queue"
)

func listen(t *testing.T, m *Manager, in Interest) *Listener {
	t.Helper()
	l, err := m.Listen(in)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// next returns the events that there are.
func next(t *testing.T, m *Manager, l *Listener, room int) (events []Event, dropped uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	events, dropped, err := l.Next(ctx, m, make([]Event, 0, room))
	if err != nil {
		t.Fatal(err)
	}
	return events, dropped
}

func TestEvents(t *testing.T) {
	m := New(newEngine(t), Options{Ring: 16})
	put(t, m, "a", "nobody listens")
	all := listen(t, m, Interest{})
	some := listen(t, m, Interest{Tubes: []string{"b"}, Kinds: []string{"job.*"}})
	put(t, m, "a", "x")
	id := put(t, m, "b", "x")
	if events, _ := next(t, m, some, 10); len(events) != 1 || events[0].ID != id || events[0].Kind != queue.JobPut {
		t.Errorf("got %+v, want the put of %d", events, id)
	}
	events, _ := next(t, m, all, 10)
	if len(events) != 3 || events[2].Seq != events[0].Seq+2 {
		t.Fatalf("got %+v, want two puts and a tube", events)
	}
	last := events[2].Seq

	for range 20 {
		put(t, m, "a", "more than there is room for")
	}
	for i := range 3 { // the gap first, and then what is left, in portions
		events, dropped := next(t, m, all, 8)
		if want := []uint64{4, 0, 0}[i]; dropped != want || i < 2 && len(events) != 8 {
			t.Fatalf("got %d dropped and %d events, want %d dropped", dropped, len(events), want)
		}
		if i == 1 {
			break
		}
	}
	if events, dropped := next(t, m, listen(t, m, Interest{After: last + 10}), 100); dropped != 0 || len(events) != 10 || events[0].Seq != last+11 {
		t.Errorf("got %d events and %d dropped, want the ten after number %d", len(events), dropped, last+10)
	}
	if _, dropped := next(t, m, listen(t, m, Interest{After: 7}), 100); dropped != Unknown {
		t.Errorf("got %d dropped, want that it is unknown", dropped)
	}
}

// TestEventsObserved has the engine observed only while somebody listens, and a
// while longer.
func TestEventsObserved(t *testing.T) {
	m := New(newEngine(t), Options{Linger: time.Millisecond})
	observing := func(want bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			m.events.mu.Lock()
			got := m.events.observing
			m.events.mu.Unlock()
			if got == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("got observing %v, want %v", got, want)
			}
		}
	}
	observing(false)
	l := listen(t, m, Interest{})
	observing(true)
	put(t, m, "a", "x")
	events, _ := next(t, m, l, 10)
	l.Close()
	observing(false)
	put(t, m, "b", "missed")
	l = listen(t, m, Interest{After: events[len(events)-1].Seq})
	observing(true)
	if _, dropped := next(t, m, l, 10); dropped != Unknown {
		t.Errorf("got %d dropped, want that it is unknown", dropped)
	}
	m.Stop()
	if _, _, err := l.Next(t.Context(), m, make([]Event, 0, 1)); !errors.Is(err, ErrStopping) {
		t.Errorf("got the error %v, want %v", err, ErrStopping)
	}
	for range mostListeners - 1 {
		listen(t, m, Interest{})
	}
	if _, err := m.Listen(Interest{}); !errors.Is(err, ErrTooMany) {
		t.Errorf("got the error %v, want %v", err, ErrTooMany)
	}
}

func TestCheckKind(t *testing.T) {
	for kind, want := range map[string]bool{"job.put": true, "job.*": true, "*": true, "tube.": false, "job": false, "": false, "x.*": false} {
		if got := CheckKind(kind); got != want {
			t.Errorf("%q: got %v, want %v", kind, got, want)
		}
	}
}

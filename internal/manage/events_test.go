package manage

import (
	"context"
	"errors"
	"sync"
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
	for range MostListeners - 1 {
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

// TestEventsNobodyWaits has things happen while nobody can touch what listeners
// have in common.
func TestEventsNobodyWaits(t *testing.T) {
	m := New(newEngine(t), Options{Ring: 1000})
	l := listen(t, m, Interest{Kinds: []string{"job.put"}})
	m.events.mu.Lock()
	for range 5000 {
		put(t, m, "a", "x")
	}
	m.events.mu.Unlock()
	if _, dropped := next(t, m, l, 10); dropped != 4001 { // and the tube
		t.Errorf("got %d dropped, want 4001", dropped)
	}
}

// TestEventsMany has many listeners hear of what happens meanwhile: each gets all
// events in order, or is told how many are missing.
func TestEventsMany(t *testing.T) {
	m := New(newEngine(t), Options{Ring: 600})
	const puts = 2000
	want := map[string]int{"a": puts, "b": puts}
	var group sync.WaitGroup
	for i := range MostListeners {
		in := Interest{Kinds: []string{"job.*"}}
		tube := []string{"", "a", "b"}[i%3]
		if tube != "" {
			in.Tubes = []string{tube}
		}
		l := listen(t, m, in)
		group.Go(func() {
			defer l.Close()
			first := l.at
			var last uint64
			var missing int
			got := map[string]int{}
			room := make([]Event, 0, 1+i)
			for last = first; got["end"] == 0; {
				events, dropped, err := l.Next(t.Context(), m, room[:0])
				if err != nil || dropped == Unknown {
					t.Errorf("got %d dropped and the error %v", dropped, err)
					return
				}
				missing += int(dropped)
				for _, v := range events {
					if v.Seq <= last && v.Seq != first || tube != "" && v.Tube != tube {
						t.Errorf("got %+v behind number %d", v, last)
					}
					last = v.Seq
					got[v.Tube]++
					if v.Kind == queue.JobBuried {
						got["end"]++
					}
				}
			}
			for name, n := range want {
				if tube == "" || tube == name {
					if max(0, n-missing) > got[name] || got[name] > n+2 {
						t.Errorf("got %d events of %s and %d dropped, want %d", got[name], name, missing, n)
					}
				}
			}
		})
	}
	for range puts {
		put(t, m, "a", "x")
		put(t, m, "b", "x")
	}
	for _, tube := range []string{"a", "b"} {
		r := reserve(t, m, 1, tube)
		r.Lease()
		if err := m.Bury(t.Context(), r.Jobs[0].Lease, nil); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
}

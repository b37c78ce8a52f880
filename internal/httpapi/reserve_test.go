package httpapi

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"spoked/internal/manage"
	"spoked/queue"
)

// engine is a server without a network or a journal, the time of which a test can
// have pass.
type engine struct {
	mu   sync.Mutex
	e    *queue.Engine
	late time.Duration
}

func newEngine() *engine { return &engine{e: queue.New(time.Now().UnixNano())} }

func (s *engine) Do(f func(*queue.Engine, int64)) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Add(s.late).UnixNano()
	for more := true; more; more = s.e.Unfinished() {
		s.e.Advance(now, 1000)
		s.e.TakeWakes(func(queue.Wake) {})
	}
	f(s.e, now)
	s.e.TakeWakes(func(queue.Wake) {})
	return 0
}

func (s *engine) View(f func(*queue.Engine, int64)) { s.Do(f) }

func (s *engine) Newest() uint64 { return 0 }

func (s *engine) Await(ctx context.Context, _ uint64) error { return ctx.Err() }

func (s *engine) Fetch(context.Context, queue.Job) ([]byte, error) { return nil, queue.ErrNotFound }

// TestReserveJobGone has the time of a job that was reserved by its id run out before
// it is leased.
func TestReserveJobGone(t *testing.T) {
	s := newEngine()
	m := manage.New(s, manage.Options{})
	h := New(Options{})
	h.Open(m)
	id, err := m.Put(t.Context(), &manage.NewJob{Tube: "a", TTR: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	res, err := m.ReserveJob(t.Context(), id)
	if err != nil || len(res.Jobs) != 1 {
		t.Fatal(res, err)
	}
	s.late = time.Minute
	c := &call{h: h, m: m, w: httptest.NewRecorder(), r: httptest.NewRequest("POST", "/", nil)}
	if err := c.hand(res, false, one, shape{}); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("got the error %v, want %v", err, queue.ErrNotFound)
	}
}

// TestPlaces has all places for what comes in be taken: what is read goes on, and
// the reverse.
func TestPlaces(t *testing.T) {
	h := New(Options{MaxStreams: 1, MaxIncoming: 1})
	h.Open(manage.New(newEngine(), manage.Options{}))
	for name, c := range map[string]struct {
		taken          chan struct{}
		list, putLines int
	}{"incoming": {h.incoming, 200, 429}, "streams": {h.streams, 429, 200}, "none": {make(chan struct{}, 1), 200, 200}} {
		c.taken <- struct{}{}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/jobs", nil)); w.Code != c.list {
			t.Errorf("%s: got %d %s, want %d", name, w.Code, w.Body, c.list)
		}
		for _, path := range []string{"/v1/jobs", "/v1/import"} {
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", path, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/x-ndjson")
			if h.ServeHTTP(w, r); w.Code != c.putLines {
				t.Errorf("%s: %s: got %d %s, want %d", name, path, w.Code, w.Body, c.putLines)
			}
		}
		<-c.taken
	}
}

package httpapi

import (
	"context"
	"errors"
	"net/http/httptest"
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

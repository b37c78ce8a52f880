package metrics

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spoked/queue"
)

// stuck is a server whose engine cannot be had until it is let go.
type stuck struct {
	*fake
	free  chan struct{}
	asked chan struct{}
}

func (s *stuck) View(look func(e *queue.Engine, now int64)) {
	s.asked <- struct{}{}
	<-s.free
	s.fake.View(look)
}

func get(h http.Handler) (code int, text string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

// TestHealth goes through the life of a server.
func TestHealth(t *testing.T) {
	f := newFake(t)
	h := new(Health)
	steps := []struct {
		do    func()
		live  int
		ready int
		text  string
	}{
		{func() {}, 200, 503, "starting\n"},
		{func() { h.Progress(1, 3) }, 200, 503, "starting: 33 % of the journal read\n"},
		{func() { h.Serve(f) }, 200, 200, "ready\n"},
		{func() { f.engine.Drain() }, 200, 503, "draining: puts are refused\n"},
		{func() { f.engine.Undrain() }, 200, 200, "ready\n"},
		{func() { h.Stop() }, 200, 503, "stopping\n"},
		{func() { h.Serve(f) }, 200, 503, "stopping\n"},
	}
	for _, step := range steps {
		step.do()
		if code, text := get(h.ReadyHandler()); code != step.ready || text != step.text {
			t.Errorf("got %d %q, want %d %q", code, text, step.ready, step.text)
		}
		if code, text := get(h.LiveHandler()); code != step.live || text != "alive\n" {
			t.Errorf("got %d %q, want %d", code, text, step.live)
		}
	}
}

// TestHealthStalled has many ask of an engine that is stuck, and one of them wait
// for it.
func TestHealthStalled(t *testing.T) {
	s := &stuck{newFake(t), make(chan struct{}), make(chan struct{}, 10)}
	h := new(Health)
	h.Serve(s)
	for range 5 {
		if _, err := h.ask(t.Context(), s, time.Millisecond); err == nil || !strings.HasPrefix(err.Error(), "stalled") {
			t.Fatalf("got %v, want that it is stalled", err)
		}
	}
	if n := len(s.asked); n != 1 {
		t.Errorf("the engine was asked %d times, want once", n)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Live(gone); err == nil {
		t.Error("got an answer that nobody waits for")
	}
	close(s.free)
	if _, err := h.ask(t.Context(), s, time.Hour); err != nil {
		t.Errorf("got %v of an engine that is free again", err)
	}
	if err := h.Ready(t.Context()); err != nil {
		t.Errorf("got %v", err)
	}
}

// TestProfiles asks for a profile.
func TestProfiles(t *testing.T) {
	w := httptest.NewRecorder()
	ProfileHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/goroutine?debug=1", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "goroutine profile") {
		t.Errorf("got %d and %d bytes", w.Code, w.Body.Len())
	}
}

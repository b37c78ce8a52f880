package metrics

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"spoked/queue"
)

// A Phase is what a server is doing with its life.
type Phase uint8

// The phases, in the order in which a server goes through them. There is no way
// back. Draining is none of them: it can end, and the engine knows of it.
const (
	// Starting is until clients are served: the journal is being read.
	Starting Phase = iota
	// Serving is while clients are served.
	Serving
	// Stopping is from the first signal to stop.
	Stopping
)

// stall is how long the engine may be in use before a server counts as
// stalled. Nothing holds it for more than milliseconds.
const stall = 5 * time.Second

// Health knows whether the process is alive, and whether the server is ready to
// be sent work. Its zero value is that of a server which starts. It may be used
// by several goroutines at once.
type Health struct {
	mu          sync.Mutex
	phase       Phase
	server      Server
	done, total int64     // bytes of the journal that have been read, of how many
	question    *question // under way, or nil
}

// question is asked of the engine once for all who want to know at a time.
type question struct {
	answered chan struct{} // closed when the engine could be had
	draining bool
}

// Progress notes how many bytes of the journal have been read, of how many.
func (h *Health) Progress(done, total int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done, h.total = done, total
}

// Serve notes that clients are served from now on, by s.
func (h *Health) Serve(s Server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server = s
	if h.phase == Starting {
		h.phase = Serving
	}
}

// Stop notes that the server stops.
func (h *Health) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.phase = Stopping
}

// look returns what the other methods have noted.
func (h *Health) look() (p Phase, s Server, done, total int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.phase, h.server, h.done, h.total
}

// ask waits until the engine can be had, for a time, and reports whether it
// drains. If many ask of an engine that is stuck, one goroutine waits for it.
func (h *Health) ask(ctx context.Context, s Server, within time.Duration) (draining bool, err error) {
	h.mu.Lock()
	q := h.question
	if q == nil {
		q = &question{answered: make(chan struct{})}
		h.question = q
		go func() {
			s.View(func(e *queue.Engine, _ int64) { q.draining = e.Draining() })
			h.mu.Lock()
			h.question = nil
			h.mu.Unlock()
			close(q.answered)
		}()
	}
	h.mu.Unlock()

	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("stalled: nothing has been executed for %v", within))
	defer cancel()
	select {
	case <-q.answered:
		return q.draining, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// Live reports what is wrong with the process, if anything is that only a
// restart mends: nothing gets to the engine any more. A server that starts or
// stops is alive.
func (h *Health) Live(ctx context.Context) error {
	phase, s, _, _ := h.look()
	if phase != Serving || s == nil {
		return nil
	}
	_, err := h.ask(ctx, s, stall)
	return err
}

// Ready reports why the server should not be sent work now, if it should not:
// it starts, drains, stops, or is stalled.
func (h *Health) Ready(ctx context.Context) error {
	phase, s, done, total := h.look()
	switch {
	case phase == Stopping:
		return fmt.Errorf("stopping")
	case phase == Starting && total > 0:
		return fmt.Errorf("starting: %d %% of the journal read", 100*done/total)
	case phase == Starting || s == nil:
		return fmt.Errorf("starting")
	}
	draining, err := h.ask(ctx, s, stall)
	if err == nil && draining {
		err = fmt.Errorf("draining: puts are refused")
	}
	return err
}

// LiveHandler answers 200 to any GET while the process is alive, and 503 with
// the reason otherwise. It is for /healthz.
func (h *Health) LiveHandler() http.Handler { return probe("alive", h.Live) }

// ReadyHandler answers 200 to any GET while the server is ready, and 503 with the
// reason otherwise. It is for /readyz.
func (h *Health) ReadyHandler() http.Handler { return probe("ready", h.Ready) }

// probe answers with a line of text: well, or what check complains of.
func probe(well string, check func(context.Context) error) http.Handler {
	return reading(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, status := well, http.StatusOK
		if err := check(r.Context()); err != nil {
			text, status = err.Error(), http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text+"\n")
	}))
}

// reading answers requests with h that do not want to change anything.
func reading(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}

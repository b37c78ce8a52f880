package httpapi

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spoked/internal/api"
	"spoked/internal/manage"
	"spoked/queue"
)

// fake is a server without a network, whose journal is as slow as it is told.
type fake struct {
	mu      sync.Mutex
	engine  *queue.Engine
	journal sync.RWMutex // held by the test while nothing is synced
}

func (s *fake) Do(f func(*queue.Engine, int64)) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.engine, time.Now().UnixNano())
	return 0
}

func (s *fake) View(f func(*queue.Engine, int64)) { s.Do(f) }

func (s *fake) Newest() uint64 { return 0 }

func (s *fake) Await(context.Context, uint64) error {
	s.journal.RLock()
	defer s.journal.RUnlock()
	return nil
}

func (s *fake) Fetch(context.Context, queue.Job) ([]byte, error) { return nil, queue.ErrNotFound }

// put puts a job without waiting for the journal.
func (s *fake) put(t *testing.T, tube string) {
	t.Helper()
	s.Do(func(e *queue.Engine, now int64) {
		c := e.Attach()
		defer e.Disconnect(now, c)
		e.Use(c, []byte(tube))
		d, err := e.Begin(now, c, 0, 0, time.Minute, 1)
		if err == nil {
			e.Body(&d)[0] = 'x'
			_, err = e.Insert(now, &d)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// serve answers with a handler of a server that is not real.
func serve(t *testing.T, opts Options) (s *fake, h *Handler, url string) {
	t.Helper()
	s = &fake{engine: queue.New(time.Now().UnixNano())}
	h = New(opts)
	m := manage.New(s, manage.Options{})
	h.Open(m)
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	t.Cleanup(m.Stop) // ends what listens, for which Close waits
	return s, h, web.URL
}

// listen begins to listen and returns the lines that come; the channel is closed
// when the answer ends.
func listen(t *testing.T, url, token string) <-chan string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatalf("got the status %s", resp.Status)
	}
	got := make(chan string, 1000)
	go func() {
		defer close(got)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			got <- lines.Text()
		}
	}()
	return got
}

// hear returns the next line that begins so, "" if there is none.
func hear(t *testing.T, lines <-chan string, begin string) string {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case l, ok := <-lines:
			if !ok || strings.HasPrefix(l, begin) {
				return l
			}
		case <-late:
			t.Fatalf("got no line %q...", begin)
		}
	}
}

// TestEventsLimits has too many tubes, kinds and listeners be refused.
func TestEventsLimits(t *testing.T) {
	_, _, url := serve(t, Options{})
	for query, status := range map[string]int{
		strings.Repeat("&tube=a", maxInterests+1):       400,
		strings.Repeat("&kind=job.put", maxInterests+1): 400,
		strings.Repeat("&kind=job.put", maxInterests):   200,
	} {
		resp, err := http.Head(url + "/v1/events?" + query[1:])
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%.20s...: got the status %d, want %d", query, resp.StatusCode, status)
		}
	}
	for range manage.MostListeners {
		listen(t, url, "")
	}
	resp, err := http.Get(url + "/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var p api.Error
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || resp.StatusCode != 429 || !api.Is(&p, api.TooManyRequests) ||
		!slices.Contains(strings.Fields(p.Detail), fmt.Sprint(manage.MostListeners)) {
		t.Errorf("got %s with %+v, %v, want 429", resp.Status, p, err)
	}
}

// TestEventsSettled has nobody hear of what the journal does not have yet.
func TestEventsSettled(t *testing.T) {
	s, _, url := serve(t, Options{Heartbeat: time.Millisecond})
	got := listen(t, url, "")
	hear(t, got, ": nothing new") // so it listens
	s.journal.Lock()
	s.put(t, "a")
	early := time.After(50 * time.Millisecond)
	for waiting := true; waiting; {
		select {
		case l := <-got:
			if strings.HasPrefix(l, "data:") {
				t.Errorf("got %s before it was in the journal", l)
			}
		case <-early:
			waiting = false
		}
	}
	s.journal.Unlock()
	if l := hear(t, got, "event: job.put"); l == "" {
		t.Error("got no event at all")
	}
}

// TestEventsRevoked has the answer end when the token is none any more, at the next
// event or heartbeat, but not if others have changed.
func TestEventsRevoked(t *testing.T) {
	tokens := func(names ...string) *Tokens {
		var lines strings.Builder
		for _, name := range names {
			fmt.Fprintf(&lines, "read %x %s\n", sha256.Sum256([]byte(name)), name)
		}
		all, err := readTokens(strings.NewReader(lines.String()))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for name, heartbeat := range map[string]time.Duration{"event": time.Hour, "heartbeat": 10 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			s, h, url := serve(t, Options{Tokens: tokens("a", "b"), Heartbeat: heartbeat})
			got := listen(t, url, "a")
			s.put(t, "x")
			hear(t, got, "event: job.put")
			h.SetTokens(tokens("a"))
			s.put(t, "x")
			if l := hear(t, got, "event: job.put"); l == "" {
				t.Error("got an end, though the token is valid")
			}
			h.SetTokens(tokens("b"))
			if name == "event" {
				s.put(t, "secret")
			}
			if l := hear(t, got, "event: "); l != "" {
				t.Errorf("got %s after the token was revoked", l)
			}
		})
	}
}

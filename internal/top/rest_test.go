package top

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/internal/api"
	"spoked/internal/httpapi"
	"spoked/internal/manage"
)

// restOf returns a source that asks the JSON API of a server, the address of which
// for the wire protocol is the other result.
func restOf(t *testing.T, tokens *httpapi.Tokens) (Source, *api.Client, string) {
	t.Helper()
	s, addr := serve(t, false)
	h := httpapi.New(httpapi.Options{Local: true, Tokens: tokens, MaxJobSize: 65535, Facts: func() api.Status {
		return api.Status{
			Name: "spoked", Version: "1.0", Hostname: "db", Uptime: api.Duration(time.Minute), CPUUser: api.Duration(time.Second),
			Commands: map[string]uint64{"reserve": 3, "reserve-with-timeout": 4, "put": 9},
			Journal:  &api.Journal{Written: 77, Disk: 4096},
		}
	}})
	m := manage.New(s, manage.Options{})
	h.Open(m)
	hs := httptest.NewServer(h)
	t.Cleanup(hs.Close)
	c := &api.Client{URL: hs.URL, HTTP: hs.Client()}
	return API(c), c, addr
}

func TestRest(t *testing.T) {
	r, c, addr := restOf(t, nil)
	defer r.Close()
	fill(t, addr)
	s, err := r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v := s.Server
	got := fmt.Sprint(v.Name, v.Version, v.Address == c.URL, v.Connections, v.Ready, v.Reserved, v.Delayed, v.Buried, v.Puts, v.Reserves, v.Draining, v.JournalRecords, v.JournalBytes, v.CPU, v.Uptime)
	want := fmt.Sprint("spoked", "1.0", true, 1, 3, 1, 1, 1, 6, 7, false, 77, 4096, time.Second, time.Minute)
	if got != want {
		t.Errorf("server: got %s, want %s", got, want)
	}
	for _, f := range s.Tubes {
		if f.Name == "work" && (f.Ready != 2 || f.Reserved != 1 || f.Delayed != 1 || f.Buried != 1 || f.Puts != 5 || f.Urgent != 1 || f.Oldest < 0 || f.Oldest > time.Minute) {
			t.Errorf("got figures %+v", f)
		}
		if f.Name == "paused" && f.PauseLeft < 59*time.Minute {
			t.Errorf("got a pause of %v, want one of nearly an hour", f.PauseLeft)
		}
		if f.Name == "default" && f.Oldest != Unknown {
			t.Errorf("got an oldest job in an empty tube: %v", f.Oldest)
		}
	}
	if len(s.Tubes) != 3 {
		t.Errorf("got %d tubes, want 3", len(s.Tubes))
	}

	tube, err := r.Tube(t.Context(), "work", 1)
	if err != nil {
		t.Fatal(err)
	}
	var jobs []string
	for _, j := range tube.Jobs {
		body, _ := cut(printable(j.Body), 10)
		jobs = append(jobs, fmt.Sprintf("%d %s %d %s %d", j.ID, j.State, j.Pri, body, j.Size))
		if (j.Left == Unknown) != (j.State == stateReady || j.State == stateBuried) || len(j.Body) > head {
			t.Errorf("got job %+v", j)
		}
	}
	// The next one is not the first by id.
	if got, want := strings.Join(jobs, ", "), "4 ready 10 next ·[2J… 1009, 3 ready 2000 second 6, 2 reserved 5 held 4, 5 delayed 10 later 5, 1 buried 7 buried 6"; got != want {
		t.Errorf("got jobs %q, want %q", got, want)
	}
	i := slices.IndexFunc(tube.Clients, func(c Client) bool { return c.Kind == "wire" && c.Holds == 1 })
	if i < 0 || tube.Clients[i].Waits || !tube.Lists {
		t.Errorf("got clients %+v", tube.Clients)
	}
}

// TestRestMany has more tubes than fit on a page.
func TestRestMany(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes ten thousand tubes")
	}
	r, c, _ := restOf(t, nil)
	const n = pageOfTubes + 5
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"tube":"tube-%05d","body":"x"}`+"\n", i)
	}
	if err := c.PutMany(t.Context(), "", strings.NewReader(b.String()), func(p api.PutResult) error {
		if p.Error != nil {
			return p.Error
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(s.Tubes), n+1; got != want {
		t.Fatalf("got %d tubes, want %d", got, want)
	}
	if f := s.Tubes[n]; f.Ready != 1 {
		t.Errorf("got %+v", f)
	}
}

// TestRestOldest has the search for the oldest jobs take longer than a snapshot waits.
func TestRestOldest(t *testing.T) {
	_, c, addr := restOf(t, nil)
	fill(t, addr)
	slow, begun := make(chan struct{}), make(chan struct{}, 10)
	c.HTTP.Transport = pass{c.HTTP.Transport, func(q *http.Request) {
		if q.URL.Query().Get("oldest") != "" {
			begun <- struct{}{}
			<-slow
		}
	}}
	r := API(c).(*rest)
	defer r.Close()
	oldest := func() time.Duration {
		t.Helper()
		s, err := r.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Tubes[slices.IndexFunc(s.Tubes, func(f TubeFigures) bool { return f.Name == "work" })].Oldest
	}
	for range 2 {
		if got := oldest(); got != Unknown {
			t.Errorf("got %v, want it not to be known yet", got)
		}
	}
	if len(begun) != 1 {
		t.Errorf("got %d searches at a time, want one", len(begun))
	}
	done := r.done
	close(slow)
	<-done
	for range 3 { // it goes on being known
		if got := oldest(); got < 0 || got > time.Minute {
			t.Errorf("got %v since the put of the oldest job", got)
		}
	}
	if len(begun) > 2 {
		t.Errorf("got %d searches, want few", len(begun))
	}
}

// pass tells of requests before they are made.
type pass struct {
	http.RoundTripper
	tell func(q *http.Request)
}

func (p pass) RoundTrip(q *http.Request) (*http.Response, error) {
	p.tell(q)
	return p.RoundTripper.RoundTrip(q)
}

func TestRestCommands(t *testing.T) {
	r, _, addr := restOf(t, nil)
	defer r.Close()
	fill(t, addr)
	ctx := t.Context()
	pauseOf := func() time.Duration {
		t.Helper()
		v, err := r.Tube(ctx, "work", 0)
		if err != nil {
			t.Fatal(err)
		}
		return v.PauseLeft
	}
	if err := r.Pause(ctx, "work", 100*time.Second); err != nil || pauseOf() < 90*time.Second {
		t.Errorf("got %v left of a pause, %v", pauseOf(), err)
	}
	if err := r.Pause(ctx, "work", 0); err != nil || pauseOf() != 0 {
		t.Errorf("got %v left of a pause that was ended, %v", pauseOf(), err)
	}
	for _, want := range []int{1, 1, 0} {
		if n, err := r.Kick(ctx, "work", 5); n != want || err != nil {
			t.Errorf("got %d jobs kicked, %v, want %d", n, err, want)
		}
	}
	for what, err := range map[string]error{
		"pause": r.Pause(ctx, "nothing", time.Second),
		"kick":  func() error { _, err := r.Kick(ctx, "nothing", 1); return err }(),
		"tube":  func() error { _, err := r.Tube(ctx, "nothing", 1); return err }(),
	} {
		if !errors.Is(err, ErrNoTube) {
			t.Errorf("%s: got %v of a tube that there is not, want %v", what, err, ErrNoTube)
		}
	}
}

// TestRestFails has a server that is not there, and one that is none.
func TestRestFails(t *testing.T) {
	r, c, addr := restOf(t, nil)
	defer r.Close()
	c.HTTP.CloseIdleConnections()
	url := c.URL
	c.URL = "http://" + addr // which speaks another protocol
	if _, err := r.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), c.URL) {
		t.Errorf("got %v of a server that speaks another protocol", err)
	}
	c.URL = "http://127.0.0.1:1"
	if _, err := r.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot reach http://127.0.0.1:1: ") {
		t.Errorf("got %v of a server that is not there", err)
	}
	c.URL = url + "/elsewhere"
	if _, err := r.Snapshot(t.Context()); err == nil {
		t.Error("got no error of a path that there is not")
	}
	c.URL = url
	if _, err := r.Snapshot(t.Context()); err != nil {
		t.Errorf("got %v of a server that is there again", err)
	}
}

//go:build unix

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"spoked/internal/api"
)

var hangUps = flag.Int("hangups", 10_000, "how many clients hang up while they reserve over HTTP")

// TestHTTPHangUp has clients hang up at random moments while they reserve: before
// they have asked, while they wait, and while they are answered. No job may be lost,
// nor be two clients' at a time, and in the end each has been deleted once.
func TestHTTPHangUp(t *testing.T) {
	t.Parallel()
	tries := *hangUps
	if testing.Short() || raceDetector {
		tries = min(tries, 1000)
	}
	for _, way := range []string{"--transport epoll", "--transport net", "-b DIR --bodies disk"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			_, url := startHTTP(t, strings.Fields(strings.ReplaceAll(way, "DIR", t.TempDir()))...)
			h := &hangUp{t: t, client: &api.Client{URL: url}, addr: strings.TrimPrefix(url, "http://"), held: map[uint64]time.Time{}, deleted: map[uint64]bool{}}
			h.run(random(t), tries)
		})
	}
}

// hangUp is what such clients know together.
type hangUp struct {
	t      *testing.T
	client *api.Client
	addr   string

	mu      sync.Mutex
	held    map[uint64]time.Time // until when a client that is there has the job
	deleted map[uint64]bool
	answers int
}

func (h *hangUp) run(rnd *rand.Rand, tries int) {
	t := h.t
	const workers = 32
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var group, putting sync.WaitGroup
	stop := make(chan struct{})
	puts := map[uint64]bool{}
	seeds := make([]uint64, workers)
	for i := range seeds {
		seeds[i] = rnd.Uint64()
	}
	putting.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			var lines strings.Builder
			for range 10 {
				fmt.Fprintf(&lines, `{"tube":"hang%d","ttr":"1s","body":"%s"}`+"\n", len(puts)%3, strings.Repeat("x", rnd.IntN(5000)))
			}
			err := h.client.PutMany(ctx, "", strings.NewReader(lines.String()), func(r api.PutResult) error {
				puts[r.ID] = true
				return nil
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for _, seed := range seeds {
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range tries / workers {
				h.try(r)
			}
		})
	}
	group.Wait()
	close(stop)
	putting.Wait()

	// What is left is there, at the latest when the leases have ended.
	back, since := 0, time.Now()
	for len(h.deleted) < len(puts) {
		if len(h.deleted) > back {
			back, since = len(h.deleted), time.Now()
		}
		if time.Since(since) > patience {
			s, err := h.client.Status(ctx)
			t.Fatalf("%d of %d jobs have come back; the server says %+v, %v", len(h.deleted), len(puts), s, err)
		}
		jobs, err := h.client.Reserve(ctx, api.Reserve{Tubes: hangTubes(), Count: 10, Wait: api.Duration(2 * time.Second)})
		ok(t, err)
		h.took(jobs, time.Now())
		for _, j := range jobs {
			h.delete(j)
		}
	}
	for id := range puts {
		if !h.deleted[id] {
			t.Errorf("job %d is lost", id)
		}
	}
	s, err := h.client.Status(ctx)
	ok(t, err)
	want(t, "jobs left", s.Jobs, api.Counts{})
	want(t, "clients that wait", s.Connections.Waiting, 0)
	t.Logf("%d jobs, %d tries, %d answers", len(puts), tries, h.answers)
}

func hangTubes() []string { return []string{"hang0", "hang1", "hang2"} }

// try asks for jobs and hangs up at some moment, or takes the answer and deletes the
// jobs, or does not.
func (h *hangUp) try(r *rand.Rand) {
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Error(err)
		return
	}
	defer conn.Close()
	if r.IntN(2) == 0 {
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset
	}
	body, _ := json.Marshal(api.Reserve{Tubes: hangTubes()[:1+r.IntN(3)], Count: 1 + r.IntN(4), Wait: api.Duration(r.IntN(20)) * api.Duration(time.Millisecond)})
	request := fmt.Sprintf("POST /v1/reserve HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if r.IntN(20) == 0 {
		request = request[:r.IntN(len(request))]
	}
	if _, err := io.WriteString(conn, request); err != nil {
		h.t.Error(err)
		return
	}
	if !strings.HasSuffix(request, string(body)) || r.IntN(3) > 0 { // hang up, perhaps with a part of the answer
		_ = conn.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(5000)) * time.Microsecond))
		_, _ = conn.Read(make([]byte, r.IntN(200)))
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		h.t.Error("no answer: ", err)
		return
	}
	began := time.Now()
	var v api.Reserved
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || resp.StatusCode != http.StatusOK {
		h.t.Error(resp.Status, err)
		return
	}
	h.took(v.Jobs, began)
	for _, j := range v.Jobs {
		if r.IntN(4) > 0 {
			h.delete(j)
		}
	}
}

// took notes that a client has jobs, which nobody else may have.
func (h *hangUp) took(jobs []api.Job, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers++
	for _, j := range jobs {
		if until := h.held[j.ID]; at.Before(until) && j.At.Add(-time.Second).Before(until) {
			h.t.Errorf("job %d is given to one while it is another's until %v, %v from now", j.ID, until, time.Until(until))
		}
		if h.deleted[j.ID] {
			h.t.Errorf("job %d is given after it was deleted", j.ID)
		}
		h.held[j.ID] = *j.At
	}
}

// delete deletes a job that a client has, unless its time is over.
func (h *hangUp) delete(j api.Job) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := h.client.DeleteLease(ctx, j.Lease)
	h.mu.Lock()
	defer h.mu.Unlock()
	var p *api.Error
	switch {
	case err == nil && h.deleted[j.ID]:
		h.t.Errorf("job %d is deleted twice", j.ID)
	case err == nil:
		h.deleted[j.ID] = true
	case !errors.As(err, &p) || p.Kind() != api.LeaseOver:
		h.t.Error(err)
	case time.Now().Before(*j.At):
		h.t.Errorf("the lease of job %d is over, and should be %v later", j.ID, time.Until(*j.At))
	}
}

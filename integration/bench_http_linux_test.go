package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"spoked/internal/api"
)

// million is how many jobs there are in the tube of that name, which is browsed and
// cleared. The load is on another.
const million = 1_000_000

// newHTTP returns the arguments for a server that answers HTTP on an address of its own,
// and a client for it.
func newHTTP(b *testing.B, args ...string) ([]string, *api.Client) {
	b.Helper()
	launching.Lock()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(b)))
	launching.Unlock()
	return append([]string{"--http", addr}, args...), &api.Client{URL: "http://" + addr, HTTP: &http.Client{Transport: new(http.Transport)}}
}

// BenchmarkBrowse is what it costs a load of put, reserve and delete that somebody looks
// through a tube of a million jobs over HTTP all the while, page after page, or searches
// it. Rounds with and without take turns; x-rate is the median of their ratios: 1 is as
// fast as alone.
func BenchmarkBrowse(b *testing.B) {
	t := newTable("x-rate", "alone-cmd/s", "browsed-cmd/s", "alone-p99-us", "browsed-p99-us", "jobs-looked-at/s")
	for _, look := range []struct {
		name    string
		journal bool // all bodies are there alone
		query   url.Values
	}{
		{name: "pages", query: url.Values{"limit": {"1000"}, "as": {"none"}}},
		{name: "bodies", query: url.Values{"limit": {"1000"}}},
		{name: "search-none", query: url.Values{"limit": {"1000"}, "contains": {"there is no such text"}}},
		{name: "search-all", query: url.Values{"limit": {"1000"}, "contains": {"x"}}},
		{name: "search-stored", journal: true, query: url.Values{"limit": {"1000"}, "contains": {"there is no such text"}}},
	} {
		for _, l := range []load{
			{Conns: 1, Pipeline: 1, Body: 16, Steps: putReserveDelete},
			{Conns: 64, Pipeline: 1, Body: 16, Steps: putReserveDelete},
			{Conns: 64, Pipeline: 32, Body: 16, Steps: putReserveDelete},
		} {
			b.Run(fmt.Sprintf("%s/conns=%d/pipeline=%d", look.name, l.Conns, l.Pipeline), func(b *testing.B) {
				args, client := newHTTP(b)
				if look.journal {
					args = append(args, "-b", b.TempDir(), "--bodies", "disk")
				}
				s := startServer(b, spokedPath(b), args...)
				defer stopServer(b, s)
				// With an x in it, of a hundred bytes.
				putMillion(b, s, "put 1024 0 3600 100\r\n"+strings.Repeat(".", 99)+"x\r\n")
				g := connectAll(b, s, l)
				defer g.Close()
				runLoad(b, g, 200*time.Millisecond, 0)
				var alone, browsed []*loadResult
				var looked float64
				for b.Loop() {
					for i := range max(1, *rounds) {
						for _, with := range []bool{i%2 == 0, i%2 != 0} {
							if with {
								w := browse(client, look.query)
								browsed = append(browsed, runLoad(b, g, time.Second, 0))
								perSecond, err := w.stop()
								if err != nil {
									b.Fatal(err)
								}
								looked += perSecond
							} else {
								alone = append(alone, runLoad(b, g, time.Second, 0))
							}
						}
					}
				}
				n := len(alone)
				rate := func(r *loadResult) float64 { return float64(r.Commands) / r.Elapsed.Seconds() }
				t.row(b,
					median(n, func(i int) float64 { return rate(browsed[i]) / rate(alone[i]) }),
					median(n, func(i int) float64 { return rate(alone[i]) }),
					median(n, func(i int) float64 { return rate(browsed[i]) }),
					median(n, func(i int) float64 { return micros(alone[i].Trip(0.99)) }),
					median(n, func(i int) float64 { return micros(browsed[i].Trip(0.99)) }),
					looked/float64(n))
			})
		}
	}
	t.print(b)
}

// putMillion puts a million jobs into the tube of that name.
func putMillion(b *testing.B, s *server, put string) {
	b.Helper()
	c := newBurstClient(b, s)
	defer c.close()
	c.say(b, "use million\r\n", "USING million\r\n")
	c.all(b, million, 1, func(w io.Writer, _ int) { io.WriteString(w, put) })
}

// A browser looks through the tube, again from the beginning when it has come to the end. It
// counts the jobs of the answers that it gets.
type browser struct {
	cancel context.CancelFunc
	ended  chan error
	begun  time.Time
	looked int // jobs; to be read when it has ended
}

// browse lets one begin.
func browse(client *api.Client, query url.Values) *browser {
	ctx, cancel := context.WithCancel(context.Background())
	w := &browser{cancel: cancel, ended: make(chan error, 1), begun: time.Now()}
	go func() {
		q, page := url.Values{}, new(bytes.Buffer)
		for name, value := range query {
			q[name] = value
		}
		for {
			err := w.page(ctx, client, q, page)
			if ctx.Err() != nil {
				err = nil // it was told to stop
			}
			if err != nil || ctx.Err() != nil {
				w.ended <- err
				return
			}
		}
	}()
	return w
}

// page asks for a page, and sets what the next one is after. Of the page it reads the end
// alone: it is the server that is measured.
func (w *browser) page(ctx context.Context, client *api.Client, q url.Values, page *bytes.Buffer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, client.URL+api.Prefix+"/tubes/million/jobs?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := client.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	page.Reset()
	if _, err := page.ReadFrom(resp.Body); err != nil {
		return err
	}
	end := bytes.LastIndex(page.Bytes(), []byte(`"complete":`))
	if resp.StatusCode != http.StatusOK || end < 0 {
		return fmt.Errorf("got %s, %.200q", resp.Status, page)
	}
	var rest api.Page
	if err := json.Unmarshal(slices.Concat([]byte("{"), page.Bytes()[end:]), &rest); err != nil {
		return err
	}
	w.looked += rest.Examined
	q.Del("after")
	if !rest.Complete {
		q.Set("after", strconv.FormatUint(rest.Next, 10))
	}
	return nil
}

// stop has it hang up, and returns how many jobs the server has looked at for it in a
// second.
func (w *browser) stop() (perSecond float64, err error) {
	took := time.Since(w.begun)
	w.cancel()
	err = <-w.ended
	return float64(w.looked) / took.Seconds(), err
}

// BenchmarkClear is how long it takes to clear a tube of a million jobs, and how long
// another client is kept waiting meanwhile, which puts and deletes a job all the time: its
// longest round trip, of several rounds that of the best, because it is also what the
// machine does besides.
func BenchmarkClear(b *testing.B) {
	t := newTable("longest-ms", "clear-ms")
	ctx := context.Background()
	const put, delayed = "put 0 0 3600 1\r\nx\r\n", "put 0 3600 3600 1\r\nx\r\n"
	for _, bm := range []struct {
		name    string
		journal bool
		put     string
		then    string // is said of each job before the clear
		lines   int    // of replies to that
		clear   func(b *testing.B, s *server, c *api.Client)
	}{
		{name: "nothing", put: put, clear: func(*testing.B, *server, *api.Client) {}},
		{name: "ready", put: put, clear: clearStates(ctx, "ready")},
		{name: "delayed", put: delayed, clear: clearStates(ctx, "delayed")},
		{name: "buried", put: put, then: "reserve-job %d\r\nbury %[1]d 0\r\n", lines: 3, clear: clearStates(ctx, "buried")},
		{name: "ready-journal", journal: true, put: put, clear: clearStates(ctx, "ready")},
		{name: "delayed-journal", journal: true, put: delayed, clear: clearStates(ctx, "delayed")},
		{name: "flush-tube", put: put, clear: flushTube},
		{name: "delete-tube", put: put, clear: func(b *testing.B, _ *server, c *api.Client) {
			n, err := c.DeleteTube(ctx, "million")
			wantMillion(b, n, err)
		}},
		{name: "bulk", put: put, clear: func(b *testing.B, _ *server, c *api.Client) {
			bulk, sum := api.Bulk{Action: "delete", Tube: "million"}, 0
			for {
				r, err := c.Bulk(ctx, bulk)
				if err != nil {
					b.Error(err)
					return
				}
				sum += r.Changed
				if r.Complete {
					wantMillion(b, sum, nil)
					return
				}
				bulk.After = r.Next
			}
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			longest, took := -1.0, -1.0
			for b.Loop() {
				for range max(1, *rounds) {
					args, client := newHTTP(b)
					if bm.journal {
						args = append(args, "-b", b.TempDir())
					}
					burst := burstOf{
						probe: 2 * time.Second,
						prepare: func(b *testing.B, c *burstClient) {
							putMillion(b, c.server, bm.put)
							if bm.then != "" {
								c.all(b, million, bm.lines, func(w io.Writer, i int) { fmt.Fprintf(w, bm.then, i+1) })
							}
							// So that no connection has yet to be made.
							if _, err := client.Status(ctx); err != nil {
								b.Fatal(err)
							}
						},
						begin: func(b *testing.B, c *burstClient) { bm.clear(b, c.server, client) },
					}
					trip, done := burst.measure(b, contender{name: "spoked", path: spokedPath(b), args: args})
					if ms := micros(trip) / 1000; longest < 0 || ms < longest {
						longest, took = ms, micros(done)/1000
					}
				}
			}
			t.row(b, longest, took)
		})
	}
	t.print(b)
}

// clearStates clears the tube of jobs in a state, over HTTP.
func clearStates(ctx context.Context, state string) func(*testing.B, *server, *api.Client) {
	return func(b *testing.B, _ *server, c *api.Client) {
		n, err := c.Clear(ctx, "million", []string{state}, false)
		wantMillion(b, n, err)
	}
}

// flushTube clears it over the wire.
func flushTube(b *testing.B, s *server, _ *api.Client) {
	c := newBurstClient(b, s)
	defer c.close()
	c.say(b, "flush-tube million\r\n", fmt.Sprintf("FLUSHED %d\r\n", million))
}

// wantMillion wants so many jobs to have been cleared. It may be called from any
// goroutine.
func wantMillion(b *testing.B, n int, err error) {
	if n != million || err != nil {
		b.Errorf("got %d jobs cleared, %v, want %d", n, err, million)
	}
}

package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"spoked/internal/api"
)

// BenchmarkConsole is what it costs a load of put, reserve and delete that pages of the
// console are open: that a page is fetched once, and its stream read all the while. The
// browser is not there, which would take processor time of its own, on a machine that is
// usually another. Rounds with and without pages take turns; x-rate is the median of their
// ratios: 1 is as fast as alone. kB/s is what the streams send, of all pages.
func BenchmarkConsole(b *testing.B) {
	t := newTable("x-rate", "alone-cmd/s", "open-cmd/s", "alone-p99-us", "open-p99-us", "kB/s")
	for _, pages := range []int{1, 20} {
		for _, l := range []load{
			{Conns: 1, Pipeline: 1, Body: 16, Steps: putReserveDelete},
			{Conns: 64, Pipeline: 1, Body: 16, Steps: putReserveDelete},
			{Conns: 64, Pipeline: 32, Body: 16, Steps: putReserveDelete},
		} {
			b.Run(fmt.Sprintf("pages=%d/conns=%d/pipeline=%d", pages, l.Conns, l.Pipeline), func(b *testing.B) {
				args, client := newHTTP(b)
				s := startServer(b, spokedPath(b), args...)
				defer stopServer(b, s)
				fillTubes(b, s, 100)
				g := connectAll(b, s, l)
				defer g.Close()
				// The first page begins what goes on for good, such as keeping times.
				if _, err := lookOnce(context.Background(), client, "/"); err != nil {
					b.Fatal(err)
				}
				runLoad(b, g, time.Second, 0)
				var alone, open []*loadResult
				var sent float64
				for b.Loop() {
					for i := range max(1, *rounds) {
						for _, with := range []bool{i%2 == 0, i%2 != 0} {
							if !with {
								alone = append(alone, runLoad(b, g, 3*time.Second, 0))
								continue
							}
							w := look(client, pages)
							open = append(open, runLoad(b, g, 3*time.Second, 0))
							perSecond, err := w.stop()
							if err != nil {
								b.Fatal(err)
							}
							sent += perSecond
						}
					}
				}
				n := len(alone)
				rate := func(r *loadResult) float64 { return float64(r.Commands) / r.Elapsed.Seconds() }
				t.row(b,
					median(n, func(i int) float64 { return rate(open[i]) / rate(alone[i]) }),
					median(n, func(i int) float64 { return rate(alone[i]) }),
					median(n, func(i int) float64 { return rate(open[i]) }),
					median(n, func(i int) float64 { return micros(alone[i].Trip(0.99)) }),
					median(n, func(i int) float64 { return micros(open[i].Trip(0.99)) }),
					sent/float64(n)/1000)
			})
		}
	}
	t.print(b)
}

// lookers have pages open.
type lookers struct {
	cancel context.CancelFunc
	ended  chan lookerResult
	pages  int
	begun  time.Time
}

type lookerResult struct {
	bytes int64
	err   error
}

// look opens pages: the overview, the list of tubes, a tube and the workers, in turns.
func look(client *api.Client, pages int) *lookers {
	ctx, cancel := context.WithCancel(context.Background())
	w := &lookers{cancel: cancel, ended: make(chan lookerResult, pages), pages: pages, begun: time.Now()}
	paths := [...][2]string{
		{"/", "/live/overview"}, {"/tubes", "/live/tubes?sort=ready"}, {"/tube?name=default", "/live/tube?name=default"}, {"/workers", "/live/workers"},
	}
	for i := range pages {
		go func() {
			p := paths[i%len(paths)]
			n, err := lookOnce(ctx, client, p[0])
			if err == nil {
				var more int64
				more, err = lookOnce(ctx, client, p[1])
				n += more
			}
			if ctx.Err() != nil {
				err = nil // it was told to stop
			} else if err == nil {
				err = errors.New("the stream has ended")
			}
			w.ended <- lookerResult{n, err}
		}()
	}
	return w
}

// lookOnce reads all that there is at an address, and returns how much it is.
func lookOnce(ctx context.Context, client *api.Client, path string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, client.URL+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.HTTP.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: got %s", path, resp.Status)
	}
	return io.Copy(io.Discard, bufio.NewReader(resp.Body))
}

// stop closes the pages, and returns how many bytes they have got in a second.
func (w *lookers) stop() (perSecond float64, err error) {
	took := time.Since(w.begun)
	w.cancel()
	sum := int64(0)
	for range w.pages {
		r := <-w.ended
		sum += r.bytes
		err = errors.Join(err, r.err)
	}
	return float64(sum) / took.Seconds(), err
}

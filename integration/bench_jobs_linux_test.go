package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkMillions has ten million jobs put and deleted again, by 64 clients that
// send 32 commands at once, while a probe looks how long others wait. Afterwards
// the memory has to come back.
func BenchmarkMillions(b *testing.B) {
	const body = 16
	path := spokedPath(b)
	t := newTable("put-s", "put-Mjobs/s", "B/job-beyond-body", "put-p99.9-ms", "put-max-ms",
		"undo-s", "undo-p99.9-ms", "undo-max-ms", "MB-before", "MB-full", "MB-emptied", "MB-10s-later", "s-to-30MB")
	jobs := scaled(10_000_000)
	for _, delayed := range []bool{false, true} {
		put := load{Conns: 64, Pipeline: 32, Body: body, Steps: putOnly}
		undo := load{Conns: 64, Pipeline: 32, Steps: reserveDelete, Gaps: true}
		name := "ready"
		if delayed {
			put.MinDelay, put.MaxDelay = 3600, 7200
			undo.Steps = deleteOnly
			name = "delayed"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s := contender{path: path}.start(b)
				before := residentBytes(b, s)
				putting, putTrips := applyProbed(b, s, put, jobs)
				full := residentBytes(b, s)
				undoing, undoTrips := applyProbed(b, s, undo, jobs+delayedGaps(delayed, putTrips))
				emptied := residentBytes(b, s)
				took, left := drained(b, s, before)
				t.row(b, putting.Elapsed.Seconds(), float64(putting.Commands)/putting.Elapsed.Seconds()/1e6,
					(full-before)/float64(putting.Commands)-body, millis(putTrips.Trip(0.999)), millis(putTrips.Trip(1)),
					undoing.Elapsed.Seconds(), millis(undoTrips.Trip(0.999)), millis(undoTrips.Trip(1)),
					before/mega, full/mega, emptied/mega, left/mega, took.Seconds())
				stopServer(b, s)
			}
		})
	}
	t.print(b)
}

// delayedGaps returns how many ids a probe took that jobs might have had.
func delayedGaps(delayed bool, trips *loadResult) int {
	if !delayed {
		return 0
	}
	return trips.Commands / 3
}

// applyProbed is applyLoad with a probe.
func applyProbed(b *testing.B, s *server, l load, jobs int) (r, probed *loadResult) {
	b.Helper()
	g := connectAll(b, s, l)
	defer g.Close()
	p := startProbe(b, s)
	r = runLoad(b, g, jobLimit, jobs)
	return r, p.finish(b)
}

// BenchmarkFire is how fast delayed jobs become ready, from the first to the last
// of three million. In one part they are due at the same instant, in which the
// server is stopped for a moment, and in the other within one second.
func BenchmarkFire(b *testing.B) {
	path := spokedPath(b)
	t := newTable("Mjobs/s", "first-to-last-s", "CPU-ns/job", "probe-p99-ms", "probe-max-ms")
	const portion = 32_000
	jobs := max(1, scaled(3_000_000)/portion) * portion
	for _, name := range []string{"instant", "second"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s := contender{path: path}.start(b)
				due := putToFire(b, s, jobs, portion)
				watch, p := newTubeWatch(b, s), newProbe(b, s)
				before := cpuTime(b, s)
				if name == "instant" {
					time.Sleep(time.Until(due.Add(-200 * time.Millisecond)))
					suspend(b, s, 1500*time.Millisecond)
				}
				var began time.Time
				if name == "second" {
					for began = time.Now(); watch.ready(b) == 0; began = time.Now() {
					}
				} else {
					began = time.Now()
				}
				p.begin()
				for watch.ready(b) < jobs {
					time.Sleep(2 * time.Millisecond)
				}
				took := time.Since(began)
				used := cpuTime(b, s) - before
				trips := p.finish(b)
				t.row(b, float64(jobs)/took.Seconds()/1e6, took.Seconds(), float64(used.Nanoseconds())/float64(jobs),
					millis(trips.Trip(0.99)), millis(trips.Trip(1)))
				stopServer(b, s)
			}
		})
	}
	t.print(b)
}

// putToFire puts delayed jobs that come due within a second from the instant that it
// returns. Delays are whole seconds, so those put a second later have one less.
func putToFire(b *testing.B, s *server, jobs, portion int) (due time.Time) {
	b.Helper()
	due = time.Now().Add(time.Duration(4+jobs/500_000) * time.Second)
	for put := 0; put < jobs; put += portion {
		delay := int(time.Until(due)/time.Second) + 1
		applyLoad(b, s, load{Conns: 1, Pipeline: 1000, Body: 16, MinDelay: delay, MaxDelay: delay, Steps: putOnly}, portion)
	}
	if time.Now().After(due) {
		b.Fatalf("putting %d jobs took so long that the first came due", jobs)
	}
	return due
}

// A tubeWatch is a connection that asks how many jobs of the default tube are
// ready.
type tubeWatch struct {
	net.Conn
	replies *bufio.Reader
}

func newTubeWatch(b *testing.B, s *server) *tubeWatch {
	b.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &tubeWatch{conn, bufio.NewReader(conn)}
}

func (w *tubeWatch) ready(b *testing.B) int {
	b.Helper()
	var size int
	if _, err := io.WriteString(w, "stats-tube default\r\n"); err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Fscanf(w.replies, "OK %d\r\n", &size); err != nil {
		b.Fatal(err)
	}
	text := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(w.replies, text); err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\ncurrent-jobs-ready: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func millis(d time.Duration) float64 { return micros(d) / 1000 }

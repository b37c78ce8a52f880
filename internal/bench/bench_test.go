package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"spoked/internal/server"
	"spoked/internal/session"
)

// patience is how long these tests wait for what must come.
const patience = 20 * time.Second

// serveOn starts a server, which is closed when the test is over.
func serveOn(t *testing.T) (*server.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := server.Options{Session: session.Options{MaxJobSize: 65535}}
	if runtime.GOOS != "linux" {
		opts.Transport = server.Goroutines
	}
	s := server.New(opts)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return s, l.Addr().String()
}

// small returns options for a few jobs.
func small(addr string, scenarios ...string) Options {
	o := Defaults()
	o.Server.Addr, o.Scenarios = addr, scenarios
	o.Connections, o.Producers, o.Tubes, o.Pipeline = 5, 2, 12, 3
	o.Count, o.Time, o.Warmup = 200, 0, 0
	o.BodyMax = 100
	o.DelayMin, o.DelayMax = 0, 1
	o.Patience = patience
	return o
}

// play runs a benchmark and returns its results.
func play(t *testing.T, ctx context.Context, o Options, observe Observer) ([]*Result, error) {
	t.Helper()
	var results []*Result
	observe.Result = func(r *Result) error {
		results = append(results, r)
		return nil
	}
	if observe.Warning == nil {
		observe.Warning = func(text string) { t.Error("warning: ", text) }
	}
	err := Bench(ctx, o, observe)
	return results, err
}

// asker returns a function that sends a command and returns the line, or the
// body, that answers it.
func asker(t *testing.T, addr string) func(string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	return func(command string) string {
		t.Helper()
		io.WriteString(conn, command+"\r\n")
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", command, err)
		}
		line = strings.TrimSpace(line)
		f := strings.Fields(line)
		if f[0] != "OK" && f[0] != "RESERVED" {
			return line
		}
		size, _ := strconv.Atoi(f[len(f)-1])
		body := make([]byte, size+2)
		if _, err := io.ReadFull(in, body); err != nil {
			t.Fatalf("%q: %v", command, err)
		}
		if f[0] == "RESERVED" {
			return line
		}
		return string(body[:size])
	}
}

// eachTransport runs f with the transport of this system, and with the portable one.
func eachTransport(t *testing.T, f func(t *testing.T, portable bool)) {
	t.Run("own", func(t *testing.T) { f(t, false) })
	t.Run("portable", func(t *testing.T) { f(t, true) })
}

// wantStat compares a line of stats.
func wantStat(t *testing.T, ask func(string) string, key string, want int) {
	t.Helper()
	_, rest, _ := strings.Cut(ask("stats"), "\n"+key+": ")
	got, _, _ := strings.Cut(rest, "\n")
	if got != strconv.Itoa(want) {
		t.Errorf("%s: got %s, want %d", key, got, want)
	}
}

// TestScenarios plays each, and wants the counts to be those of the server.
func TestScenarios(t *testing.T) {
	perJob := map[string]int{"put": 1, "work": 3, "fanout": 3, "delayed": 3, "tubes": 4, "reconnect": 11}
	eachTransport(t, func(t *testing.T, portable bool) {
		for _, s := range Scenarios() {
			t.Run(s.Name, func(t *testing.T) {
				_, addr := serveOn(t)
				ask := asker(t, addr)
				if got := ask("put 0 0 60 5\r\nhello"); got != "INSERTED 1" {
					t.Fatalf("got %q", got)
				}
				o := small(addr, s.Name)
				o.Portable = portable
				results, err := play(t, context.Background(), o, Observer{})
				if err != nil {
					t.Fatal(err)
				}
				r := results[0]
				if r.Jobs != o.Count || r.Errors != 0 || r.LeftBehind != 0 || r.Failed() {
					t.Errorf("got %+v, want %d jobs", r, o.Count)
				}
				// A worker of fanout may still wait in the last of its reserves.
				if want := perJob[s.Name] * o.Count; r.Commands != want {
					t.Errorf("got %d commands, want %d", r.Commands, want)
				}
				if l := r.Latency; l.Min <= 0 || l.P50 < l.Min || l.P99 < l.P50 || l.Max < l.P99 {
					t.Errorf("got the latency %+v", l)
				}
				if d := r.Deliveries; s.stamped && (d == nil || *d != Deliveries{Accepted: o.Count, Received: o.Count}) {
					t.Errorf("got the deliveries %+v", d)
				}
				if l := r.second(); (l != nil) != (s.stamped || s.Name == "reconnect") || l != nil && l.Max <= 0 {
					t.Errorf("got the second latency %+v", l)
				}
				// Only the job that was there is left, and nobody has touched it.
				wantStat(t, ask, "current-jobs-ready", 1)
				wantStat(t, ask, "total-jobs", o.Count+1)
				wantStat(t, ask, "current-tubes", 1)
				if s.Name != "put" {
					wantStat(t, ask, "cmd-delete", o.Count)
				}
				if got := ask("reserve-with-timeout 0"); got != "RESERVED 1 5" {
					t.Errorf("got %q", got)
				}
			})
		}
	})
}

// TestPaced plays each at a rate, with a warm-up.
func TestPaced(t *testing.T) {
	eachTransport(t, func(t *testing.T, portable bool) {
		_, addr := serveOn(t)
		o := small(addr, scenarioNames()...)
		o.Portable, o.Rate, o.Count, o.Warmup = portable, 2000, 100, 20*time.Millisecond
		results, err := play(t, context.Background(), o, Observer{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.RateAsked != 2000 || r.Errors != 0 || r.Unsent != 0 || r.Failed() {
				t.Errorf("got %+v", r)
			}
			// Jobs that were put in the warm-up may arrive later.
			if r.Jobs < o.Count || r.Deliveries == nil && r.Jobs > o.Count+o.Connections*o.Pipeline {
				t.Errorf("%s: got %d jobs, want %d", r.Scenario, r.Jobs, o.Count)
			}
		}
		wantStat(t, asker(t, addr), "current-jobs-ready", 0)
		wantStat(t, asker(t, addr), "current-jobs-delayed", 0)
	})
}

// TestTimed stops by the clock.
func TestTimed(t *testing.T) {
	_, addr := serveOn(t)
	o := small(addr, scenarioNames()...)
	o.Count, o.Time, o.Warmup = 0, 50*time.Millisecond, 10*time.Millisecond
	results, err := play(t, context.Background(), o, Observer{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Seconds < 0.05 || r.Jobs == 0 || r.Failed() {
			t.Errorf("got %+v", r)
		}
	}
	wantStat(t, asker(t, addr), "current-jobs-ready", 0)
}

// TestInterrupted ends the context in the middle: there is a result, and no job
// is left.
func TestInterrupted(t *testing.T) {
	for _, s := range Scenarios() {
		_, addr := serveOn(t)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		o := small(addr, s.Name, "work")
		o.Count, o.Time, o.DelayMax = 0, time.Hour, 3600
		results, err := play(t, ctx, o, Observer{Progress: func(p Progress) {
			if p.Doing == "measuring" && p.Commands > 0 {
				cancel()
			}
		}})
		if !errors.Is(err, ErrInterrupted) || len(results) != 1 || !results[0].Interrupted || !results[0].Failed() {
			t.Errorf("%s: got %v, %+v", s.Name, err, results)
		}
		for _, state := range []string{"ready", "delayed", "reserved"} {
			wantStat(t, asker(t, addr), "current-jobs-"+state, 0)
		}
	}
}

// TestServerDies closes the server in the middle.
func TestServerDies(t *testing.T) {
	eachTransport(t, func(t *testing.T, portable bool) {
		s, addr := serveOn(t)
		o := small(addr, "put")
		o.Portable, o.Count, o.Time = portable, 0, time.Hour
		warned := ""
		_, err := play(t, context.Background(), o, Observer{
			Progress: func(p Progress) {
				if p.Commands > 0 {
					s.Close()
				}
			},
			Warning: func(text string) { warned += text },
		})
		if err == nil || !strings.HasPrefix(err.Error(), "put: "+addr+": connection ") {
			t.Errorf("got the error %v", err)
		}
		if !strings.Contains(warned, "jobs are left on "+addr+", in the tube spoked-bench-") {
			t.Errorf("got the warning %q", warned)
		}
	})
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	eachTransport(t, func(t *testing.T, portable bool) {
		for _, s := range Scenarios() {
			o := small(l.Addr().String(), s.Name)
			o.Portable = portable
			_, err := play(t, context.Background(), o, Observer{Warning: func(string) {}})
			if err == nil || !strings.Contains(err.Error(), "connect to "+l.Addr().String()+": ") {
				t.Errorf("%s: got the error %v", s.Name, err)
			}
		}
	})
}

// TestLost has a thief take a job, which is lost then.
func TestLost(t *testing.T) {
	_, addr := serveOn(t)
	stolen := make(chan string, 1)
	ask := asker(t, addr)
	go func() {
		for {
			_, tube, ok := strings.Cut(ask("list-tubes"), "\n- spoked-bench-")
			if !ok {
				runtime.Gosched()
				continue
			}
			tube, _, _ = strings.Cut(tube, "\n")
			ask("watch spoked-bench-" + tube)
			_, id, _ := strings.Cut(ask("reserve"), " ")
			id, _, _ = strings.Cut(id, " ")
			stolen <- ask("delete " + id)
			return
		}
	}()
	o := small(addr, "fanout")
	o.Patience, o.Rate = 2*time.Second, 1000
	results, err := play(t, context.Background(), o, Observer{})
	if err != nil {
		t.Fatal(err)
	}
	if got := <-stolen; got != "DELETED" {
		t.Fatalf("got %q", got)
	}
	want := Deliveries{Accepted: o.Count, Received: o.Count - 1, Lost: 1}
	if got := *results[0].Deliveries; got != want || !results[0].Failed() {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestArrived counts what arrives twice, too early, or has never been sent.
func TestArrived(t *testing.T) {
	o := small("127.0.0.1:1", "delayed")
	s, _ := findScenario("delayed")
	r, err := newRun(&o, &s, o.Server)
	if err != nil {
		t.Fatal(err)
	}
	defer r.tr.shut()
	stamps := make([][]byte, 200)
	for i := range stamps {
		stamps[i] = make([]byte, stampSize)
		r.stamp(stamps[i], 1e9, 1)
	}
	r.heard = 3e9
	for _, i := range []int{0, 199, 64, 0, 64} {
		r.arrived(stamps[i])
	}
	r.heard = 2e9 - 1
	r.arrived(stamps[3])
	r.nextJob = 100
	r.arrived(stamps[150])
	if r.received != 4 || r.duplicates != 2 || r.early != 1 || r.strange != 1 {
		t.Errorf("got %d received, %d duplicates, %d early, %d strange", r.received, r.duplicates, r.early, r.strange)
	}
	if got, want := r.second.TotalCount(), int64(4); got != want {
		t.Errorf("got %d latencies, want %d", got, want)
	}
	if got, want := newLatency(r.second).P50, 1e6; got < want || got > want*1.001 {
		t.Errorf("got %v us, want %v", got, want)
	}
}

// script is a server that answers each command, of a line and perhaps a body, by
// a function, and quits at "quit" or at an empty answer.
func script(t *testing.T, answer func(line string) string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					if f := strings.Fields(line); f[0] == "put" {
						size, _ := strconv.Atoi(f[4])
						in.Discard(size + 2)
					}
					reply := answer(strings.TrimSpace(line))
					if reply == "" {
						return
					}
					io.WriteString(conn, reply)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		group.Wait()
	})
	return l.Addr().String()
}

// polite answers everything but a put as if there never was a job.
func polite(put func() string) func(string) string {
	return func(line string) string {
		switch word, _, _ := strings.Cut(line, " "); word {
		case "put":
			return put()
		case "use":
			return "USING x\r\n"
		case "watch", "ignore":
			return "WATCHING 1\r\n"
		case "reserve-with-timeout":
			return "TIMED_OUT\r\n"
		case "stats-tube":
			return "NOT_FOUND\r\n"
		}
		return ""
	}
}

// stalling answers puts, but for that long the n-th and all that come meanwhile.
func stalling(n int, stall time.Duration) func() string {
	var mu sync.Mutex
	count := 0
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		if count++; count == n {
			time.Sleep(stall)
		}
		return "INSERTED 1\r\n"
	}
}

// TestStall has a server do nothing for a while. At a given rate all that should
// have been sent meanwhile has waited, though only a few commands were on their way.
func TestStall(t *testing.T) {
	const stall = 400 * time.Millisecond
	eachTransport(t, func(t *testing.T, portable bool) {
		o := small(script(t, polite(stalling(100, stall))), "put")
		o.Portable, o.Pipeline, o.Rate, o.Count = portable, 1, 1000, 1000
		results, err := play(t, context.Background(), o, Observer{})
		if err != nil {
			t.Fatal(err)
		}
		r := results[0]
		// Of 1000 puts 400 were due in the stall, and 300 of them had to wait
		// for a quarter of it or more.
		if least := float64(stall.Microseconds()) / 4; r.Latency.P90 < least || r.Latency.Max < 4*least*0.99 {
			t.Errorf("got %+v, want a p90 of %v or more", r.Latency, least)
		}
		if r.Jobs != o.Count || r.Unsent != 0 {
			t.Errorf("got %+v", r)
		}
	})
}

// TestUnsent has time be up while the server stalls.
func TestUnsent(t *testing.T) {
	o := small(script(t, polite(stalling(1, time.Second))), "put")
	o.Pipeline, o.Rate, o.Count, o.Time = 1, 1000, 0, 400*time.Millisecond
	results, err := play(t, context.Background(), o, Observer{})
	if err != nil {
		t.Fatal(err)
	}
	r := results[0]
	// Each connection has sent one.
	if want := 400 - o.Connections; r.Unsent < want-1 || r.Unsent > want+1 {
		t.Errorf("got %d unsent commands", r.Unsent)
	}
	if r.Latency.P50 < 150e3 {
		t.Errorf("got %+v, want a p50 of at least 150 ms", r.Latency)
	}
	if r.Commands+r.Unsent > 401 {
		t.Errorf("got %d commands and %d unsent, want at most 400", r.Commands, r.Unsent)
	}
}

// TestBadServers wants to know what is wrong with them.
func TestBadServers(t *testing.T) {
	long := strings.Repeat("x", 5000)
	tests := []struct {
		name string
		put  func() string
		want string
	}{
		{"silent", nil, "no reply for 300ms"},
		{"hanging up", func() string { return "" }, "the server has closed it"},
		{"nonsense", func() string { return "HTTP/1.1 400 Bad Request\r\n" }, `unexpected reply: "HTTP/1.1 400 Bad Request"`},
		{"never ending", func() string { return long }, "does not speak beanstalkd's protocol"},
		{"talkative", func() string { return "INSERTED 1\r\nINSERTED 2\r\n" }, `a reply to nothing: "INSERTED 2\r\n"`},
		{"out of step", func() string { return "DELETED\r\n" }, `unexpected reply: "DELETED"`},
	}
	eachTransport(t, func(t *testing.T, portable bool) {
		block := make(chan struct{})
		for _, test := range tests {
			if test.put == nil {
				test.put = func() string { <-block; return "" }
			}
			o := small(script(t, polite(test.put)), "put")
			o.Portable, o.Pipeline, o.Connections = portable, 1, 2
			if test.name == "silent" {
				o.Patience = 300 * time.Millisecond
			}
			_, err := play(t, context.Background(), o, Observer{Warning: func(string) {}})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got the error %v, want %q", test.name, err, test.want)
			}
		}
		t.Cleanup(func() { close(block) }) // before the servers are waited for
	})
}

// TestRefusals counts commands that fail, and goes on.
func TestRefusals(t *testing.T) {
	_, addr := serveOn(t)
	o := small(addr, "work", "put")
	o.BodyMin, o.BodyMax, o.Connections = 65536, 70000, 2
	results, err := play(t, context.Background(), o, Observer{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Errors == 0 || r.Errors != r.Commands || r.Jobs != 0 || r.FirstError != "JOB_TOO_BIG" || !r.Failed() {
			t.Errorf("got %+v", r)
		}
	}
}

// TestVersus compares a server with itself.
func TestVersus(t *testing.T) {
	_, one := serveOn(t)
	_, two := serveOn(t)
	o := small(one, "work", "reconnect")
	o.Server.Label, o.Rounds, o.Count = "one", 3, 50
	o.Against = &Target{Addr: two, Label: "two"}
	var got []*Comparison
	results, err := play(t, context.Background(), o, Observer{Comparison: func(c *Comparison) error {
		got = append(got, c)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	order := ""
	for _, r := range results {
		order += fmt.Sprintf("%s%d ", r.Label, r.Round)
	}
	if want := strings.Repeat("one1 two1 two2 one2 one3 two3 ", 2); order != want {
		t.Errorf("got the order %s, want %s", order, want)
	}
	if len(got) != 2 || got[0].Rounds != 3 || got[0].Throughput.Median <= 0 || got[0].P99.Median <= 0 ||
		got[0].Second != nil || got[1].Second == nil || got[0].CPU != nil {
		t.Errorf("got %+v", got)
	}
	for _, addr := range []string{one, two} {
		wantStat(t, asker(t, addr), "total-jobs", 300)
	}
}

package integration

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// These benchmarks run whole servers, and most of them compare two. A machine's
// speed drifts, so the two take turns, and what counts is the median, over the
// rounds, of the ratio of their figures within a round. The steadiest figure
// is the processor time that a server itself uses for a command.

var rounds = flag.Int("rounds", 5, "how often benchmarks measure each of the servers that they compare")

// jobLimit is how long clients may take to put or delete all the jobs they are to.
const jobLimit = time.Minute

func BenchmarkCommands(b *testing.B) {
	compare(b, contenders(b), []load{
		{Conns: 1, Pipeline: 1, Body: 16},
		{Conns: 2, Pipeline: 1, Body: 16},
		{Conns: 8, Pipeline: 1, Body: 16},
		{Conns: 64, Pipeline: 1, Body: 16},
		{Conns: 512, Pipeline: 1, Body: 16},
		{Conns: 1, Pipeline: 32, Body: 16},
		{Conns: 64, Pipeline: 32, Body: 16},
		{Conns: 64, Pipeline: 1, Body: 4096},
		{Conns: 64, Pipeline: 1, Body: 65535},
	})
}

func BenchmarkTransports(b *testing.B) {
	path := spokedPath(b)
	compare(b, [2]contender{
		{name: "net", path: path, args: []string{"--transport", "net"}},
		{name: "epoll", path: path, args: []string{"--transport", "epoll"}},
	}, []load{
		{Conns: 8, Pipeline: 1, Body: 16},
		{Conns: 64, Pipeline: 1, Body: 16},
		{Conns: 64, Pipeline: 32, Body: 16},
	})
}

// compare has clients do the steps of loads, or if there are none put, reserve
// and delete, and gives the figures of the first contender as multiples of the
// second's.
func compare(b *testing.B, contend [2]contender, loads []load) {
	units := []string{"x-rate", "x-CPU"}
	for _, unit := range []string{"cmd/s", "CPU-us/cmd", "p99-us"} {
		for _, c := range contend {
			units = append(units, c.name+"-"+unit)
		}
	}
	t := newTable(units...)
	for _, l := range loads {
		if l.Steps == nil {
			l.Steps = putReserveDelete
		}
		b.Run(fmt.Sprintf("conns=%d/pipeline=%d/body=%d", l.Conns, l.Pipeline, l.Body), func(b *testing.B) {
			servers := [2]*server{contend[0].start(b), contend[1].start(b)}
			var got [len(servers)][]sample
			for b.Loop() {
				for range max(1, *rounds) {
					for _, i := range []int{1, 0} {
						got[i] = append(got[i], measure(b, servers[i], l))
					}
				}
			}
			first, second := got[0], got[1]
			var values []float64
			for _, of := range []func(sample) float64{sample.rate, sample.cpu} {
				values = append(values, median(len(first), func(i int) float64 { return of(first[i]) / of(second[i]) }))
			}
			for _, of := range []func(sample) float64{sample.rate, sample.cpu, sample.p99} {
				for _, s := range got {
					values = append(values, median(len(s), func(i int) float64 { return of(s[i]) }))
				}
			}
			t.row(b, values...)
		})
	}
	t.print(b)
}

// A sample is one server under one load, once.
type sample struct {
	*loadResult
	used time.Duration // processor time of the server
}

func (s sample) rate() float64 { return float64(s.Commands) / s.Elapsed.Seconds() }
func (s sample) cpu() float64  { return micros(s.used) / float64(s.Commands) }
func (s sample) p99() float64  { return micros(s.Trip(0.99)) }

func measure(b *testing.B, s *server, l load) sample {
	b.Helper()
	const warmUp, limit = 100 * time.Millisecond, 400 * time.Millisecond
	g := connectAll(b, s, l)
	defer g.Close()
	runLoad(b, g, warmUp, 0)
	before := cpuTime(b, s)
	r := runLoad(b, g, limit, 0)
	return sample{r, cpuTime(b, s) - before}
}

// BenchmarkMemoryPerJob fills a server with jobs, and has spoked delete them again.
func BenchmarkMemoryPerJob(b *testing.B) {
	const jobs = 1_000_000
	contend := contenders(b)
	t := newTable("spoked-B/job", "beanstalkd-B/job", "spoked-MB-before", "spoked-MB-full", "spoked-MB-emptied")
	for _, delayed := range []bool{false, true} {
		for _, body := range []int{16, 256} {
			put := load{Conns: 4, Pipeline: 250, Body: body, Steps: putOnly}
			undo := load{Conns: 4, Pipeline: 250, Steps: reserveDelete}
			name := "ready"
			if delayed {
				put.MinDelay, put.MaxDelay = 3600, 7200
				undo.Steps = deleteOnly
				name = "delayed"
			}
			b.Run(fmt.Sprintf("%s/body=%d", name, body), func(b *testing.B) {
				var before, full [len(contend)]float64
				var emptied float64
				for b.Loop() {
					for i, c := range contend {
						s := c.start(b)
						before[i] = residentBytes(b, s)
						applyLoad(b, s, put, jobs)
						full[i] = residentBytes(b, s)
						if i == 0 {
							applyLoad(b, s, undo, jobs)
							emptied = residentBytes(b, s)
						}
						stopServer(b, s)
					}
				}
				const mb = 1 << 20
				t.row(b, (full[0]-before[0])/jobs, (full[1]-before[1])/jobs, before[0]/mb, full[0]/mb, emptied/mb)
			})
		}
	}
	t.print(b)
}

// BenchmarkMemoryPerConnection has clients wait in reserve: 9,500, or as many as
// may have a file open here and in the server.
func BenchmarkMemoryPerConnection(b *testing.B) {
	contend := contenders(b)
	t := newTable("spoked-B/conn", "beanstalkd-B/conn", "conns")
	b.Run("waiting", func(b *testing.B) {
		var perConn [len(contend)]float64
		var conns int
		for b.Loop() {
			for i, c := range contend {
				s := c.start(b)
				conns = min(10_000, openFiles(b, 0)-100, openFiles(b, s.Pid)-100)
				before := residentBytes(b, s)
				g := connectAll(b, s, load{Conns: conns})
				if err := g.Send("reserve\r\n"); err != nil {
					b.Fatal(err)
				}
				awaitStat(b, s, "current-waiting", conns)
				perConn[i] = (residentBytes(b, s) - before) / float64(conns)
				g.Close()
				stopServer(b, s)
			}
		}
		t.row(b, perConn[0], perConn[1], float64(conns))
	})
	t.print(b)
}

// BenchmarkIdleCPU is the processor time of a spoked that has clients and a job,
// and nothing to do.
func BenchmarkIdleCPU(b *testing.B) {
	const idle = 2 * time.Second
	s := contender{path: spokedPath(b)}.start(b)
	g := connectAll(b, s, load{Conns: 100})
	defer g.Close()
	applyLoad(b, s, load{Conns: 1, Pipeline: 1, MinDelay: 86400, MaxDelay: 86400, Steps: putOnly}, 1)
	awaitStat(b, s, "current-connections", 101) // and that of stats itself
	var used time.Duration
	for b.Loop() {
		before := cpuTime(b, s)
		time.Sleep(idle)
		used = cpuTime(b, s) - before
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(micros(used)/1000, fmt.Sprintf("CPU-ms/%v", idle))
}

// BenchmarkBurst is how long a client is kept waiting when many delayed jobs come
// due at the same instant.
func BenchmarkBurst(b *testing.B) {
	contend := contenders(b)
	t := newTable("spoked-ms", "beanstalkd-ms")
	for _, jobs := range []int{200_000, 500_000} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			var longest [len(contend)]float64
			for b.Loop() {
				for i, c := range contend {
					longest[i] = micros(burst(b, c, jobs)) / 1000
				}
			}
			t.row(b, longest[0], longest[1])
		})
	}
	t.print(b)
}

// burst returns the longest round trip of a client that puts and deletes while
// jobs become ready. They were put one after another, and so would come due; for
// the server it is the same instant, because it is stopped meanwhile.
func burst(b *testing.B, c contender, jobs int) time.Duration {
	b.Helper()
	const (
		rate    = 50_000 // jobs a second that can surely be put
		portion = 10_000
	)
	s := c.start(b)
	defer stopServer(b, s)
	client := connectAll(b, s, load{Conns: 1, Pipeline: 1, Body: 16, Steps: putDelete})
	defer client.Close()

	due := time.Now().Add(time.Duration(jobs/rate) * time.Second)
	for range jobs / portion {
		delay := int(time.Until(due)/time.Second) + 1
		applyLoad(b, s, load{Conns: 1, Pipeline: 500, Body: 16, MinDelay: delay, MaxDelay: delay, Steps: putOnly}, portion)
	}
	awaitStat(b, s, "current-jobs-delayed", jobs)
	runLoad(b, client, 10*time.Millisecond, 0)
	if time.Now().After(due) {
		b.Fatalf("%s: putting %d jobs took so long that the first came due", c.name, jobs)
	}
	time.Sleep(time.Until(due))
	suspend(b, s, 1500*time.Millisecond) // delays are whole seconds, and portions took a while
	r := runLoad(b, client, time.Second, 0)
	awaitStat(b, s, "current-jobs-ready", jobs)
	return r.Trip(1)
}

// A contender is a way to start a server.
type contender struct {
	name    string
	path    string
	args    []string
	journal bool // -b with a new directory each time
}

// contenders returns spoked and beanstalkd.
func contenders(b *testing.B) [2]contender {
	b.Helper()
	return [2]contender{{name: "spoked", path: spokedPath(b)}, {name: "beanstalkd", path: referencePath(b)}}
}

// start starts a server, which is killed when the benchmark is over.
func (c contender) start(b *testing.B) *server {
	b.Helper()
	args := c.args
	if c.journal {
		args = append(slices.Clone(args), "-b", b.TempDir())
	}
	return startServer(b, c.path, args...)
}

// stopServer ends a server before the benchmark is over.
func stopServer(b *testing.B, s *server) {
	b.Helper()
	if err := s.Stop(os.Kill); errors.Is(err, os.ErrProcessDone) {
		b.Error(err) // and why, when the benchmark is over
	}
}

// connectAll connects the clients of a load.
func connectAll(b *testing.B, s *server, l load) *generator {
	b.Helper()
	g, err := newGenerator(s.Addr, l)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

// runLoad is [generator.Run].
func runLoad(b *testing.B, g *generator, limit time.Duration, jobs int) *loadResult {
	b.Helper()
	r, err := g.Run(limit, jobs)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// applyLoad puts a load on s until so many jobs have been dealt with.
func applyLoad(b *testing.B, s *server, l load, jobs int) {
	b.Helper()
	g := connectAll(b, s, l)
	defer g.Close()
	runLoad(b, g, jobLimit, jobs)
}

// suspend stops a server, and has it go on after d.
func suspend(b *testing.B, s *server, d time.Duration) {
	b.Helper()
	if err := s.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		b.Fatal(err)
	}
	time.Sleep(d)
	if err := s.cmd.Process.Signal(unix.SIGCONT); err != nil {
		b.Fatal(err)
	}
}

// awaitStat asks a server for stats until one is as wanted.
func awaitStat(b *testing.B, s *server, key string, want int) {
	b.Helper()
	const patience = 10 * time.Second
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	replies := bufio.NewReader(conn)
	line := fmt.Sprintf("\n%s: %d\n", key, want)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var size int
		if _, err := io.WriteString(conn, "stats\r\n"); err != nil {
			b.Fatal(err)
		}
		if _, err := fmt.Fscanf(replies, "OK %d\r\n", &size); err != nil {
			b.Fatal(err)
		}
		text := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(replies, text); err != nil {
			b.Fatal(err)
		}
		if bytes.Contains(text, []byte(line)) {
			return
		}
		if time.Now().After(end) {
			b.Fatalf("no %q in stats:\n%s", line, text)
		}
	}
}

// cpuTime returns the processor time that a server has used so far.
func cpuTime(b *testing.B, s *server) time.Duration {
	b.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.Pid))
	if err != nil || len(paths) == 0 {
		b.Fatalf("no schedstat of process %d: %v", s.Pid, err)
	}
	var sum time.Duration
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			b.Fatalf("%s: %v", path, err)
		}
		sum += time.Duration(n)
	}
	return sum
}

// residentBytes returns how much memory a server has in use.
func residentBytes(b *testing.B, s *server) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.Pid))
	if err != nil {
		b.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		b.Fatal(err)
	}
	return float64(resident * os.Getpagesize())
}

// openFiles returns how many files a process may have open; pid 0 is this one.
func openFiles(b *testing.B, pid int) int {
	b.Helper()
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		b.Fatal(err)
	}
	return int(min(limit.Cur, 1<<20))
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// median returns the median of n values.
func median(n int, value func(i int) float64) float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = value(i)
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// A table has a row for each part of a benchmark.
type table struct {
	units []string
	rows  [][]string
}

func newTable(units ...string) *table { return &table{units: units} }

// row reports values, one for each unit, as the metrics of b, and keeps them
// for the table.
func (t *table) row(b *testing.B, values ...float64) {
	b.ReportMetric(0, "ns/op") // is not shown then
	_, name, _ := strings.Cut(b.Name(), "/")
	row := []string{name}
	for i, v := range values {
		b.ReportMetric(v, t.units[i])
		digits := 2
		if v >= 100 {
			digits = 0
		}
		row = append(row, strconv.FormatFloat(v, 'f', digits, 64))
	}
	t.rows = append(t.rows, row)
}

// print prints the table to standard output.
func (t *table) print(b *testing.B) {
	width := len(b.Name())
	for _, row := range t.rows {
		width = max(width, len(row[0]))
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%-*s\t%s\t\n", width, b.Name(), strings.Join(t.units, "\t"))
	for _, row := range t.rows {
		fmt.Fprintf(w, "%-*s\t%s\t\n", width, row[0], strings.Join(row[1:], "\t"))
	}
	fmt.Fprintln(w)
	w.Flush()
}

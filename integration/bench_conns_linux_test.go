package integration

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manyConns returns how many connections a server may have: 20,000, or as many as
// may have a file open here and in the server.
func manyConns(b *testing.B, s *server) int {
	b.Helper()
	return min(scaled(20_000), openFiles(b, 0)-100, openFiles(b, s.Pid)-100)
}

// BenchmarkCrowd has 20,000 clients wait for jobs, and one put jobs, one after the
// other. What counts is the time until one of them has it; no other may get it.
// Then all leave, and the memory has to come back. The kernel's memory is that of
// both ends of the connections.
func BenchmarkCrowd(b *testing.B) {
	const jobs = 2000
	path := spokedPath(b)
	t := newTable("conns", "B/idle-conn", "B/waiting-conn", "kernel-B/conn", "job-p50-us", "job-p99-us", "job-max-us",
		"MB-before", "MB-full", "MB-10s-after", "s-to-30MB", "leave-p99.9-ms", "leave-max-ms")
	b.Run("waiting", func(b *testing.B) {
		for b.Loop() {
			s := contender{path: path}.start(b)
			conns := manyConns(b, s)
			before, kernel := residentBytes(b, s), kernelBytes(b)
			g := connectAll(b, s, load{Conns: conns})
			awaitStat(b, s, "current-connections", conns+1)
			idle := residentBytes(b, s)
			if err := g.Send("reserve\r\n"); err != nil {
				b.Fatal(err)
			}
			awaitStat(b, s, "current-waiting", conns)
			full := residentBytes(b, s)
			kernel = kernelBytes(b) - kernel
			trips := deliver(b, s, g, jobs)
			p := startProbe(b, s)
			g.Close()
			awaitStat(b, s, "current-connections", 2)
			took, left := drained(b, s, before)
			leave := p.finish(b)
			n := float64(conns)
			t.row(b, n, (idle-before)/n, (full-before)/n, kernel/n,
				micros(trips.Trip(0.5)), micros(trips.Trip(0.99)), micros(trips.Trip(1)),
				before/mega, full/mega, left/mega, took.Seconds(), millis(leave.Trip(0.999)), millis(leave.Trip(1)))
			stopServer(b, s)
		}
	})
	t.print(b)
}

// deliver puts jobs, each when the last has been delivered to one of g's clients,
// which all wait. The client deletes it and waits again. A round trip is from the
// put to the job's arrival.
func deliver(b *testing.B, s *server, g *generator, jobs int) *loadResult {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	putter := askServer(b, s, "use default\r\n")
	defer unix.Close(putter)
	for { // what is to be said of the sockets so far
		n, err := g.wait()
		if err != nil {
			b.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	trips := make([]time.Duration, 0, jobs)
	in := make([]byte, 4096)
	for range jobs {
		sent := time.Now()
		if _, err := unix.Write(putter, []byte("put 1 0 100 1\r\nx\r\n")); err != nil {
			b.Fatal(err)
		}
		for got := false; !got; {
			n, err := g.wait()
			if err != nil || time.Since(sent) > 10*time.Second {
				b.Fatalf("no job: %v", err)
			}
			for _, ev := range g.events[:n] {
				c := &g.clients[ev.Fd]
				n, errno := transfer(unix.SYS_READ, c.fd, in)
				if errno == unix.EAGAIN || string(in[:n]) == "DELETED\r\n" {
					continue
				}
				line := bytes.TrimPrefix(in[:n], []byte("DELETED\r\n"))
				rest, ok := bytes.CutPrefix(line, []byte("RESERVED "))
				if !ok || got {
					b.Fatalf("got %q, by another as well: %v", in[:n], got)
				}
				trips, got = append(trips, time.Since(sent)), true
				id, _ := leadingNumber(rest)
				c.out = fmt.Appendf(nil, "delete %d\r\nreserve\r\n", id)
				if err := c.flush(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	awaitStat(b, s, "current-waiting", len(g.clients))
	awaitStat(b, s, "current-jobs-ready", 0)
	slices.Sort(trips)
	return &loadResult{trips: trips}
}

// BenchmarkConnects has clients connect, 2,000 a second at an even rate, each of
// which stays for a second, while a probe looks how long others wait.
func BenchmarkConnects(b *testing.B) {
	const (
		rate  = 2000
		limit = 3 * time.Second
	)
	contend := contenders(b)
	t := newTable("connects/s", "CPU-us/connect", "probe-p50-us", "probe-p99-us", "probe-p99.9-us", "probe-max-ms")
	for _, c := range contend {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				s := c.start(b)
				ap, err := netip.ParseAddrPort(s.Addr)
				if err != nil {
					b.Fatal(err)
				}
				to := &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
				p := startProbe(b, s)
				before := cpuTime(b, s)
				var open []int
				connects, start := 0, time.Now()
				for time.Since(start) < limit {
					for due := int(time.Since(start) * rate / time.Second); connects < due; connects++ {
						fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
						if err != nil {
							b.Fatal(err)
						}
						if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
							b.Fatal(err)
						}
						open = append(open, fd)
						if len(open) > rate {
							unix.Close(open[0])
							open = open[1:]
						}
					}
					time.Sleep(500 * time.Microsecond)
				}
				elapsed := time.Since(start)
				used := cpuTime(b, s) - before
				trips := p.finish(b)
				for _, fd := range open {
					unix.Close(fd)
				}
				t.row(b, float64(connects)/elapsed.Seconds(), micros(used)/float64(connects), micros(trips.Trip(0.5)),
					micros(trips.Trip(0.99)), micros(trips.Trip(0.999)), millis(trips.Trip(1)))
				stopServer(b, s)
			}
		})
	}
	t.print(b)
}

package integration

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var (
	memoryScale = flag.Int("memory-scale", 1, "TestMoreJobsThanMemory: so many times 80 MB of jobs under 8 MB; 64 are 5 GB under 512 MB")
	farJobs     = flag.Int("far-jobs", 400_000, "TestFarJobs: how many jobs")
	farBody     = flag.Int("far-body", 20, "TestFarJobs: bytes of the body of each")
)

// numbered returns the body of size bytes that says which job it is of.
func numbered(n, size int) string {
	s := fmt.Sprintf("job %d;", n)
	return s + strings.Repeat(string(rune('a'+n%26)), max(0, size-len(s)))
}

// putNumbered puts the jobs from first on, n of them, with a delay, many at a time.
func putNumbered(c *client, first, n, size int, delay int) {
	c.t.Helper()
	for batch := 0; n > 0; n -= batch {
		batch = min(n, 1+4_000_000/(size+50), 1000)
		var b strings.Builder
		for i := range batch {
			fmt.Fprintf(&b, "put 5 %d 600 %d\r\n%s\r\n", delay, size, numbered(first+i, size))
		}
		sendAside(c, b.String())
		for range batch {
			c.inserted()
		}
		first += batch
	}
}

// takeAll reserves and deletes all jobs, in the order in which they come, and
// calls f with the number in each body. The bodies have size bytes.
func takeAll(c *client, size int, f func(n int)) {
	c.t.Helper()
	const batch = 200
	for {
		sendAside(c, strings.Repeat("reserve-with-timeout 0\r\n", batch))
		var ids []int
		for range batch {
			line := c.line()
			if line == "TIMED_OUT\r\n" {
				continue
			}
			var id, got, n int
			if _, err := fmt.Sscanf(line, "RESERVED %d %d\r\n", &id, &got); err != nil || got != size {
				c.t.Fatalf("reserve: got %q", line)
			}
			body := make([]byte, size+len("\r\n"))
			c.hurry()
			if _, err := io.ReadFull(c.in, body); err != nil {
				c.t.Fatal(err)
			}
			if _, err := fmt.Sscanf(string(body), "job %d;", &n); err != nil || string(body[:size]) != numbered(n, size) {
				c.t.Fatalf("job %d: got %.40q, which was not put", id, body)
			}
			f(n)
			ids = append(ids, id)
		}
		if len(ids) == 0 {
			return
		}
		var b strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&b, "delete %d\r\n", id)
		}
		sendAside(c, b.String())
		c.expect(strings.Repeat("DELETED\r\n", len(ids)))
	}
}

// wantResident fails the test if a server has more memory. What the race detector
// keeps beside each byte is not the server's.
func wantResident(t *testing.T, s *server, when string, want int) {
	t.Helper()
	got := residentMemory(t, s.Pid)
	t.Logf("%s: %d MB of memory", when, got>>20)
	if got > want && !raceDetector {
		t.Errorf("%s: got %d MB of memory, want %d at most", when, got>>20, want>>20)
	}
}

// TestMoreJobsThanMemory puts ten times as many jobs as there is memory for,
// kills the server, and takes them all. With 5 GB:
//
//	go test ./integration -run TestMoreJobsThanMemory -memory-scale 64 -v -timeout 1h
func TestMoreJobsThanMemory(t *testing.T) {
	t.Parallel()
	const size = 4000
	for _, where := range []string{"", " --bodies disk"} {
		t.Run("bodies"+where, func(t *testing.T) {
			t.Parallel()
			memory, jobs := 8_000_000**memoryScale, 80_000_000**memoryScale/size
			most := memory + memory/8 + 48<<20 // a process that does nothing has a few, and a journal has buffers
			dir := t.TempDir()
			args := fmt.Sprintf("--memory %d -s %d%s", memory, 10<<20, where)
			s := startJournal(t, dir, args)
			c := connect(t, s)
			putNumbered(c, 1, jobs/2, size, 0)
			wantResident(t, s, "half put", most)
			var b strings.Builder // and some that are not acknowledged
			for n := range 300 {
				fmt.Fprintf(&b, "put 5 0 600 %d\r\n%s\r\n", size, numbered(jobs/2+1+n, size))
			}
			sendAside(c, b.String())
			c.inserted()
			known := jobs/2 + 1
			endServer(t, s, syscall.SIGKILL)

			s = startJournal(t, dir, args)
			c = connect(t, s)
			c.ask("list-tube-used\r\n", "USING default\r\n") // when it has been restored
			wantResident(t, s, "restarted", most+32<<20)     // what segments were read into
			second := jobs/2 + 301
			putNumbered(c, second, jobs/2, size, 0)
			wantResident(t, s, "all put", most+32<<20)
			last, missing := 0, 0
			takeAll(c, size, func(n int) {
				switch {
				case n <= last:
					t.Fatalf("got job %d behind %d", n, last)
				case n != last+1 && (last < known || n > second): // it goes on at second at the latest
					t.Fatalf("got job %d behind %d, and none between", n, last)
				}
				missing += n - last - 1
				last = n
			})
			if want := second + jobs/2 - 1; last != want {
				t.Errorf("the last is %d, want %d", last, want)
			}
			t.Logf("%d jobs, %d of those not acknowledged are lost", last, missing)
			wantResident(t, s, "all deleted", most+32<<20)
			endServer(t, s, syscall.SIGTERM)
		})
	}
}

// TestFarJobs has jobs that are due in a month, the bodies of which nobody
// needs in memory. Ten million:
//
//	go test ./integration -run TestFarJobs -far-jobs 10000000 -far-body 1000 -v -timeout 1h
func TestFarJobs(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * 3600
	dir := t.TempDir()
	s := startJournal(t, dir, "-s 67108864")
	c := connect(t, s)
	putNumbered(c, 1, 20_000, *farBody, 0) // which has all buffers made
	takeAll(c, *farBody, func(int) {})
	want := residentMemory(t, s.Pid) + 64**farJobs + 8<<20
	putNumbered(c, 1, *farJobs, *farBody, month)
	wantResident(t, s, "all put", want)
	if c.ask("peek-delayed\r\n", fmt.Sprintf("FOUND %d %d\r\n%s\r\n", 20_001, *farBody, numbered(1, *farBody))); t.Failed() {
		return
	}
	endServer(t, s, syscall.SIGKILL)

	s = startJournal(t, dir, "-s 67108864")
	c = connect(t, s)
	if got := int(c.stats().number(t, "current-jobs-delayed")); got != *farJobs {
		t.Fatalf("got %d jobs, want %d", got, *farJobs)
	}
	wantResident(t, s, "restarted", want+40<<20) // what segments were read into
	const some = 1000
	c.ask(fmt.Sprintf("kick %d\r\n", some), fmt.Sprintf("KICKED %d\r\n", some))
	n := 0
	takeAll(c, *farBody, func(got int) {
		if n++; got != n {
			t.Fatalf("got job %d, want %d", got, n)
		}
	})
	if n != some {
		t.Errorf("got %d jobs, want %d", n, some)
	}
	endServer(t, s, syscall.SIGTERM)
}

// TestMemoryUsedUp has puts refused when there is no journal to leave bodies
// to; all else goes on, and makes room.
func TestMemoryUsedUp(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := spawn(t, append(strings.Fields(transport), "--memory", "8MB", "-l", "unix:"+filepath.Join(socketDir(t), "socket"))...)
			conn, err := dialSoon(strings.TrimPrefix(s.cmd.Args[len(s.cmd.Args)-1], "unix:"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := &client{Conn: conn, t: t, in: bufio.NewReader(conn)}
			const size = 2000
			put := func() bool {
				c.send(fmt.Sprintf("put 5 0 600 %d\r\n%s\r\n", size, numbered(1, size)))
				line := c.line()
				if line != "OUT_OF_MEMORY\r\n" && !strings.HasPrefix(line, "INSERTED ") {
					t.Fatalf("put: got %q", line)
				}
				return line != "OUT_OF_MEMORY\r\n"
			}
			first := 0
			for ; put() && first < 10_000; first++ {
			}
			if first < 1500 || first > 4000 {
				t.Fatalf("got %d jobs of %d bytes into 8 MB", first, size)
			}
			for range 100 {
				if put() {
					t.Fatal("a put is not refused")
				}
			}
			wantResident(t, s, "full", 48<<20)
			c.ask("reserve-job 1\r\nbury 1 5\r\nkick 1\r\n", "RESERVED 1 2000\r\n"+numbered(1, size)+"\r\nBURIED\r\nKICKED 1\r\n")
			c.ask("reserve-job 2\r\ntouch 2\r\nrelease 2 7 0\r\n", "RESERVED 2 2000\r\n"+numbered(1, size)+"\r\nTOUCHED\r\nRELEASED\r\n")
			c.ask("pause-tube default 0\r\npeek-ready\r\n", "PAUSED\r\nFOUND 1 2000\r\n"+numbered(1, size)+"\r\n")
			n := 0
			takeAll(c, size, func(int) { n++ })
			if n != first {
				t.Errorf("got %d jobs, want %d", n, first)
			}
			again := 0
			for ; put() && again < 10_000; again++ {
			}
			if again < first*9/10 {
				t.Errorf("got %d jobs into memory after %d were there", again, first)
			}
		})
	}
}

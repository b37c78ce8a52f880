package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// BenchmarkBursts is how long a client is kept waiting while a server has a great
// deal to do that others have asked for, or that is due. The client puts and
// deletes a job all the time; what counts is its longest round trip. That is also
// what the machine does besides: so of several rounds it is that of the best, and
// "nothing" tells how long it is without a burst. beanstalkd has one round, and none
// where it would take minutes; -1 stands for that.
func BenchmarkBursts(b *testing.B) {
	contend := contenders(b)
	t := newTable("spoked-ms", "beanstalkd-ms", "spoked-done-ms", "beanstalkd-done-ms")
	for _, bm := range bursts() {
		b.Run(bm.name, func(b *testing.B) {
			longest, took := [len(contend)]float64{-1, -1}, [len(contend)]float64{-1, -1}
			for b.Loop() {
				for i, c := range contend {
					if i > 0 && bm.alone {
						continue
					}
					n := 1
					if i == 0 {
						n = max(1, *rounds)
					}
					for k := range n {
						trip, done := bm.measure(b, c)
						if ms := micros(trip) / 1000; k == 0 || ms < longest[i] {
							longest[i], took[i] = ms, micros(done)/1000
						}
					}
				}
			}
			t.row(b, longest[0], longest[1], took[0], took[1])
		})
	}
	t.print(b)
}

// A burstOf is much to do at once.
type burstOf struct {
	name    string
	alone   bool          // it takes beanstalkd too long
	probe   time.Duration // how long the probe goes on
	prepare func(b *testing.B, c *burstClient)
	begin   func(b *testing.B, c *burstClient) // returns when what it has begun is done
}

func bursts() []burstOf {
	const million, hundred = 1_000_000, 100_000
	closing := func(b *testing.B, c *burstClient) { c.gone(b) }
	return []burstOf{
		{name: "nothing", probe: time.Second, prepare: func(*testing.B, *burstClient) {}, begin: func(*testing.B, *burstClient) {}},
		{name: "due=500000", probe: 2 * time.Second, prepare: putDue(500_000), begin: due},
		{name: "due=1000000", probe: 3 * time.Second, prepare: putDue(million), begin: due},
		{name: "ttr=1000000", alone: true, probe: 4 * time.Second, prepare: reserveDue(million), begin: due},
		{name: "kick-buried=1000000", probe: 3 * time.Second, prepare: func(b *testing.B, c *burstClient) {
			c.puts(b, million, 0, 3600)
			c.all(b, million, 3, func(w io.Writer, i int) { fmt.Fprintf(w, "reserve-job %d\r\nbury %d 0\r\n", i+1, i+1) })
		}, begin: func(b *testing.B, c *burstClient) { c.say(b, "kick 1000000\r\n", "KICKED 1000000\r\n") }},
		{name: "kick-delayed=1000000", probe: 3 * time.Second, prepare: func(b *testing.B, c *burstClient) {
			c.puts(b, million, 3600, 3600)
		}, begin: func(b *testing.B, c *burstClient) { c.say(b, "kick 1000000\r\n", "KICKED 1000000\r\n") }},
		{name: "close-reserved=100000", probe: time.Second, prepare: func(b *testing.B, c *burstClient) {
			c.puts(b, hundred, 0, 3600)
			c.all(b, hundred, 2, func(w io.Writer, i int) { io.WriteString(w, "reserve\r\n") })
		}, begin: closing},
		{name: "reserve-watched=100000", alone: true, probe: time.Second, prepare: watchMany(hundred), begin: func(b *testing.B, c *burstClient) {
			c.say(b, "reserve-with-timeout 0\r\n", "TIMED_OUT\r\n")
		}},
		{name: "close-watched=100000", alone: true, probe: time.Second, prepare: func(b *testing.B, c *burstClient) {
			watchMany(hundred)(b, c)
			c.say(b, "reserve-with-timeout 0\r\n", "TIMED_OUT\r\n")
		}, begin: closing},
		{name: "delete-last=100000", alone: true, probe: time.Second, prepare: func(b *testing.B, c *burstClient) {
			c.all(b, hundred, 2, func(w io.Writer, i int) { fmt.Fprintf(w, "use burst-%d\r\nput 0 0 60 1\r\nx\r\n", i) })
		}, begin: func(b *testing.B, c *burstClient) {
			c.all(b, hundred, 1, func(w io.Writer, i int) { fmt.Fprintf(w, "delete %d\r\n", i+1) })
		}},
		{name: "timeouts=10000", alone: true, probe: 3 * time.Second, prepare: waitMany(10_000), begin: func(b *testing.B, c *burstClient) {
			suspend(b, c.server, 2500*time.Millisecond)
		}},
		{name: "pauses=100000", alone: true, probe: 2 * time.Second, prepare: func(b *testing.B, c *burstClient) {
			watchMany(hundred)(b, c)
			c.due = time.Now().Add(3 * time.Second)
			c.all(b, hundred, 1, func(w io.Writer, i int) { fmt.Fprintf(w, "pause-tube burst-%d 3\r\n", i) })
		}, begin: due},
	}
}

// measure returns the longest round trip of the probe, and how long it took to
// do what the burst has begun.
func (o burstOf) measure(b *testing.B, server contender) (trip, done time.Duration) {
	b.Helper()
	s := server.start(b)
	defer stopServer(b, s)
	c := newBurstClient(b, s)
	defer c.close()
	o.prepare(b, c)
	probe := connectAll(b, s, load{Conns: 1, Pipeline: 1, Body: 16, Steps: putDelete})
	defer probe.Close()
	runLoad(b, probe, 100*time.Millisecond, 0)

	took := make(chan time.Duration)
	if !c.due.IsZero() {
		c.wait(b)
	}
	go func() {
		start := time.Now()
		o.begin(b, c)
		took <- time.Since(start)
	}()
	if d := c.held; d > 0 {
		time.Sleep(d) // the server is stopped: it is not that which is measured
	}
	r := runLoad(b, probe, o.probe, 0)
	return r.Trip(1), <-took
}

// A burstClient is what brings a burst about.
type burstClient struct {
	server *server
	conn   net.Conn
	in     *bufio.Reader
	more   []net.Conn
	due    time.Time // when all of it is
	held   time.Duration
}

func newBurstClient(b *testing.B, s *server) *burstClient {
	b.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		b.Fatal(err)
	}
	return &burstClient{server: s, conn: conn, in: bufio.NewReaderSize(conn, 1<<20)}
}

func (c *burstClient) close() {
	c.conn.Close()
	for _, conn := range c.more {
		conn.Close()
	}
}

// say sends a command and expects a reply.
func (c *burstClient) say(b *testing.B, command, reply string) {
	if _, err := io.WriteString(c.conn, command); err != nil {
		b.Error(err)
	}
	if got, err := c.in.ReadString('\n'); got != reply {
		b.Errorf("%q: got %q, %v, want %q", command, got, err, reply)
	}
}

// all sends n times what write writes, and reads so many lines for each.
func (c *burstClient) all(b *testing.B, n, lines int, write func(w io.Writer, i int)) {
	go func() {
		w := bufio.NewWriterSize(c.conn, 1<<16)
		for i := range n {
			write(w, i)
		}
		w.Flush()
	}()
	for range n * lines {
		line, err := c.in.ReadSlice('\n')
		if err != nil || bytes.HasPrefix(line, []byte("NOT_")) {
			b.Errorf("got %q, %v", line, err)
			return
		}
	}
}

// puts puts n jobs.
func (c *burstClient) puts(b *testing.B, n, delay, ttr int) {
	line := fmt.Sprintf("put 0 %d %d 1\r\nx\r\n", delay, ttr)
	c.all(b, n, 1, func(w io.Writer, _ int) { io.WriteString(w, line) })
}

// gone closes the connection, and waits until the server has noticed and has done
// what comes of it.
func (c *burstClient) gone(b *testing.B) {
	c.conn.Close()
	awaitStat(b, c.server, "current-connections", 2) // the probe, and that of stats itself
}

// dueIn is in how many seconds n jobs are due that are put now: late enough for
// all to be put before, on a slow machine.
func dueIn(n int) int { return 3 + n/100_000 }

// putDue puts delayed jobs that are all due at one instant; see wait.
func putDue(n int) func(*testing.B, *burstClient) {
	return func(b *testing.B, c *burstClient) { c.inPortions(b, n, "put 0 %[1]d 60 1\r\nx\r\n", 1) }
}

// reserveDue has the client hold jobs the TTRs of which all end at one instant.
func reserveDue(n int) func(*testing.B, *burstClient) {
	return func(b *testing.B, c *burstClient) { c.inPortions(b, n, "put 0 0 %[1]d 1\r\nx\r\nreserve\r\n", 3) }
}

// inPortions sends commands with the number of seconds until an instant.
func (c *burstClient) inPortions(b *testing.B, n int, format string, lines int) {
	const portion = 10_000
	c.due = time.Now().Add(time.Duration(dueIn(n)) * time.Second)
	for range n / portion {
		text := fmt.Sprintf(format, int(time.Until(c.due)/time.Second)+1)
		c.all(b, portion, lines, func(w io.Writer, _ int) { io.WriteString(w, text) })
	}
}

// wait waits until c is about to be due, and has the server stopped until all of it
// is: it was put one after another, and delays are whole seconds.
func (c *burstClient) wait(b *testing.B) {
	if time.Now().After(c.due) {
		b.Fatal("preparing took so long that the first came due")
	}
	c.held = 1700 * time.Millisecond
	time.Sleep(time.Until(c.due) - 200*time.Millisecond)
}

// due is where a burst begins that comes by itself.
func due(b *testing.B, c *burstClient) { suspend(b, c.server, c.held) }

// watchMany has the client watch n tubes that nobody else does.
func watchMany(n int) func(*testing.B, *burstClient) {
	return func(b *testing.B, c *burstClient) {
		c.all(b, n, 1, func(w io.Writer, i int) { fmt.Fprintf(w, "watch burst-%d\r\n", i) })
		c.say(b, "ignore default\r\n", fmt.Sprintf("WATCHING %d\r\n", n)) // the jobs of the probe are not for it
	}
}

// waitMany has clients wait in a reserve that ends in four seconds, or as many as
// may have a file open here and in the server.
func waitMany(n int) func(*testing.B, *burstClient) {
	return func(b *testing.B, c *burstClient) {
		n := min(n, openFiles(b, 0)-100, openFiles(b, c.server.Pid)-100)
		for range n {
			conn, err := net.Dial("tcp", c.server.Addr)
			if err != nil {
				b.Fatal(err)
			}
			c.more = append(c.more, conn)
			if _, err := io.WriteString(conn, "watch burst\r\nignore default\r\n"+"reserve-with-timeout 4\r\n"); err != nil {
				b.Fatal(err)
			}
		}
		awaitStat(b, c.server, "current-waiting", n)
		c.held = 2500 * time.Millisecond
	}
}

//go:build unix

package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// eachTransport runs f against a spoked of each kind. When f is over and its
// connections are closed, the server must be as good as new.
func eachTransport(t *testing.T, f func(t *testing.T, s *server)) {
	for _, args := range transports {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, spokedPath(t), strings.Fields(args)...)
			t.Cleanup(func() {
				if !t.Failed() {
					cleanUp(t, s)
				}
			})
			f(t, s)
		})
	}
}

// cleanUp deletes all jobs, and wants nothing to be left then. First all who
// were connected must be forgotten, for some of the jobs are theirs until then.
func cleanUp(t *testing.T, s *server) {
	t.Helper()
	c := connect(t, s)
	awaitStats(c, stats{"current-connections": "1", "current-waiting": "0", "current-jobs-reserved": "0"})
	c.deleteAll()
	c.ask("list-tubes\r\n", "OK 14\r\n---\n- default\n\r\n")
	err := c.stats().differ(stats{
		"current-jobs-urgent": "0", "current-jobs-ready": "0", "current-jobs-reserved": "0",
		"current-jobs-delayed": "0", "current-jobs-buried": "0",
		"current-connections": "1", "current-producers": "1", "current-workers": "0",
		"current-waiting": "0", "current-tubes": "1",
	})
	if err != nil {
		t.Errorf("after everybody has gone: %v", err)
	}
}

// await calls f until it returns no error.
func await(t *testing.T, f func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// awaitStats asks for stats until they are as wanted.
func awaitStats(c *client, want stats) {
	c.t.Helper()
	await(c.t, func() error { return c.stats().differ(want) })
}

// random returns a source of random numbers, the seed of which is logged.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// A client speaks to a server in bytes. An answer that it does not want ends
// its test, so it is for the test's own goroutine.
type client struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

// connect returns a new connection, which is closed when the test is over.
func connect(t *testing.T, s *server) *client {
	t.Helper()
	return connectTo(t, "tcp", s.Addr)
}

// connectTo is connect to any address.
func connectTo(t *testing.T, network, address string) *client {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{Conn: conn, t: t, in: bufio.NewReader(conn)}
}

// send sends text, which the server must read.
func (c *client) send(text string) {
	c.t.Helper()
	c.hurry()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads exactly what is wanted.
func (c *client) expect(want string) {
	c.t.Helper()
	c.hurry()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.in, got)
	if got := string(got[:n]); got != want {
		c.t.Fatalf("got %s (%v), want %s", excerpt(got, want), err, excerpt(want, got))
	}
}

// ask sends a request and reads the reply.
func (c *client) ask(request, want string) {
	c.t.Helper()
	c.send(request)
	c.expect(want)
}

// put puts a ready job with a ttr of a minute and returns its id.
func (c *client) put(body string) (id int) {
	c.t.Helper()
	c.send(fmt.Sprintf("put 0 0 60 %d\r\n%s\r\n", len(body), body))
	return c.inserted()
}

// inserted reads the reply to a put.
func (c *client) inserted() (id int) {
	c.t.Helper()
	line := c.line()
	if _, err := fmt.Sscanf(line, "INSERTED %d\r\n", &id); err != nil {
		c.t.Fatalf("put: got %q, want INSERTED", line)
	}
	return id
}

// line reads a line, its end included.
func (c *client) line() string {
	c.t.Helper()
	c.hurry()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("got %q (%v), want a line", line, err)
	}
	return line
}

// rest reads until the server has closed the connection.
func (c *client) rest() string {
	c.t.Helper()
	c.hurry()
	rest, err := io.ReadAll(c.in)
	if err != nil {
		c.t.Fatalf("got %s and then %v, want the end", excerpt(string(rest), ""), err)
	}
	return string(rest)
}

// expectEnd waits until the server has closed the connection, which must be
// all it does.
func (c *client) expectEnd() {
	c.t.Helper()
	if got := c.rest(); got != "" {
		c.t.Fatalf("got %s, want the end", excerpt(got, ""))
	}
}

// shut says that no more will be sent.
func (c *client) shut() {
	c.t.Helper()
	if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// reset hangs up as if the machine had crashed: what is on its way in either
// direction is lost.
func (c *client) reset() {
	c.t.Helper()
	err := c.Conn.(*net.TCPConn).SetLinger(0)
	if err := errors.Join(err, c.Close()); err != nil {
		c.t.Fatal(err)
	}
}

// deleteAll deletes all jobs that there are; none may be reserved.
func (c *client) deleteAll() {
	c.t.Helper()
	const batch = 1000
	for id, last := 1, c.put(""); id <= last; {
		n := min(batch, last-id+1)
		var requests strings.Builder
		for range n {
			fmt.Fprintf(&requests, "delete %d\r\n", id)
			id++
		}
		c.send(requests.String())
		for range n {
			if line := c.line(); line != "DELETED\r\n" && line != "NOT_FOUND\r\n" {
				c.t.Fatalf("delete: got %q", line)
			}
		}
	}
}

// stats asks for the server's stats.
func (c *client) stats() stats {
	c.t.Helper()
	return c.statsOf("stats\r\n")
}

// statsOf asks for stats.
func (c *client) statsOf(request string) stats {
	c.t.Helper()
	c.send(request)
	return c.readStats(request)
}

// readStats reads the reply to a request for stats.
func (c *client) readStats(request string) stats {
	c.t.Helper()
	line := c.line()
	var size int
	if _, err := fmt.Sscanf(line, "OK %d\r\n", &size); err != nil {
		c.t.Fatalf("%q: got %q, want OK", request, line)
	}
	text := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(c.in, text); err != nil {
		c.t.Fatal(err)
	}
	s := stats{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			s[key] = value
		}
	}
	return s
}

// hurry limits how long what c does next may take.
func (c *client) hurry() {
	c.t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
}

// stats are values by key.
type stats map[string]string

// differ returns an error that says where s is not as wanted, or nil.
func (s stats) differ(want stats) error {
	var errs []error
	for key, want := range want {
		if got := s[key]; got != want {
			errs = append(errs, fmt.Errorf("%s: got %s, want %s", key, got, want))
		}
	}
	return errors.Join(errs...)
}

// number returns a value, or fails the test if it is no number.
func (s stats) number(t *testing.T, key string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(s[key], 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// excerpt quotes what is of interest in a long text: where it first differs
// from other.
func excerpt(text, other string) string {
	const around = 60
	i := 0
	for i < len(text) && i < len(other) && text[i] == other[i] {
		i++
	}
	begin, end := max(0, i-around), min(len(text), i+around)
	return fmt.Sprintf("%q (bytes %d to %d of %d)", text[begin:end], begin, end, len(text))
}

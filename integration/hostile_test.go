//go:build unix

package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Tests without t.Parallel keep the processor busy, and would delay those that
// need to be in time.

// TestRandomBytes has many connections send nonsense, some of which is nearly
// the protocol, and hang up.
func TestRandomBytes(t *testing.T) {
	words := []string{
		"put 0 0 60 3\r\nabc\r\n", "put 1 1 1 70000\r\n", "put ", "reserve-with-timeout 0\r\n", "reserve", "delete 1\r\n",
		"release 1 0 0\r\n", "bury 2 0\r\n", "kick 9\r\n", "peek-ready\r\n", "use a\r\n", "watch b\r\n", "ignore default\r\n",
		"stats\r\n", "pause-tube default 0\r\n", "18446744073709551616", " ", "\r", "\n", "\r\n", "\x00", strings.Repeat("x", 223),
	}
	eachTransport(t, func(t *testing.T, s *server) {
		r := random(t)
		var group sync.WaitGroup
		for range 40 {
			var input bytes.Buffer
			for range 200 {
				if r.IntN(8) > 0 {
					input.WriteString(words[r.IntN(len(words))])
					continue
				}
				for range r.IntN(300) {
					input.WriteByte(byte(r.Uint32()))
				}
			}
			c := connect(t, s)
			group.Go(func() { _, _ = io.Copy(io.Discard, c) })
			group.Go(func() {
				_, _ = c.Write(input.Bytes()) // the server may well hang up
				c.Close()
			})
		}
		group.Wait()
	})
}

// TestSlowSenders has many clients send a byte at a time, in turn.
func TestSlowSenders(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, s *server) {
		clients := make([]*client, 60)
		for i := range clients {
			clients[i] = connect(t, s)
		}
		const requests = "watch slow\r\nput 0 0 60 5\r\nhello\r\nlist-tube-used\r\nnonsense\r\n"
		for i := range requests {
			for _, c := range clients {
				c.send(requests[i : i+1])
			}
		}
		for _, c := range clients {
			c.expect("WATCHING 2\r\n")
			c.inserted()
			c.expect("USING default\r\nUNKNOWN_COMMAND\r\n")
		}
	})
}

// TestHangUp has clients go away at every bad moment, in every way.
func TestHangUp(t *testing.T) {
	moments := []struct{ name, send string }{
		{"at once", ""},
		{"in a line", "put 0 0"},
		{"in a line too long", strings.Repeat("x", 500)},
		{"before a body", "put 0 0 60 100\r\n"},
		{"in a body", "put 0 0 60 100\r\nhalf"},
		{"before the end of a body", "put 0 0 60 4\r\nhalf\r"},
		{"in a body too large", "put 0 0 60 70000\r\n" + strings.Repeat("x", 60000)},
		{"with a tube", "use hang-up\r\nwatch hang-up\r\nignore default\r\n"},
		{"waiting", "reserve\r\n"},
		{"waiting for a time", "watch hang-up\r\nreserve-with-timeout 1000\r\n"},
		{"waiting with more to do", "reserve\r\n" + strings.Repeat("stats\r\n", 1000)},
		{"with a job", "use hang-up\r\nwatch hang-up\r\nput 0 0 60 1\r\nx\r\nreserve\r\n"},
		{"with a job, waiting for another", "put 0 0 60 1\r\nx\r\nreserve\r\nwatch hang-up\r\nignore default\r\nreserve\r\n"},
		{"with replies unread", strings.Repeat("stats\r\n", 2000)},
		{"after quit", "quit\r\n" + strings.Repeat("stats\r\n", 100)},
	}
	ways := map[string]func(c *client){
		"close":      func(c *client) { c.Close() },
		"reset":      (*client).reset,
		"half-close": func(c *client) { c.shut(); c.Close() },
	}
	eachTransport(t, func(t *testing.T, s *server) {
		for _, moment := range moments {
			for way, hangUp := range ways {
				t.Run(moment.name+", "+way, func(t *testing.T) {
					for range 3 {
						c := connect(t, s)
						c.send(moment.send)
						hangUp(c)
					}
				})
			}
		}
		// Clients that are seen to wait, not merely on their way to, with more
		// to do.
		for way, hangUp := range ways {
			for _, n := range []int{0, 1000, 8000, 30000} {
				t.Run(fmt.Sprintf("seen waiting with %d commands behind, %s", n, way), func(t *testing.T) {
					c, probe := connect(t, s), connect(t, s)
					c.send("watch w\r\nignore default\r\nreserve\r\n" + strings.Repeat("stats\r\n", n))
					awaitStats(probe, stats{"current-waiting": "1", "current-connections": "2"})
					hangUp(c)
					awaitStats(probe, stats{"current-waiting": "0", "current-connections": "1"})
				})
			}
		}
	})
}

// TestHalfClose has clients say that they send no more, and wants all that
// they have sent to be answered, and then the end.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	conversations := []struct{ name, send, want string }{
		{"at once", "", ""},
		{"in a line", "list-tube-used\r\nlist-tube", "USING default\r\n"},
		{"in a body", "list-tube-used\r\nput 0 0 60 100\r\nhalf", "USING default\r\n"},
		{"after a pipeline", strings.Repeat("list-tube-used\r\n", 10000), strings.Repeat("USING default\r\n", 10000)},
		{"after quit", "quit\r\nlist-tube-used\r\n", ""},
		{"waiting", "reserve\r\n", "TIMED_OUT\r\n"},
		{"waiting for a time", "reserve-with-timeout 1000\r\n", "TIMED_OUT\r\n"},
		{"waiting with more to do", "reserve\r\n" + strings.Repeat("list-tube-used\r\n", 50) + "reserve\r\n",
			"TIMED_OUT\r\n" + strings.Repeat("USING default\r\n", 50) + "TIMED_OUT\r\n"},
	}
	eachTransport(t, func(t *testing.T, s *server) {
		for _, conversation := range conversations {
			t.Run(conversation.name, func(t *testing.T) {
				c := connect(t, s)
				c.send(conversation.send)
				c.shut()
				c.expect(conversation.want)
				c.expectEnd()
			})
		}
		t.Run("seen waiting", func(t *testing.T) {
			c, probe := connect(t, s), connect(t, s)
			c.send("reserve\r\n" + strings.Repeat("list-tube-used\r\n", 50))
			awaitStats(probe, stats{"current-waiting": "1"})
			c.shut()
			c.expect("TIMED_OUT\r\n" + strings.Repeat("USING default\r\n", 50))
			c.expectEnd()
		})
		t.Run("with a job ready", func(t *testing.T) {
			c, probe := connect(t, s), connect(t, s)
			id := probe.put("x")
			c.send("reserve\r\n")
			c.shut()
			c.expect(fmt.Sprintf("RESERVED %d 1\r\nx\r\n", id))
			c.expectEnd()
			awaitStats(probe, stats{"current-jobs-ready": "1", "current-jobs-reserved": "0"})
			probe.ask(fmt.Sprintf("delete %d\r\n", id), "DELETED\r\n")
		})
		t.Run("with a deadline soon", func(t *testing.T) {
			c := connect(t, s)
			c.send("put 0 0 1 1\r\nx\r\nreserve\r\nreserve\r\n")
			c.shut()
			id := c.inserted()
			c.expect(fmt.Sprintf("RESERVED %d 1\r\nx\r\nDEADLINE_SOON\r\n", id))
			c.expectEnd()
		})
	})
}

// TestLongPipeline sends far more at once than the server reads at once.
func TestLongPipeline(t *testing.T) {
	const n = 5000
	var requests, replies strings.Builder
	for i := 1; i <= n; i++ {
		body := strings.Repeat("b", i%400)
		fmt.Fprintf(&requests, "put 0 0 60 %d\r\n%s\r\nreserve\r\npeek %d\r\ndelete %d\r\n", len(body), body, i, i)
		fmt.Fprintf(&replies, "INSERTED %d\r\nRESERVED %d %d\r\n%s\r\nFOUND %d %d\r\n%s\r\nDELETED\r\n",
			i, i, len(body), body, i, len(body), body)
	}
	eachTransport(t, func(t *testing.T, s *server) {
		c := connect(t, s)
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, requests.String())
			sent <- err
		}()
		c.expect(replies.String())
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// TestSplitBody sends a job of the largest size in pieces cut anywhere.
func TestSplitBody(t *testing.T) {
	const size = 65535
	body := strings.Repeat("put 0 0 60 1\r\n", size)[:size]
	request := fmt.Sprintf("put 0 0 60 %d\r\n%s\r\n", size, body)
	header := strings.Index(request, "\n") + 1
	eachTransport(t, func(t *testing.T, s *server) {
		r := random(t)
		cuts := [][]int{
			{1}, {header - 2}, {header - 1}, {header}, {header + 1}, {4096}, {header + 4096}, {65535}, {65536}, {65537},
			{len(request) - 3}, {len(request) - 2}, {len(request) - 1}, {header - 1, header, len(request) - 2, len(request) - 1},
		}
		for range 20 {
			first := r.IntN(len(request))
			cuts = append(cuts, []int{first, first + r.IntN(len(request)-first)})
		}
		c, other := connect(t, s), connect(t, s)
		for i, cut := range cuts {
			from := 0
			for _, to := range append(cut, len(request)) {
				c.send(request[from:to])
				other.ask("list-tube-used\r\n", "USING default\r\n") // the server has had a turn
				from = to
			}
			c.expect(fmt.Sprintf("INSERTED %d\r\n", i+1))
			c.ask("reserve\r\n", fmt.Sprintf("RESERVED %d %d\r\n%s\r\n", i+1, size, body))
			c.ask(fmt.Sprintf("delete %d\r\n", i+1), "DELETED\r\n")
		}
	})
}

// TestBacklog has a client send much behind a reserve that waits: none of it
// is executed before there is a job, and then all of it.
func TestBacklog(t *testing.T) {
	const request, reply = "list-tube-used\r\n", "USING default\r\n"
	eachTransport(t, func(t *testing.T, s *server) {
		executed := 0
		for _, size := range []int{64 << 10, 4 << 20} {
			c, other := connect(t, s), connect(t, s)
			c.send("reserve\r\n")
			awaitStats(other, stats{"current-waiting": "1"})
			n := size / len(request)
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(c, strings.Repeat(request, n))
				sent <- err
			}()
			for range 20 { // turns of the server
				if err := other.stats().differ(stats{"cmd-list-tube-used": strconv.Itoa(executed)}); err != nil {
					t.Fatalf("while the client waits: %v", err)
				}
			}
			id := other.put("x")
			c.expect(fmt.Sprintf("RESERVED %d 1\r\nx\r\n", id))
			c.expect(strings.Repeat(reply, n))
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			executed += n
			c.ask(fmt.Sprintf("delete %d\r\n", id), "DELETED\r\n")
		}
	})
}

// TestConnections has a great many clients come and go.
func TestConnections(t *testing.T) {
	const atOnce = 32
	eachTransport(t, func(t *testing.T, s *server) {
		n := 10_000
		if strings.HasSuffix(s.cmd.String(), "--transport epoll") && !testing.Short() && !raceDetector {
			n = 100_000
		}
		var group sync.WaitGroup
		for range atOnce {
			group.Go(func() {
				for i := range n / atOnce {
					if err := visit(s, i); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
	})
}

// visit connects, says something now and then, and hangs up.
func visit(s *server, i int) error {
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Or else the port of each would be out of use for a minute.
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	switch i % 4 {
	case 0:
		_, err = io.WriteString(conn, "reserve\r\n")
	case 1:
		const request, reply = "list-tube-used\r\n", "USING default\r\n"
		if _, err = io.WriteString(conn, request); err == nil {
			_, err = io.ReadFull(conn, make([]byte, len(reply)))
		}
	}
	return err
}

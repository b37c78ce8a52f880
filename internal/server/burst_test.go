package server_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"spoked/internal/server"
	"spoked/queue"
)

// manyDelayed is more jobs than are kicked in any moment in which a test looks.
const manyDelayed = 200_000

// serveDelayed starts a server that has many delayed jobs.
func serveDelayed(t *testing.T, opts server.Options) *process {
	t.Helper()
	now := time.Now().UnixNano()
	e := queue.New(now)
	c := e.Connect()
	for range manyDelayed {
		d, err := e.Begin(now, c, 0, time.Hour, time.Minute, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Insert(now, &d); err != nil {
			t.Fatal(err)
		}
	}
	e.Disconnect(now, c)
	opts.Session.Engine = e
	return serve(t, opts)
}

// ready asks how many jobs are ready.
func (c *client) ready() (n int, err error) {
	if err := c.ask("stats\r\n", "OK "); err != nil {
		return 0, err
	}
	n = -1
	for line := ""; line != "\r\n"; {
		if line, err = c.in.ReadString('\n'); err != nil {
			return 0, err
		}
		_, _ = fmt.Sscanf(line, "current-jobs-ready: %d", &n)
	}
	return n, nil
}

// A client that kicks many jobs waits until it is done, and what it has sent
// behind the kick does, too. Others do not.
func TestLongKick(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serveDelayed(t, opts)
		c, probe := p.dial(t), p.dial(t)
		if _, err := probe.ready(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "kick 1000000\r\nkick 1\r\nlist-tube-used\r\n"); err != nil {
			t.Fatal(err)
		}
		halfDone := false
		await(t, func() error {
			n, err := probe.ready()
			halfDone = halfDone || n > 0 && n < manyDelayed
			if n != manyDelayed {
				return fmt.Errorf("%d jobs are ready (%v)", n, err)
			}
			return nil
		})
		if !halfDone {
			t.Error("nobody was served before the kick was done")
		}
		c.mustAsk(t, "", fmt.Sprintf("KICKED %d\r\nKICKED 0\r\nUSING default\r\n", manyDelayed))
	})
}

// It is done, too, when the client sends no more, or has gone.
func TestLongKickAndGone(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		for name, leave := range map[string]func(c *client) error{
			"half": func(c *client) error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() },
			"gone": func(c *client) error { return c.Close() },
		} {
			t.Run(name, func(t *testing.T) {
				p := serveDelayed(t, opts)
				c, probe := p.dial(t), p.dial(t)
				c.mustAsk(t, "list-tube-used\r\n", "USING default\r\n")
				if _, err := io.WriteString(c, "kick 1000000\r\nlist-tube-used\r\n"); err != nil {
					t.Fatal(err)
				}
				await(t, func() error { // it has begun
					n, err := probe.ready()
					if n <= 0 {
						return fmt.Errorf("%d jobs are ready (%v)", n, err)
					}
					return nil
				})
				if err := leave(c); err != nil {
					t.Fatal(err)
				}
				await(t, func() error {
					n, err := probe.ready()
					if n != manyDelayed {
						return fmt.Errorf("%d jobs are ready (%v)", n, err)
					}
					return nil
				})
				if name == "half" {
					got, err := io.ReadAll(c.in)
					if want := fmt.Sprintf("KICKED %d\r\nUSING default\r\n", manyDelayed); string(got) != want {
						t.Errorf("got %q (%v), want %q", got, err, want)
					}
				}
			})
		}
	})
}

// A server that stops finishes what clients have begun, and says so to those
// that are there.
func TestShutdownFinishesKicks(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serveDelayed(t, opts)
		c, probe := p.dial(t), p.dial(t)
		if _, err := io.WriteString(c, "kick 1000000\r\nlist-tube-used\r\n"); err != nil {
			t.Fatal(err)
		}
		await(t, func() error {
			n, err := probe.ready()
			if n <= 0 {
				return fmt.Errorf("%d jobs are ready (%v)", n, err)
			}
			return nil
		})
		p.Shutdown(context.Background())
		got, err := io.ReadAll(c.in)
		if want := fmt.Sprintf("KICKED %d\r\n", manyDelayed); !strings.HasPrefix(string(got), want) {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
		p.wantServed(t)
	})
}

// A client that has sent more commands than are executed in a turn gets all its
// replies.
func TestManyCommandsAtOnce(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		const n = 30_000
		errs := make(chan error)
		for range 3 {
			c := p.dial(t)
			go func() {
				go func() { _, _ = io.WriteString(c, strings.Repeat("list-tube-used\r\n", n)) }()
				errs <- c.ask("", strings.Repeat("USING default\r\n", n))
			}()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

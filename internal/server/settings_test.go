package server_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"spoked/internal/server"
	"spoked/queue"
)

// When less memory is allowed, bodies go to the journal without anybody asking for
// anything, and come back from there.
func TestSetLimits(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		const jobs, size, less = 200, 60_000, 4 << 20
		p, _, j := keepingUnder(t, opts, t.TempDir(), time.Millisecond, queue.Limits{Bodies: queue.InMemoryIfRoom})
		c := p.dial(t)
		for i := range jobs {
			body := fmt.Sprintf("%-*d", size, i)
			c.mustAsk(t, fmt.Sprintf("put 0 0 60 %d\r\n%s\r\n", size, body), fmt.Sprintf("INSERTED %d\r\n", i+1))
		}
		if got := j.Engine().Memory(); got < jobs*size {
			t.Fatalf("got %d bytes in memory, want all of %d", got, jobs*size)
		}
		p.SetLimits(queue.Limits{Memory: less, Bodies: queue.InMemoryIfRoom})
		if got := j.Engine().Memory(); got > less {
			t.Errorf("got %d bytes in memory, want %d at most", got, less)
		}
		for i := range jobs {
			body := fmt.Sprintf("%-*d", size, i)
			c.mustAsk(t, fmt.Sprintf("peek %d\r\n", i+1), fmt.Sprintf("FOUND %d %d\r\n%s\r\n", i+1, size, body))
		}
		p.end(t, j)
	})
}

// An interval that has begun ends with the new one, and there is none of 0.
func TestSetFsyncInterval(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keeping(t, opts, t.TempDir(), time.Hour)
		d.be(false, nil, nil) // it has synced what it has opened
		p.dial(t).mustAsk(t, "put 0 0 60 1\r\na\r\n", "INSERTED 1\r\n")
		if got := d.begun(); got != 0 {
			t.Errorf("got %d syncs, want none within an hour", got)
		}
		if p.SetFsyncInterval(0) {
			t.Error("got an interval of 0")
		}
		if !p.SetFsyncInterval(time.Millisecond) {
			t.Error("got no interval of 1 ms")
		}
		await(t, func() error {
			if d.begun() == 0 {
				return errors.New("no sync has begun")
			}
			return nil
		})
		p.end(t, j)

		p, _, j = keeping(t, opts, t.TempDir(), 0)
		if p.SetFsyncInterval(time.Millisecond) {
			t.Error("got an interval where replies wait for syncs")
		}
		p.end(t, j)
	})
	p := serve(t, server.Options{Transport: server.Goroutines})
	if p.SetFsyncInterval(time.Millisecond) {
		t.Error("got an interval without a journal")
	}
}

// A client that is connected has the new limit with its next command.
func TestSetMaxJobSize(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		opts.Session.MaxJobSize = 1
		p := serve(t, opts)
		c := p.dial(t)
		c.mustAsk(t, "put 0 0 60 2\r\nab\r\n", "JOB_TOO_BIG\r\n")
		p.SetMaxJobSize(1000)
		body := strings.Repeat("x", 1000)
		c.mustAsk(t, "put 0 0 60 1000\r\n"+body+"\r\n", "INSERTED 1\r\n")
		c.mustAsk(t, "put 0 0 60 1001\r\n"+body+"x\r\n", "JOB_TOO_BIG\r\n")
	})
}

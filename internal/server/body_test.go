package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"spoked/internal/journal"
	"spoked/internal/server"
	"spoked/persist"
	"spoked/queue"
)

// What is read back is never in the page cache.

func (d *disk) OpenRead(name string) (persist.Reader, error) {
	r, err := d.OS.OpenRead(name)
	if err != nil {
		return nil, err
	}
	return diskReader{r, d}, nil
}

type diskReader struct {
	persist.Reader
	disk *disk
}

func (diskReader) ReadNow([]byte, int64) (int, bool) { return 0, false }

func (r diskReader) ReadAt(b []byte, at int64) (int, error) {
	d := r.disk
	d.mu.Lock()
	gate := d.reader
	if gate != nil {
		d.reads++
	}
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return r.Reader.ReadAt(b, at)
}

// hold has reading wait from now on, or wait no more.
func (d *disk) hold(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reader != nil {
		close(d.reader)
		d.reader = nil
	}
	d.reads = 0
	if on {
		d.reader = make(chan struct{})
	}
}

// wantReads waits until so many reads wait.
func (d *disk) wantReads(t *testing.T, n int) {
	t.Helper()
	await(t, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.reads < n {
			return fmt.Errorf("got %d reads, want %d", d.reads, n)
		}
		return nil
	})
}

// eachReading runs f with a server of each kind of which a client is about to
// be given job 1, the body of which is being read from the disk. Job 2 is like
// it.
func eachReading(t *testing.T, f func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client)) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keepingUnder(t, opts, t.TempDir(), time.Millisecond, queue.Limits{Bodies: queue.InJournal})
		p.dial(t).mustAsk(t, "put 1 0 2 3\r\none\r\nput 2 0 60 3\r\ntwo\r\n", "INSERTED 1\r\nINSERTED 2\r\n")
		c := p.dial(t)
		d.hold(true)
		c.send(t, "reserve\r\nlist-tube-used\r\n")
		d.wantReads(t, 1)
		f(t, p, d, j, c)
	})
}

const reserved = "RESERVED 1 3\r\none\r\n"

// wantState waits until job 1 is in that state.
func wantState(t *testing.T, c *client, state string) {
	t.Helper()
	await(t, func() error {
		if err := c.ask("stats-job 1\r\n", "OK "); err != nil {
			return err
		}
		got := ""
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = c.in.ReadString('\n'); err != nil {
				return err
			}
			got += line
		}
		if !strings.Contains(got, "\nstate: "+state+"\n") {
			return fmt.Errorf("got %q, want state %s", got, state)
		}
		return nil
	})
}

// Others go on, and what stands behind the command waits for it.
func TestOthersGoOnWhileABodyIsRead(t *testing.T) {
	eachReading(t, func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client) {
		other := p.dial(t)
		wantState(t, other, "reserved")
		other.mustAsk(t, "put 9 0 60 1\r\nx\r\npeek 99\r\n", "INSERTED 3\r\nNOT_FOUND\r\n")
		other.mustAsk(t, "delete 3\r\ndelete 2\r\ndelete 1\r\n", "DELETED\r\nDELETED\r\nNOT_FOUND\r\n")
		c.silent(t)
		c.send(t, "touch 1\r\nstats-job 7\r\n")
		c.silent(t)
		d.hold(false)
		c.mustAsk(t, "delete 1\r\n", reserved+"USING default\r\nTOUCHED\r\nNOT_FOUND\r\nDELETED\r\n")
		p.end(t, j)
	})
}

// All that give a job read its body, one after the other, and several clients
// at once.
func TestBodiesAreReadForAll(t *testing.T) {
	eachReading(t, func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client) {
		peeker, waiter, many := p.dial(t), p.dial(t), p.dial(t)
		peeker.send(t, "peek 1\r\npeek-ready\r\npeek 2\r\nuse none\r\n")
		waiter.mustAsk(t, "watch w\r\nignore default\r\n", "WATCHING 2\r\nWATCHING 1\r\n")
		waiter.send(t, "reserve\r\n")
		many.send(t, "use w\r\nput 0 0 60 4\r\nthis\r\nreserve-job 2\r\nrelease 2 0 0\r\npeek 3\r\n")
		many.mustAsk(t, "", "USING w\r\nINSERTED 3\r\n")
		d.hold(false)
		c.mustAsk(t, "", reserved+"USING default\r\n")
		many.mustAsk(t, "", "RESERVED 2 3\r\ntwo\r\nRELEASED\r\nFOUND 3 4\r\nthis\r\n")
		peeker.mustAsk(t, "", "FOUND 1 3\r\none\r\n")
		waiter.mustAsk(t, "delete 3\r\n", "RESERVED 3 4\r\nthis\r\nDELETED\r\n")
		rest, err := io.ReadAll(io.LimitReader(peeker.in, 1))
		if err != nil || len(rest) == 0 {
			t.Errorf("got %q, %v of the rest", rest, err)
		}
		p.end(t, j)
	})
}

// When the client is gone, its job is for others.
func TestClientLeavesWhileABodyIsRead(t *testing.T) {
	for name, leave := range map[string]func(*client) error{
		"close": func(c *client) error { return c.Close() },
		"reset": func(c *client) error {
			return errors.Join(c.Conn.(*net.TCPConn).SetLinger(0), c.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachReading(t, func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client) {
				other := p.dial(t)
				other.mustAsk(t, "list-tube-used\r\n", "USING default\r\n")
				if err := leave(c); err != nil {
					t.Fatal(err)
				}
				if name == "reset" {
					wantState(t, other, "ready")
				}
				d.hold(false)
				wantState(t, other, "ready")
				other.mustAsk(t, "reserve\r\ndelete 1\r\n", reserved+"DELETED\r\n")
				p.end(t, j)
			})
		})
	}
}

// A client that sends no more is answered all the same.
func TestHalfCloseWhileABodyIsRead(t *testing.T) {
	eachReading(t, func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client) {
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.dial(t).mustAsk(t, "list-tube-used\r\n", "USING default\r\n")
		c.silent(t)
		d.hold(false)
		got, err := io.ReadAll(c.in)
		if want := reserved + "USING default\r\n"; string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		wantState(t, p.dial(t), "ready")
		p.end(t, j)
	})
}

// The reservation may end meanwhile, and the job be another's or no more.
func TestTTREndsWhileABodyIsRead(t *testing.T) {
	eachReading(t, func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client) {
		other := p.dial(t)
		wantState(t, other, "ready")
		d.hold(false)
		c.mustAsk(t, "release 1 0 0\r\n", reserved+"USING default\r\nNOT_FOUND\r\n")
		other.mustAsk(t, "delete 1\r\n", "DELETED\r\n")
		p.end(t, j)
	})
}

// A server that is shut down answers what it is reading for.
func TestShutdownWhileABodyIsRead(t *testing.T) {
	eachReading(t, func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client) {
		idle := p.dial(t)
		idle.mustAsk(t, "list-tube-used\r\n", "USING default\r\n")
		p.Shutdown(context.Background())
		if got, err := io.ReadAll(idle); len(got) > 0 || err != nil {
			t.Errorf("got %q (%v) on an idle connection, want the end", got, err)
		}
		c.silent(t)
		d.hold(false)
		got, err := io.ReadAll(c.in)
		if want := reserved + "USING default\r\n"; string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		p.wantServed(t)
		if err := j.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

// Closing waits for nothing but the read itself.
func TestCloseWhileABodyIsRead(t *testing.T) {
	eachReading(t, func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client) {
		p.Close()
		p.wantServed(t)
		d.hold(false)
		if err := j.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

// damage changes a byte of what the first segment of the journal in dir has of a body.
func damage(t *testing.T, dir, body string) {
	t.Helper()
	name := filepath.Join(dir, "journal", persist.SegmentName(1))
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("a"), int64(strings.Index(string(data), body))+7); err != nil {
		t.Fatal(err)
	}
}

// A job of which the body is damaged is buried, and its client told; who only
// looks at it is told, too.
func TestDamagedBody(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		dir := t.TempDir()
		p, _, j := keepingUnder(t, opts, dir, time.Millisecond, queue.Limits{Bodies: queue.InJournal})
		c := p.dial(t)
		body := strings.Repeat("b", 50)
		c.mustAsk(t, "put 1 0 60 50\r\n"+body+"\r\nput 2 0 60 3\r\ntwo\r\n", "INSERTED 1\r\nINSERTED 2\r\n")
		damage(t, dir, body)
		c.mustAsk(t, "peek 1\r\npeek-ready\r\n", "INTERNAL_ERROR\r\nINTERNAL_ERROR\r\n")
		wantState(t, c, "ready")
		c.mustAsk(t, "reserve\r\nreserve\r\n", "INTERNAL_ERROR\r\nRESERVED 2 3\r\ntwo\r\n")
		wantState(t, c, "buried")
		c.mustAsk(t, "reserve-job 1\r\n", "INTERNAL_ERROR\r\n")
		wantState(t, c, "buried")
		c.mustAsk(t, "delete 1\r\ndelete 2\r\n", "DELETED\r\nDELETED\r\n")
		p.end(t, j)
	})
}

package server_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"spoked/internal/journal"
	"spoked/internal/server"
	"spoked/persist"
	"spoked/queue"
)

// disk is a file system that can be told to be slow, or to fail.
type disk struct {
	persist.OS

	mu    sync.Mutex
	syncs int           // begun since it was told
	sync  error         // of every sync, once the gate is open
	write error         // of every write
	gate  chan struct{} // syncs wait until it is closed; nil: they do not

	reads  int           // that have had to wait
	reader chan struct{} // what reads back waits until it is closed; nil: it does not
}

type diskFile struct {
	persist.File
	disk *disk
}

func (d *disk) Create(name string) (persist.File, error) { return d.wrap(d.OS.Create(name)) }
func (d *disk) Open(name string) (persist.File, error)   { return d.wrap(d.OS.Open(name)) }

func (d *disk) wrap(f persist.File, err error) (persist.File, error) {
	if err != nil {
		return nil, err
	}
	return diskFile{f, d}, nil
}

// be has the disk behave like this from now on.
func (d *disk) be(slow bool, write, sync error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.write, d.sync, d.syncs = write, sync, 0
	if slow {
		d.gate = make(chan struct{})
	} else if d.gate != nil {
		close(d.gate)
		d.gate = nil
	}
}

func (d *disk) begun() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

func (f diskFile) Sync() error {
	d := f.disk
	d.mu.Lock()
	d.syncs++
	gate := d.gate
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sync != nil {
		return d.sync
	}
	return f.File.Sync()
}

func (f diskFile) WriteAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	err := f.disk.write
	f.disk.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

// keeping starts a server with a journal on a disk, and stops the journal when
// the test is over.
func keeping(t *testing.T, opts server.Options, dir string, interval time.Duration) (*process, *disk, *journal.Journal) {
	t.Helper()
	return keepingUnder(t, opts, dir, interval, queue.Limits{})
}

// keepingUnder is keeping with limits of the queue.
func keepingUnder(t *testing.T, opts server.Options, dir string, interval time.Duration, l queue.Limits) (*process, *disk, *journal.Journal) {
	t.Helper()
	d := &disk{}
	j, err := journal.Open(journal.Options{
		Dir: dir, SegmentSize: 1 << 20, Interval: interval, Log: zap.NewNop(), FS: d, Limits: l,
	}, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	opts.Journal = j
	p := serve(t, opts)
	t.Cleanup(func() { d.be(false, nil, nil); d.hold(false) }) // or it would not end
	return p, d, j
}

// end closes p, and wants the journal to stop without an error.
func (p *process) end(t *testing.T, j *journal.Journal) {
	t.Helper()
	p.Shutdown(context.Background())
	p.wantServed(t)
	if err := j.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// silent wants nothing to be sent to c for a moment.
func (c *client) silent(t *testing.T) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if b, err := c.in.Peek(1); err == nil {
		t.Fatalf("got %q before it was synced", b)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

func (c *client) send(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// Replies that depend on what is not synced wait for it, and no others.
func TestRepliesWaitForTheSync(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keeping(t, opts, t.TempDir(), 0)
		producer, worker, other, reader := p.dial(t), p.dial(t), p.dial(t), p.dial(t)
		producer.mustAsk(t, "put 5 0 60 1\r\na\r\n", "INSERTED 1\r\n")
		worker.mustAsk(t, "watch x\r\nignore default\r\n", "WATCHING 2\r\nWATCHING 1\r\n")
		worker.send(t, "reserve\r\n")
		other.mustAsk(t, "list-tube-used\r\n", "USING default\r\n")

		d.be(true, nil, nil)
		producer.send(t, "use x\r\nput 0 0 60 1\r\nb\r\n")
		await(t, func() error {
			if d.begun() == 0 {
				return errors.New("no sync has begun")
			}
			return nil
		})
		// What is known to be synced, or is not about jobs, is answered.
		other.mustAsk(t, "reserve\r\n", "RESERVED 1 1\r\na\r\n")
		other.mustAsk(t, "touch 1\r\nuse y\r\nwatch y\r\n", "TOUCHED\r\nUSING y\r\nWATCHING 2\r\n")
		other.mustAsk(t, "peek 1\r\n", "FOUND 1 1\r\na\r\n")
		other.mustAsk(t, "reserve-with-timeout 0\r\n", "TIMED_OUT\r\n")
		reader.send(t, "peek 2\r\n")
		other.send(t, "peek 77\r\n")
		for _, c := range []*client{producer, worker, reader, other} {
			c.silent(t)
		}
		d.be(false, nil, nil)
		producer.mustAsk(t, "", "USING x\r\nINSERTED 2\r\n")
		worker.mustAsk(t, "", "RESERVED 2 1\r\nb\r\n")
		reader.mustAsk(t, "", "FOUND 2 1\r\nb\r\n")
		other.mustAsk(t, "", "NOT_FOUND\r\n")
		p.end(t, j)
	})
}

// When writing or syncing fails, no reply leaves that depends on it, and the
// server ends.
func TestDiskErrorEndsTheServer(t *testing.T) {
	broken := errors.New("broken disk")
	for _, tt := range []struct {
		name        string
		interval    time.Duration
		write, sync error
	}{
		{"write, synced always", 0, broken, nil},
		{"sync, synced always", 0, nil, broken},
		{"write, synced later", time.Hour, broken, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, opts server.Options) {
				dir := t.TempDir()
				p, d, j := keeping(t, opts, dir, tt.interval)
				c := p.dial(t)
				c.mustAsk(t, "put 0 0 60 1\r\na\r\n", "INSERTED 1\r\n")
				d.be(false, tt.write, tt.sync)
				c.send(t, "put 0 0 60 1\r\nb\r\n")
				if got, _ := io.ReadAll(c.in); len(got) > 0 {
					t.Errorf("got %q", got)
				}
				if err := <-p.served; !errors.Is(err, broken) || !strings.Contains(err.Error(), "journal: ") {
					t.Errorf("Serve: got %v, want %v", err, broken)
				}
				if err := j.Stop(); err != nil {
					t.Errorf("Stop: %v", err)
				}
			})
		})
	}
}

// A sync that fails in the background ends the server as well.
func TestFailedPassEndsTheServer(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keeping(t, opts, t.TempDir(), time.Millisecond)
		c := p.dial(t)
		broken := errors.New("broken disk")
		d.be(false, nil, broken)
		c.send(t, "put 0 0 60 1\r\na\r\n")
		if err := <-p.served; !errors.Is(err, broken) {
			t.Errorf("Serve: got %v, want %v", err, broken)
		}
		if err := j.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

// With an interval, a disk that takes longer holds up those who put more.
func TestSlowDiskHoldsUpReplies(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keeping(t, opts, t.TempDir(), time.Millisecond)
		c, other := p.dial(t), p.dial(t)
		d.be(true, nil, nil)
		c.mustAsk(t, "put 0 0 60 1\r\na\r\n", "INSERTED 1\r\n") // nothing is overdue yet
		await(t, func() error {
			if d.begun() == 0 {
				return errors.New("no sync has begun")
			}
			return nil
		})
		time.Sleep(2 * time.Millisecond) // the interval has passed
		c.send(t, "put 0 0 60 1\r\nb\r\n")
		c.silent(t)
		other.mustAsk(t, "use y\r\n", "USING y\r\n")
		d.be(false, nil, nil)
		c.mustAsk(t, "", "INSERTED 2\r\n")
		p.end(t, j)
	})
}

package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"spoked/internal/journal"
	"spoked/internal/server"
	"spoked/queue"
)

// A guest is a client of the engine without a connection.
type guest struct {
	client *queue.Client
	woken  chan queue.Wake
	body   chan string
}

func (g *guest) Woken(_ int64, w queue.Wake) {
	g.body <- string(w.Job.Body)
	g.woken <- w
}

// guest attaches a client.
func (p *process) guest(t *testing.T) *guest {
	g := &guest{woken: make(chan queue.Wake, 10), body: make(chan string, 10)}
	p.do(t, func(e *queue.Engine, now int64) {
		g.client = e.Attach()
		g.client.Data = g
	})
	return g
}

// do is Do, the answer included.
func (p *process) do(t *testing.T, f func(e *queue.Engine, now int64)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	called := false
	batch := p.Do(func(e *queue.Engine, now int64) {
		called = true
		f(e, now)
	})
	if err := p.Await(ctx, batch); err != nil || !called {
		t.Fatalf("Await: got %v, called: %v", err, called)
	}
}

// put has g put a job.
func (g *guest) put(t *testing.T, p *process, body string, delay time.Duration) (id uint64) {
	t.Helper()
	p.do(t, func(e *queue.Engine, now int64) {
		d, err := e.Begin(now, g.client, 0, delay, time.Minute, uint32(len(body)))
		if err != nil {
			t.Error(err)
			return
		}
		copy(e.Body(&d), body)
		if id, err = e.Insert(now, &d); err != nil {
			t.Error(err)
		}
	})
	return id
}

// reserve has g begin to reserve, and wants it to wait.
func (g *guest) reserve(t *testing.T, p *process, timeout time.Duration) {
	t.Helper()
	p.do(t, func(e *queue.Engine, now int64) {
		if _, o := e.Reserve(now, g.client, timeout); o != queue.Waiting {
			t.Errorf("Reserve: got %v, want to wait", o)
		}
	})
}

// want waits for the end of a wait.
func (g *guest) want(t *testing.T, o queue.Outcome, id uint64, body string) {
	t.Helper()
	select {
	case w := <-g.woken:
		if b := <-g.body; w.Outcome != o || w.Job.ID != id || b != body {
			t.Errorf("woken: got %v with job %d %q, want %v with %d %q", w.Outcome, w.Job.ID, b, o, id, body)
		}
	case <-time.After(patience):
		t.Fatalf("not woken, want %v", o)
	}
}

// keptOrNot runs f with a server of each kind, with a journal and without.
func keptOrNot(t *testing.T, f func(t *testing.T, p *process)) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		t.Run("memory", func(t *testing.T) { f(t, serve(t, opts)) })
		for name, interval := range map[string]time.Duration{"synced always": 0, "synced later": time.Millisecond} {
			t.Run(name, func(t *testing.T) {
				p, _, j := keeping(t, opts, t.TempDir(), interval)
				f(t, p)
				p.end(t, j)
			})
		}
	})
}

// What is done inside wakes clients, those without a connection included, and is
// woken by them.
func TestInsideAndOutside(t *testing.T) {
	keptOrNot(t, func(t *testing.T, p *process) {
		g, h := p.guest(t), p.guest(t)
		var clients []*client
		for range 5 { // some on each loop
			c := p.dial(t)
			c.mustAsk(t, "watch x\r\nignore default\r\n", "WATCHING 2\r\nWATCHING 1\r\n")
			c.send(t, "reserve\r\n")
			c.silent(t)
			clients = append(clients, c)
		}
		p.do(t, func(e *queue.Engine, _ int64) { e.Use(g.client, []byte("x")) })
		for _, c := range clients {
			g.put(t, p, "abc", 0)
			if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			line, err := c.in.ReadString('\n')
			if err != nil || len(line) < 9 || line[:9] != "RESERVED " {
				t.Fatalf("got %q, %v, want a job", line, err)
			}
		}
		h.reserve(t, p, queue.Forever)
		p.dial(t).mustAsk(t, "put 0 0 60 4\r\nback\r\n", "INSERTED 6\r\n")
		h.want(t, queue.Given, 6, "back")
	})
}

// The loop learns of deadlines that come from inside.
func TestDeadlinesFromInside(t *testing.T) {
	keptOrNot(t, func(t *testing.T, p *process) {
		g, h := p.guest(t), p.guest(t)
		g.reserve(t, p, 20*time.Millisecond)
		g.want(t, queue.TimedOut, 0, "")

		g.reserve(t, p, queue.Forever)
		id := h.put(t, p, "later", 20*time.Millisecond)
		g.want(t, queue.Given, id, "later")

		p.do(t, func(e *queue.Engine, now int64) { e.Disconnect(now, g.client) })
		p.dial(t).mustAsk(t, "reserve\r\n", "RESERVED 1 5\r\nlater\r\n")
	})
}

// A long command goes on, and ends.
func TestLongCommandFromInside(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		g := p.guest(t)
		const jobs = 50_000
		p.do(t, func(e *queue.Engine, now int64) {
			for range jobs {
				d, err := e.Begin(now, g.client, 0, time.Hour, time.Minute, 0)
				if err == nil {
					_, err = e.Insert(now, &d)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		p.do(t, func(e *queue.Engine, now int64) {
			if n, done := e.Kick(now, g.client, jobs); done {
				t.Errorf("Kick: got %d at once", n)
			}
		})
		select {
		case w := <-g.woken:
			if w.Outcome != queue.Kicked || w.Count != jobs {
				t.Errorf("got %v %d, want %v %d", w.Outcome, w.Count, queue.Kicked, jobs)
			}
		case <-time.After(patience):
			t.Fatal("the kick has not ended")
		}
		p.View(func(e *queue.Engine, _ int64) {
			if got := e.Stats().Jobs[queue.Ready]; got != jobs {
				t.Errorf("got %d ready jobs, want %d", got, jobs)
			}
		})
	})
}

// An answer waits for the sync that it depends on.
func TestAwaitWaitsForTheSync(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keeping(t, opts, t.TempDir(), 0)
		g := p.guest(t)
		g.put(t, p, "one", 0)
		d.be(true, nil, nil)
		batch := p.Do(func(e *queue.Engine, now int64) {
			if err := e.Delete(now, g.client, 1); err != nil {
				t.Error(err)
			}
		})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := p.Await(ctx, batch); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Await: got %v before the sync", err)
		}
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				if err := p.Await(context.Background(), batch); err != nil {
					t.Errorf("Await: %v", err)
				}
			})
		}
		d.be(false, nil, nil)
		group.Wait()
		p.end(t, j)
		p.Do(func(*queue.Engine, int64) { t.Error("called when the server has ended") })
	})
}

// When the journal fails, or the server ends, nobody waits for ever.
func TestAwaitEnds(t *testing.T) {
	broken := errors.New("broken disk")
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p, d, j := keeping(t, opts, t.TempDir(), 0)
		g := p.guest(t)
		d.be(true, nil, broken)
		batch := p.Do(func(e *queue.Engine, now int64) {
			dr, err := e.Begin(now, g.client, 0, 0, time.Minute, 0)
			if err == nil {
				_, err = e.Insert(now, &dr)
			}
			if err != nil {
				t.Error(err)
			}
		})
		got := make(chan error)
		go func() { got <- p.Await(context.Background(), batch) }()
		d.be(false, nil, broken)
		if err := <-got; !errors.Is(err, broken) {
			t.Errorf("Await: got %v, want %v", err, broken)
		}
		<-p.served
		if err := p.Await(context.Background(), p.Do(func(*queue.Engine, int64) {})); !errors.Is(err, broken) {
			t.Errorf("Await after the end: got %v, want %v", err, broken)
		}
		if err := j.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	p := serve(t, server.Options{Transport: server.Goroutines})
	p.Close()
	p.wantServed(t)
	err := p.Await(context.Background(), p.Do(func(*queue.Engine, int64) { t.Error("called") }))
	if !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("Await: got %v, want %v", err, server.ErrServerClosed)
	}
}

// What is done before Serve is kept, and seen to.
func TestDoBeforeServe(t *testing.T) {
	s := server.New(server.Options{})
	var id uint64
	batch := s.Do(func(e *queue.Engine, now int64) {
		d, err := e.Begin(now, e.Connect(), 0, 0, 0, 0)
		if err == nil {
			id, err = e.Insert(now, &d)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err := s.Await(context.Background(), batch); err != nil || id != 1 {
		t.Errorf("got job %d, %v", id, err)
	}
}

// Fetch returns a body that is in memory, and one that is read from the disk.
func TestFetch(t *testing.T) {
	ctx := context.Background()
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		g := p.guest(t)
		j := queue.Job{ID: g.put(t, p, "in memory", 0)}
		if body, err := p.Fetch(ctx, j); string(body) != "in memory" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		if _, err := p.Fetch(ctx, queue.Job{ID: 9}); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("got %v, want %v", err, queue.ErrNotFound)
		}
	})
	eachReading(t, func(t *testing.T, p *process, d *disk, j *journal.Journal, c *client) {
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if body, err := p.Fetch(short, queue.Job{ID: 2}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %q, %v while the disk is held", body, err)
		}
		got := make(chan string)
		go func() {
			body, err := p.Fetch(ctx, queue.Job{ID: 2})
			if err != nil {
				t.Error(err)
			}
			got <- string(body)
		}()
		d.hold(false)
		c.mustAsk(t, "", reserved)
		if body := <-got; body != "two" {
			t.Errorf("got %q, want %q", body, "two")
		}
		p.end(t, j)
	})
}

// Puts are refused between Drain and Undrain.
func TestUndrain(t *testing.T) {
	eachTransport(t, func(t *testing.T, opts server.Options) {
		p := serve(t, opts)
		c := p.dial(t)
		p.Drain()
		c.mustAsk(t, "put 0 0 60 0\r\n\r\n", "DRAINING\r\n")
		p.Undrain()
		c.mustAsk(t, "put 0 0 60 0\r\n\r\n", "INSERTED 2\r\n")
	})
}

package queue_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"spoked/queue"
)

// TestBehind is about an engine that never catches up: Advance happens one
// thing at a time, so that commands meet reservations that should have ended,
// delayed jobs that should be ready and pauses that should be over. All
// durations are whole seconds, so that much is due at the same instant. No
// job may get lost or be given to two clients. With odd seeds long commands are
// done step by step, so that others meet them half done, too, and clients leave
// while they wait for theirs.
func TestBehind(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := &behind{t: t, r: rand.New(rand.NewPCG(seed, 0)), now: 1e18, engine: queue.New(1e18), left: map[uint64]bool{}, kicks: map[*queue.Client]uint32{}}
			b.engine.SetObserver(b)
			if seed%2 == 1 {
				b.engine.SetPortions(0, 0, 1)
			}
			for range 2000 {
				b.step()
			}
			b.finish()
			if slow := seed%2 == 1; slow != (b.kicked > 0) {
				t.Errorf("%d kicks were not done at once", b.kicked)
			}
			if slow := seed%2 == 1; slow != (b.cleared > 0) {
				t.Errorf("%d clears were not done at once", b.cleared)
			}
		})
	}
}

type behind struct {
	t       *testing.T
	r       *rand.Rand
	now     int64
	engine  *queue.Engine
	clients []*queue.Client
	left    map[uint64]bool          // the jobs that were put and not deleted
	kicks   map[*queue.Client]uint32 // how many jobs those want to kick that wait for it
	kicked  int
	cleared int // clears that were not done at once
}

// Observe takes note of what a clear has deleted.
func (b *behind) Observe(ev queue.Event) {
	if ev.Kind == queue.JobDeleted {
		delete(b.left, ev.ID)
	}
}

func (b *behind) seconds(n int) time.Duration { return time.Duration(b.r.IntN(n)) * time.Second }

// given checks that the job is one and that c has it.
func (b *behind) given(c *queue.Client, j queue.Job) {
	s, err := b.engine.JobStats(b.now, j.ID)
	if err != nil || !b.left[j.ID] || s.State != queue.Reserved {
		b.t.Fatalf("was given job %d: %+v, %v", j.ID, s, err)
	}
	if err := b.engine.Touch(b.now, c, j.ID); err != nil {
		b.t.Fatalf("Touch of job %d by the client it was given to: %v", j.ID, err)
	}
}

func (b *behind) wakes() {
	var given []queue.Wake
	b.engine.TakeWakes(func(w queue.Wake) {
		if !slices.Contains(b.clients, w.Client) || w.Client.Waiting() {
			b.t.Fatalf("a client was woken that has left, or waits: %+v", w)
		}
		if w.Outcome == queue.Cleared {
			b.cleared++
			return
		}
		n, kicking := b.kicks[w.Client]
		if kicking != (w.Outcome == queue.Kicked) || w.Count > n {
			b.t.Fatalf("kicked %d, %v, want up to %d", w.Count, w.Outcome, n)
		}
		delete(b.kicks, w.Client)
		if w.Outcome == queue.Given {
			given = append(given, w)
		}
	})
	for _, w := range given {
		b.given(w.Client, w.Job)
	}
}

func (b *behind) step() {
	e := b.engine
	b.now += int64(b.seconds(2))
	e.Advance(b.now, 1)
	b.wakes()
	idle := slices.DeleteFunc(slices.Clone(b.clients), (*queue.Client).Waiting)
	if len(idle) == 0 {
		if len(b.clients) > 20 {
			e.StopWaiting(b.clients[0])
			b.wakes()
			return
		}
		b.clients = append(b.clients, e.Connect())
		return
	}
	c := pick(b.r, idle)
	tube := []byte{'a' + byte(b.r.IntN(4))}
	id := uint64(b.r.IntN(2*len(b.left) + 10))
	switch b.r.IntN(21) {
	case 0:
		b.clients = append(b.clients, e.Connect())
	case 1:
		if b.r.IntN(2) == 0 {
			c = pick(b.r, b.clients)
		}
		b.clients = remove(b.clients, c)
		delete(b.kicks, c)
		e.Disconnect(b.now, c)
	case 2:
		e.Use(c, tube)
	case 3:
		e.Watch(c, tube)
	case 4, 5, 6:
		d, _ := e.Begin(b.now, c, b.r.Uint32N(3), b.seconds(3), b.seconds(4), 0)
		id, _ := e.Insert(b.now, &d)
		b.left[id] = true
	case 7, 8:
		if j, o := e.Reserve(b.now, c, b.seconds(5)-time.Second); o == queue.Given {
			b.given(c, j)
		}
	case 9:
		e.Release(b.now, c, id, 1, b.seconds(3))
	case 10:
		if e.Delete(b.now, c, id) == nil {
			delete(b.left, id)
		}
	case 11:
		n := b.r.Uint32N(10)
		if got, done := e.Kick(b.now, c, n); !done {
			b.kicks[c] = n
			b.kicked++
		} else if got > n {
			b.t.Fatalf("kicked %d of %d", got, n)
		}
	case 12:
		e.Pause(b.now, tube, b.seconds(5))
	case 13:
		e.Bury(c, id, 1)
	case 14:
		_ = e.Ignore(c, tube)
	case 15:
		e.StopWaiting(pick(b.r, b.clients))
	case 16:
		if b.r.IntN(4) == 0 {
			e.Clear(b.now, c, tube, queue.StateSet(b.r.IntN(int(queue.AllStates)+1)))
		}
	case 17, 18:
		_ = e.Move(b.now, id, tube)
	case 19:
		_ = e.Change(b.now, id, queue.Change{Pri: new(b.r.Uint32N(3)), Delay: new(b.seconds(3))})
	case 20:
		_ = e.Hand(b.now, c, pick(b.r, b.clients), id)
	}
	b.wakes()
	if err := e.Check(); err != nil {
		b.t.Fatal(err)
	}
}

// finish has all that is overdue happen, and deletes what is left.
func (b *behind) finish() {
	for len(b.clients) > 0 {
		c := b.clients[0]
		b.clients = b.clients[1:]
		delete(b.kicks, c)
		b.engine.Disconnect(b.now, c)
		b.wakes()
	}
	for b.now += int64(time.Hour); b.engine.Advance(b.now, 1); {
	}
	s := b.engine.Stats()
	if n := s.Jobs[queue.Ready] + s.Jobs[queue.Buried]; n != len(b.left) || len(b.left) == 0 {
		b.t.Errorf("%d jobs at the end, want %d", n, len(b.left))
	}
	c := b.engine.Connect()
	for id := range b.left {
		if err := b.engine.Delete(b.now, c, id); err != nil {
			b.t.Errorf("Delete(%d) at the end: %v", id, err)
		}
	}
	if err := b.engine.Check(); err != nil {
		b.t.Error(err)
	}
}

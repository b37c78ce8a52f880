package queue_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/queue"
)

// newSlowStage returns a stage on which long commands are not done at once at all,
// and then step by step.
func newSlowStage(t *testing.T) *stage {
	s := newStage(t)
	s.engine.SetPortions(0, 0, 1)
	return s
}

// steps takes n steps of what is under way, and then checks the engine.
func (s *stage) steps(n int) {
	s.t.Helper()
	for range n {
		s.engine.Advance(s.now, 1)
	}
	if err := s.engine.Check(); err != nil {
		s.t.Error(err)
	}
}

// done takes all the steps there are to be taken.
func (s *stage) done() {
	s.t.Helper()
	for n := 0; s.engine.Unfinished(); n++ {
		if n > 10_000 {
			s.t.Fatal("it is never done")
		}
		s.steps(1)
	}
}

// bury puts jobs and buries them.
func (s *stage) bury(tube string, n int) (ids []uint64) {
	for range n {
		id := s.put(tube, 0, 0, minute)
		_, err := s.engine.ReserveJob(s.now, s.client("burier"), id)
		s.want("ReserveJob", err, nil)
		s.want("Bury", s.engine.Bury(s.client("burier"), id, 0), nil)
		ids = append(ids, id)
	}
	return ids
}

// kick begins a kick in a tube, which is not done at once.
func (s *stage) kick(name, tube string, n uint32) *queue.Client {
	s.t.Helper()
	c := s.client(name)
	s.engine.Use(c, []byte(tube))
	_, done := s.engine.Kick(s.now, c, n)
	s.want("done", done, false)
	s.want("Busy", c.Busy(), true)
	s.want("Waiting", c.Waiting(), true)
	return c
}

// kicks tells how kicks have ended since the last call.
func (s *stage) kicks() string {
	var all []string
	s.engine.TakeWakes(func(w queue.Wake) {
		s.want("Outcome", w.Outcome, queue.Kicked)
		s.want("Busy", w.Client.Busy(), false)
		all = append(all, fmt.Sprint(w.Client.Data, ": ", w.Count))
	})
	return strings.Join(all, ", ")
}

func (s *stage) states(ids ...uint64) string {
	var states []string
	for _, id := range ids {
		states = append(states, s.job(id).State.String())
	}
	return strings.Join(states, " ")
}

func TestKickInPortions(t *testing.T) {
	s := newSlowStage(t)
	ids := s.bury("a", 4)
	c := s.kick("kicker", "a", 3)
	s.steps(1)
	s.want("states", s.states(ids...), "ready buried buried buried")
	s.want("kicks", s.kicks(), "")
	s.steps(1)
	s.want("states", s.states(ids...), "ready ready buried buried")
	s.want("Delete", s.engine.Delete(s.now, s.client("other"), ids[2]), nil)
	s.done()
	s.want("kicks", s.kicks(), "kicker: 3")
	s.want("states", s.states(ids[3]), "ready")
	s.want("Busy", c.Busy(), false)
}

// What is buried or put while a kick is under way is none of its business.
func TestKickOfWhatWasThere(t *testing.T) {
	s := newSlowStage(t)
	ids := s.bury("a", 3)
	s.kick("kicker", "a", math.MaxUint32)
	s.steps(1)
	late := s.bury("a", 1)[0]
	s.want("Delete", s.engine.Delete(s.now, s.client("other"), ids[2]), nil)
	s.done()
	s.want("kicks", s.kicks(), "kicker: 2")
	s.want("states", s.states(ids[0], ids[1], late), "ready ready buried")

	for range 3 {
		s.put("b", 0, minute, minute)
	}
	s.kick("kicker", "b", math.MaxUint32)
	s.steps(1)
	soon := s.put("b", 0, minute/2, minute)
	buried := s.bury("b", 1)[0] // it stays with delayed ones
	s.done()
	s.want("kicks", s.kicks(), "kicker: 3")
	s.want("states", s.states(soon, buried), "ready buried") // as if soon had been put before the kick
}

// A kick does not end with its client, and keeps its tube.
func TestKickerLeaves(t *testing.T) {
	s := newSlowStage(t)
	ids := s.bury("a", 3)
	s.engine.Use(s.client("burier"), []byte("default"))
	s.engine.Use(s.client("a"), []byte("default"))
	c := s.kick("kicker", "a", 3)
	s.engine.Disconnect(s.now, c)
	for _, id := range ids[1:] {
		s.want("Delete", s.engine.Delete(s.now, s.client("other"), id), nil)
	}
	s.steps(1)
	s.want("states", s.states(ids[0]), "ready")
	s.want("Delete", s.engine.Delete(s.now, s.client("other"), ids[0]), nil)
	s.done()
	s.want("kicks", s.kicks(), "")
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default")
}

// A kick under way keeps a tube that nothing else keeps.
func TestKickKeepsTheTube(t *testing.T) {
	s := newSlowStage(t)
	ids := s.bury("a", 2)
	s.engine.Use(s.client("a"), []byte("default"))
	c := s.kick("kicker", "a", 3)
	for _, id := range ids {
		s.want("Delete", s.engine.Delete(s.now, s.client("other"), id), nil)
	}
	s.engine.SetPortions(16, 16, 1)
	s.engine.Disconnect(s.now, c) // at once
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default", "a")
	s.done()
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default")
}

func TestKickEndsWhenTheJournalIsFull(t *testing.T) {
	s := newKeptStage(t)
	s.engine.SetPortions(1, 0, 1)
	s.bury("a", 5)
	n, done := s.engine.Kick(s.now, s.client("a"), 5)
	s.want("done", done, false)
	s.want("n", n, uint32(1))
	s.steps(2)
	s.journal.stuck = true
	s.done()
	s.want("kicks", s.kicks(), "a: 3")
	s.want("buried", s.engine.Stats().Jobs[queue.Buried], 2)
}

// Two kicks and what is due have their turns.
func TestTasksTakeTurns(t *testing.T) {
	s := newSlowStage(t)
	first, second := s.bury("a", 20), s.bury("b", 20)
	var due []uint64
	for range 20 {
		due = append(due, s.put("c", 0, time.Second, minute))
	}
	s.kick("ann", "a", 20)
	s.kick("bob", "b", 20)
	s.now += int64(2 * time.Second)
	s.steps(10)
	for name, ids := range map[string][]uint64{"ann's": first, "bob's": second, "due": due} {
		if n := strings.Count(s.states(ids...), "ready"); n < 4 || n > 10 {
			t.Errorf("%s jobs: %d are ready after 10 portions", name, n)
		}
	}
	s.done()
	for s.engine.Advance(s.now, 1) {
	}
	s.want("kicks", s.kicks(), "ann: 20, bob: 20")
	s.want("ready", s.engine.Stats().Jobs[queue.Ready], 60)
}

// A limit bounds the steps of tasks, as it does what is due.
func TestLimitOfTasks(t *testing.T) {
	s := newSlowStage(t)
	s.bury("a", 200)
	s.kick("ann", "a", 200)
	for before := 0; s.engine.Unfinished(); {
		s.engine.Advance(s.now, 10)
		now := s.engine.Stats().Jobs[queue.Ready]
		if now > before+10 {
			t.Fatalf("%d jobs were kicked in a portion of 10", now-before)
		}
		before = now
	}
	s.kicks()

	// Commands that are short share what may be done at once.
	s.engine.SetPortions(1, 10, 1)
	s.bury("b", 20)
	for range 4 {
		s.engine.Kick(s.now, s.client("b"), 4)
		for s.client("b").Busy() && s.engine.Stats().Jobs[queue.Buried] > 0 {
			s.engine.Disconnect(s.now, s.client("b"))
			delete(s.clients, "b")
			s.engine.Use(s.client("b"), []byte("b"))
		}
	}
	if n := s.engine.Stats().Jobs[queue.Buried]; n < 20-10-4*2 || n == 0 {
		t.Errorf("%d jobs are still buried", n)
	}
	s.done()
}

func TestLeavingInPortions(t *testing.T) {
	s := newSlowStage(t)
	var ids []uint64
	for range 4 {
		ids = append(ids, s.put("a", 0, 0, 10*time.Second))
	}
	w := s.client("worker")
	for _, tube := range []string{"a", "b", "c"} {
		s.engine.Watch(w, []byte(tube))
	}
	for range 4 {
		s.reserve("worker", 0)
		s.done()
	}
	s.engine.TakeWakes(func(queue.Wake) {})
	s.engine.Disconnect(s.now, w)
	s.want("states", s.states(ids...), "reserved reserved reserved reserved")
	s.want("connections", s.engine.Stats().Connections, 2)
	for s.states(ids[0]) == "reserved" {
		s.steps(1)
	}
	s.want("states", s.states(ids...), "ready reserved reserved reserved")
	s.want("Delete", s.engine.Delete(s.now, s.client("other"), ids[1]), queue.ErrNotFound)
	s.now += int64(11 * time.Second) // meanwhile their time is up
	s.done()
	for s.engine.Advance(s.now, 1) {
	}
	s.want("states", s.states(ids...), "ready ready ready ready")
	s.want("connections", s.engine.Stats().Connections, 2)
	s.want("workers", s.engine.Stats().Workers, 0)
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default", "a")
	if _, ok := s.engine.Next(); ok {
		t.Error("something is left to happen")
	}
}

// pend has a client that watches three tubes reserve, which takes a while.
func (s *stage) pend(name string, timeout time.Duration) *queue.Client {
	s.t.Helper()
	c := s.client(name)
	for _, tube := range []string{"a", "b", "c"} {
		s.engine.Watch(c, []byte(tube))
	}
	s.want("Reserve", s.reserve(name, timeout), "waiting")
	s.want("Busy", c.Busy(), true)
	return c
}

func TestReserveInPortions(t *testing.T) {
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		act     func(s *stage, c *queue.Client)
		want    string
		waiting int
	}{
		{"nothing", 0, func(*stage, *queue.Client) {}, "ann: timed out", 0},
		{"waits", queue.Forever, func(*stage, *queue.Client) {}, "", 1},
		{"waits in vain", time.Second, func(s *stage, _ *queue.Client) { s.now += int64(time.Minute) }, "ann: timed out", 0},
		{"half-closes", queue.Forever, func(s *stage, c *queue.Client) { s.engine.StopWaiting(c) }, "ann: timed out", 0},
		{"a job comes", 0, func(s *stage, _ *queue.Client) { s.put("b", 0, 0, minute) }, "ann: job 1", 0},
		{"half-closes, and a job comes", queue.Forever, func(s *stage, c *queue.Client) {
			s.engine.StopWaiting(c)
			s.put("b", 0, 0, minute)
		}, "ann: job 1", 0},
		{"another is later", queue.Forever, func(s *stage, _ *queue.Client) {
			s.put("b", 0, 0, minute)
			s.pend("bob", queue.Forever)
		}, "ann: job 1", 1},
		{"leaves", queue.Forever, func(s *stage, c *queue.Client) {
			s.pend("bob", queue.Forever)
			s.engine.Disconnect(s.now, c)
			s.put("b", 0, 0, minute)
		}, "bob: job 1", 0},
		{"all leave", queue.Forever, func(s *stage, c *queue.Client) {
			s.put("c", 0, 0, minute)
			bob := s.pend("bob", queue.Forever)
			s.engine.Disconnect(s.now, c)
			s.engine.Disconnect(s.now, bob)
		}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for before := range 7 {
				s := newSlowStage(t)
				c := s.pend("ann", tt.timeout)
				s.steps(before)
				if !c.Busy() {
					t.Fatalf("done after %d steps", before)
				}
				tt.act(s, c)
				s.done()
				s.want("wakes", s.wakes(), tt.want)
				s.want("waiting", s.engine.Stats().Waiting, tt.waiting)
				s.steps(1)
			}
		})
	}
}

// A client that holds a job which is in its last second is told so.
func TestReserveInPortionsWarns(t *testing.T) {
	s := newSlowStage(t)
	s.put("default", 0, 0, time.Second)
	s.want("Reserve", s.reserve("ann", 0), "job 1")
	s.pend("ann", minute)
	s.done()
	s.want("wakes", s.wakes(), "ann: deadline soon")
}

// A pause is over when those have been served that waited.
func TestPauseEndsInPortions(t *testing.T) {
	for _, how := range []string{"time", "command"} {
		s := newSlowStage(t)
		for i := range 4 {
			c := s.client(fmt.Sprint("w", i))
			s.engine.Watch(c, []byte("a"))
			s.engine.Ignore(c, []byte("default"))
			s.want("Reserve", s.reserve(fmt.Sprint("w", i), queue.Forever), "waiting")
		}
		s.want("Pause", s.engine.Pause(s.now, []byte("a"), time.Second), nil)
		for range 6 {
			s.put("a", 0, 0, minute)
		}
		if how == "time" {
			s.now += int64(time.Second)
		} else {
			s.want("Pause", s.engine.Pause(s.now, []byte("a"), 0), nil)
		}
		var served []string
		late := s.client("late")
		s.engine.Watch(late, []byte("a"))
		s.engine.Ignore(late, []byte("default"))
		for more, n := true, 0; more; n++ {
			more = s.engine.Advance(s.now, 1)
			if w := s.wakes(); w != "" {
				served = append(served, w)
			}
			if n == 1 {
				s.want("Reserve", s.reserve("late", minute), "waiting") // behind the others
			}
		}
		s.wantList("served", served, "w0: job 1", "w1: job 2", "w2: job 3", "w3: job 4", "late: job 5")
		s.want("Reserve", s.reserve("late", 0), "job 6")
		st, err := s.engine.TubeStats(s.now, []byte("a"))
		s.want("TubeStats", err, nil)
		s.want("Pause", st.Pause, time.Duration(0))
		s.done()
	}
}

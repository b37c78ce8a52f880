package queue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/queue"
)

// clear clears a tube at once.
func (s *stage) clear(tube string, states queue.StateSet) uint32 {
	s.t.Helper()
	n, done, err := s.engine.Clear(s.now, s.client("cleaner"), []byte(tube), states)
	s.want("done", done, true)
	s.want("Clear", err, nil)
	s.want("Check", s.engine.Check(), nil)
	return n
}

// clears tells how clears have ended since the last call.
func (s *stage) clears() string {
	var all []string
	s.engine.TakeWakes(func(w queue.Wake) {
		s.want("Outcome", w.Outcome, queue.Cleared)
		s.want("Busy", w.Client.Busy(), false)
		all = append(all, fmt.Sprint(w.Client.Data, ": ", w.Count))
	})
	return strings.Join(all, ", ")
}

func (s *stage) gone(ids ...uint64) (n int) {
	for _, id := range ids {
		if _, err := s.engine.JobStats(s.now, id); err == queue.ErrNotFound {
			n++
		}
	}
	return n
}

func TestClearOfStates(t *testing.T) {
	for states := range queue.AllStates + 1 {
		s := newStage(t)
		jobs := map[queue.State]uint64{queue.Delayed: s.put("a", 0, minute, minute), queue.Reserved: s.put("a", 0, 0, minute)}
		_, err := s.engine.ReserveJob(s.now, s.client("worker"), jobs[queue.Reserved])
		s.want("ReserveJob", err, nil)
		jobs[queue.Buried] = s.bury("a", 1)[0]
		jobs[queue.Ready] = s.put("a", 0, 0, minute)
		other := s.put("b", 0, 0, minute)
		want := uint32(0)
		for state := range queue.NumStates {
			if states.Has(state) {
				want++
			}
		}
		s.want("Clear", s.clear("a", states), want)
		for state, id := range jobs {
			s.want(fmt.Sprintf("job %v gone after %b", state, states), s.gone(id) == 1, states.Has(state))
		}
		s.want("deletes", s.tube("a").Deletes, uint64(want))
		s.want("other tube", s.gone(other), 0)
		if states.Has(queue.Reserved) {
			s.want("Release", s.engine.Release(s.now, s.client("worker"), jobs[queue.Reserved], 0, 0), queue.ErrNotFound)
			s.want("Held", s.client("worker").Held(), 0)
		}
	}
	s := newStage(t)
	_, _, err := s.engine.Clear(s.now, s.client("cleaner"), []byte("none"), queue.AllStates)
	s.want("Clear of no tube", err, queue.ErrNotFound)
	s.put("a", 0, 0, minute)
	s.engine.Use(s.client("a"), []byte("default"))
	s.want("Clear", s.clear("a", queue.AllStates), uint32(1))
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default")
}

func TestStateSet(t *testing.T) {
	s := queue.States(queue.Buried, queue.Ready)
	for state := range queue.NumStates {
		if got, want := s.Has(state), state == queue.Ready || state == queue.Buried; got != want || !queue.AllStates.Has(state) || queue.StateSet(0).Has(state) {
			t.Errorf("Has(%v): got %v, want %v", state, got, want)
		}
	}
}

// What is put while a clear is under way stays, wherever it stands; what was there
// goes, wherever it is put.
func TestClearOfWhatWasThere(t *testing.T) {
	for steps := range 40 {
		s := newSlowStage(t)
		var old, late []uint64
		put := func(ids *[]uint64) {
			for _, pri := range []uint32{5, 1, 9} {
				*ids = append(*ids, s.put("a", pri, 0, minute), s.put("a", pri, minute/time.Duration(pri), minute))
			}
			*ids = append(*ids, s.bury("a", 2)...)
		}
		put(&old)
		put(&old)
		c := s.client("cleaner")
		n, done, err := s.engine.Clear(s.now, c, []byte("a"), queue.AllStates)
		s.want("Clear", fmt.Sprint(n, done, err, c.Busy()), "0 false <nil> true")
		s.steps(steps)
		put(&late)
		for _, id := range old { // from one state to another
			_ = s.engine.KickJob(s.now, id)
			_ = s.engine.Change(s.now, id, queue.Change{Delay: new(time.Second)})
			if _, err := s.engine.ReserveJob(s.now, s.client("burier"), id); err == nil && id%2 == 0 {
				s.want("Bury", s.engine.Bury(s.client("burier"), id, 0), nil)
			}
		}
		s.done()
		s.want("clears", s.clears(), fmt.Sprint("cleaner: ", len(old)))
		s.want("old jobs gone", s.gone(old...), len(old))
		s.want("new jobs gone", s.gone(late...), 0)
		if t.Failed() {
			t.Fatalf("after %d steps", steps)
		}
	}
}

// A clear does not end with its client, and keeps its tube.
func TestClearerLeaves(t *testing.T) {
	s := newSlowStage(t)
	for range 3 {
		s.put("a", 0, 0, minute)
	}
	s.engine.Use(s.client("a"), []byte("default"))
	c := s.client("cleaner")
	_, _, err := s.engine.Clear(s.now, c, []byte("a"), queue.AllStates)
	s.want("Clear", err, nil)
	s.engine.Disconnect(s.now, c)
	for id := range uint64(3) {
		s.want("Delete", s.engine.Delete(s.now, s.client("other"), id+1), nil)
	}
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default", "a")
	s.done()
	s.want("clears", s.clears(), "")
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default")
}

// A job that a client has been given in the same portion is cleared when the
// client has been told of it.
func TestClearOfWhatWasJustGiven(t *testing.T) {
	s := newSlowStage(t)
	id := s.put("a", 0, time.Second, minute)
	s.watch("worker", "a")
	s.reserve("worker", minute)
	_, _, err := s.engine.Clear(s.now, nil, []byte("a"), queue.States(queue.Reserved, queue.Buried))
	s.want("Clear", err, nil)
	late := s.bury("b", 1)[0] // so that there is something left to look for
	s.want("Move", s.engine.Move(s.now, late, []byte("a")), nil)
	s.now += int64(time.Second)
	s.engine.Advance(s.now, 10) // gives it, and comes to it
	s.want("gone", s.gone(id), 0)
	s.want("wakes", s.wakes(), "worker: job 1")
	s.done()
	s.want("gone", s.gone(id), 1)
	s.want("gone, put later", s.gone(late), 0)
}

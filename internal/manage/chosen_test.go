package manage

import (
	"errors"
	"testing"
	"time"

	"spoked/queue"
)

// TestChosen does each action to jobs in every state, and to one that is not there.
func TestChosen(t *testing.T) {
	pri, tube := uint32(9), "b"
	for _, k := range []struct {
		name             string
		bulk             Bulk
		changed, skipped int
		want             [queue.NumStates]int // in tube a afterwards
	}{
		{"delete", Bulk{Action: DeleteJobs}, 3, 2, [queue.NumStates]int{queue.Reserved: 1}},
		{"kick", Bulk{Action: KickJobs}, 2, 3, [queue.NumStates]int{queue.Ready: 3, queue.Reserved: 1}},
		{"move", Bulk{Action: MoveJobs, Change: Change{Tube: &tube}}, 3, 2, [queue.NumStates]int{queue.Reserved: 1}},
		{"change", Bulk{Action: ChangeJobs, Change: Change{Pri: &pri}}, 3, 2, [queue.NumStates]int{queue.Ready: 1, queue.Delayed: 1, queue.Reserved: 1, queue.Buried: 1}},
		{"release", Bulk{Action: ReleaseJobs}, 1, 4, [queue.NumStates]int{queue.Ready: 2, queue.Delayed: 1, queue.Buried: 1}},
	} {
		s := newEngine(t)
		m := New(s, Options{})
		var ids []uint64
		for range 4 {
			ids = append(ids, put(t, m, "a", "x"))
		}
		var worker *queue.Client
		s.Do(func(e *queue.Engine, now int64) {
			worker = e.Connect()
			for _, id := range ids[:3] {
				if _, err := e.ReserveJob(now, worker, id); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(e.Bury(worker, ids[1], 5), e.Release(now, worker, ids[2], 5, time.Hour)); err != nil {
				t.Fatal(err)
			}
		})
		ids = append(ids, 99)
		for _, dry := range []bool{true, false} {
			k.bulk.DryRun = dry
			r, err := m.Chosen(t.Context(), ids, k.bulk)
			if err != nil || r.Changed != k.changed || r.Skipped != k.skipped || !r.Complete {
				t.Errorf("%s, dry %v: got %+v, %v, want %d changed and %d skipped", k.name, dry, r, err, k.changed, k.skipped)
			}
		}
		if got, err := m.Tube("a"); err != nil || got.Jobs != k.want {
			t.Errorf("%s: got %v, %v, want %v", k.name, got.Jobs, err, k.want)
		}
		if k.bulk.Action == ReleaseJobs {
			s.Do(func(e *queue.Engine, now int64) {
				if err := e.Delete(now, worker, ids[0]); err != nil {
					t.Errorf("a ready job: %v", err) // anybody may delete it
				}
				if err := e.Touch(now, worker, ids[0]); !errors.Is(err, queue.ErrNotFound) {
					t.Errorf("the worker still has it: %v", err)
				}
			})
		}
	}
}

// TestReleaseByFilter takes jobs from workers, of which another waits.
func TestReleaseByFilter(t *testing.T) {
	s := newEngine(t)
	m := New(s, Options{})
	for range 5 {
		put(t, m, "a", "x")
	}
	s.Do(func(e *queue.Engine, now int64) {
		w := e.Connect()
		e.Watch(w, []byte("a"))
		for range 5 {
			if _, outcome := e.Reserve(now, w, 0); outcome != queue.Given {
				t.Fatal(outcome)
			}
		}
	})
	r, err := m.Bulk(t.Context(), Bulk{Search: Search{Tube: "a", States: queue.States(queue.Reserved), Limit: 3}, Action: ReleaseJobs})
	if err != nil || r.Changed != 3 {
		t.Fatalf("got %+v, %v, want 3 released", r, err)
	}
	if got, _ := m.Tube("a"); got.Jobs[queue.Ready] != 3 || got.Jobs[queue.Reserved] != 2 {
		t.Errorf("got %v", got.Jobs)
	}
}

package queue_test

import (
	"testing"
	"time"

	"spoked/queue"
)

func TestMoveKeepsWhatThereIsToAJob(t *testing.T) {
	s := newStage(t)
	ready, delayed := s.put("a", 7, 0, minute), s.put("a", 8, time.Hour, minute)
	buried := []uint64{s.bury("a", 1)[0], s.bury("b", 1)[0]}
	s.after(time.Second)
	for _, id := range []uint64{ready, delayed, buried[0]} {
		want := s.job(id)
		want.Tube = "b"
		s.want("Move", s.engine.Move(s.now, id, []byte("b")), nil)
		s.want("job", s.job(id), want)
	}
	s.want("jobs of b", s.tube("b").Jobs, [queue.NumStates]int{queue.Ready: 1, queue.Delayed: 1, queue.Buried: 2})
	s.want("jobs of a", s.tube("a").Jobs, [queue.NumStates]int{})
	s.engine.Use(s.client("b"), []byte("b"))
	for _, id := range []uint64{buried[1], buried[0]} { // the one moved is the last
		j, err := s.engine.PeekBuried(s.client("b"))
		s.want("PeekBuried", err, nil)
		s.want("PeekBuried", j.ID, id)
		s.want("KickJob", s.engine.KickJob(s.now, id), nil)
	}
	s.want("Move of none", s.engine.Move(s.now, 99, []byte("b")), queue.ErrNotFound)
	s.watch("worker", "b")
	s.want("Reserve", s.reserve("worker", 0), "job 3")
	s.want("Move of one that is reserved", s.engine.Move(s.now, 3, []byte("a")), queue.ErrReserved)
	s.want("Check", s.engine.Check(), nil)
}

func TestMoveToClientsThatWait(t *testing.T) {
	s := newStage(t)
	s.watch("worker", "b")
	id := s.put("a", 7, 0, minute)
	s.engine.Use(s.client("a"), []byte("default"))
	s.reserve("worker", minute)
	s.want("Move", s.engine.Move(s.now, id, []byte("b")), nil)
	s.want("wakes", s.wakes(), "worker: job 1")
	s.want("tubes", s.engine.Stats().Tubes, 2) // a has gone
}

func TestChange(t *testing.T) {
	s := newStage(t)
	id := s.put("a", 7, 0, minute)
	change := func(c queue.Change) error { return s.engine.Change(s.now, id, c) }
	is := func(state queue.State, pri uint32, delay, left time.Duration) {
		t.Helper()
		j := s.job(id)
		s.want("state", j.State, state)
		s.want("pri", j.Pri, pri)
		s.want("delay", j.Delay, delay)
		s.want("left", j.TimeLeft, left)
		s.want("Check", s.engine.Check(), nil)
	}
	s.want("nothing", change(queue.Change{}), nil)
	is(queue.Ready, 7, 0, 0)
	s.want("pri", change(queue.Change{Pri: new(uint32(9))}), nil)
	is(queue.Ready, 9, 0, 0)
	s.want("delay", change(queue.Change{Delay: new(time.Hour)}), nil)
	is(queue.Delayed, 9, time.Hour, time.Hour)
	s.after(minute)
	s.want("pri of a delayed one", change(queue.Change{Pri: new(uint32(1))}), nil)
	is(queue.Delayed, 1, time.Hour, time.Hour-minute)
	s.want("another delay", change(queue.Change{Delay: new(minute), Pri: new(uint32(2))}), nil)
	is(queue.Delayed, 2, minute, minute)
	s.watch("worker", "a")
	s.reserve("worker", minute)
	s.want("a negative delay", change(queue.Change{Delay: new(-minute)}), nil)
	s.want("wakes", s.wakes(), "worker: job 1")
	s.want("a reserved one", change(queue.Change{Pri: new(uint32(1))}), queue.ErrReserved)
	s.want("Bury", s.engine.Bury(s.client("worker"), id, 3), nil)
	s.want("the delay of a buried one", change(queue.Change{Delay: new(minute), Pri: new(uint32(1))}), queue.ErrBuried)
	is(queue.Buried, 3, 0, 0)
	s.want("the pri of a buried one", change(queue.Change{Pri: new(uint32(1))}), nil)
	is(queue.Buried, 1, 0, 0)
	id = 99
	s.want("none", change(queue.Change{}), queue.ErrNotFound)
}

func TestImport(t *testing.T) {
	s := newStage(t)
	i := queue.Imported{
		Tube: "a", State: queue.Delayed, Pri: 5, Delay: minute, TTR: 2 * minute, Created: s.now - int64(time.Hour), At: s.now + int64(time.Second),
		Body: []byte("body"), Reserves: 1, Timeouts: 2, Releases: 3, Buries: 4, Kicks: 5,
	}
	id, err := s.engine.Import(s.now, &i)
	s.want("Import", err, nil)
	clear(i.Body) // it was the caller's
	s.want("job", s.job(id), queue.JobStats{
		ID: 1, Tube: "a", State: queue.Delayed, Pri: 5, Age: time.Hour, Delay: minute, TTR: 2 * minute, TimeLeft: time.Second,
		Created: s.now - int64(time.Hour), At: s.now + int64(time.Second), Reserves: 1, Timeouts: 2, Releases: 3, Buries: 4, Kicks: 5,
	})
	j, err := s.engine.Peek(id)
	s.want("Peek", err, nil)
	s.want("body", string(j.Body), "body")
	s.want("total", s.engine.Stats().TotalJobs, uint64(1))

	late, err := s.engine.Import(s.now, &queue.Imported{Tube: "a", State: queue.Delayed, At: s.now, Created: s.now + 1})
	s.want("Import", err, nil)
	s.want("states", s.states(late), "ready")
	s.want("age", s.job(late).Age, time.Duration(0))
	s.want("ttr", s.job(late).TTR, time.Second)
	s.engine.Drain()
	_, err = s.engine.Import(s.now, &i)
	s.want("Import while draining", err, queue.ErrDraining)
	s.engine.Undrain()
	_, err = s.engine.Import(s.now, &i)
	s.want("Import afterwards", err, nil)
}

// Without room in the journal nothing is moved, changed or imported.
func TestEditsWithoutRoom(t *testing.T) {
	s := newKeptStage(t)
	id := s.put("a", 5, 0, minute)
	before := s.job(id)
	s.journal.full, s.journal.stuck = true, true
	s.want("Move", s.engine.Move(s.now, id, []byte("b")), queue.ErrOutOfMemory)
	s.want("Change", s.engine.Change(s.now, id, queue.Change{Pri: new(uint32(1))}), queue.ErrOutOfMemory)
	_, err := s.engine.Import(s.now, &queue.Imported{Tube: "b", Body: []byte("x")})
	s.want("Import", err, queue.ErrOutOfMemory)
	s.want("job", s.job(id), before)
	s.want("tubes", s.engine.Stats().Tubes, 2)
	s.want("Check", s.engine.Check(), nil)
	s.want("Clear, which needs none", s.clear("a", queue.AllStates), uint32(1))
}

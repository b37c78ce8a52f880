package queue

import (
	"iter"
	"math"
	"time"
)

// Stats are the engine's counts. The counters begin at 0 with the engine.
type Stats struct {
	Jobs   [NumStates]int // now, by State
	Urgent int            // ready now, with a priority below UrgentBelow

	TotalJobs uint64 // put
	Deletes   uint64 // jobs deleted by command
	Reserves  uint64 // times that a job was given to a client
	Timeouts  uint64 // reservations that ran out

	Tubes            int
	Connections      int // clients
	Producers        int // clients that have begun a put
	Workers          int // clients that have reserved, or tried to
	Waiting          int // clients that wait in a reserve
	TotalConnections uint64
}

// Stats returns the engine's counts. O(1).
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Tubes = len(e.list)
	return s
}

// TubeStats are a tube's counts. The counters begin at 0 with the tube.
type TubeStats struct {
	Name      string
	Jobs      [NumStates]int // now, by State
	Urgent    int            // ready now, with a priority below UrgentBelow
	TotalJobs uint64         // put
	Using     int            // clients
	Watching  int            // clients
	Waiting   int            // clients that watch it and wait in a reserve
	Deletes   uint64         // jobs deleted
	Reserves  uint64         // times that a job was given to a client
	Timeouts  uint64         // reservations that ran out
	Pauses    uint64         // times it was paused
	Pause     time.Duration  // length of the present pause, or 0
	PauseLeft time.Duration  // of it
}

// TubeStats returns the counts of the named tube. O(1), and O(different
// watch lists) where clients watch the tube among others.
func (e *Engine) TubeStats(now int64, name []byte) (TubeStats, error) {
	t := e.byName[string(name)]
	if t == nil {
		return TubeStats{}, ErrNotFound
	}
	return e.tubeStats(now, t), nil
}

func (e *Engine) tubeStats(now int64, t *tube) TubeStats {
	s := TubeStats{
		Name:      t.name,
		Jobs:      t.jobs,
		Urgent:    t.urgent,
		TotalJobs: t.total,
		Using:     t.using,
		Watching:  t.watching,
		Waiting:   t.waitingClients(),
		Deletes:   t.deletes,
		Reserves:  t.reserves,
		Timeouts:  t.timeouts,
		Pauses:    t.pauses,
		Pause:     time.Duration(t.pause),
	}
	if t == e.defaultTube {
		s.Using -= e.hidden
		s.Watching -= e.hidden
	}
	if t.pause > 0 {
		s.PauseLeft = time.Duration(e.hub.At(t.pauseTimer) - now)
	}
	return s
}

// EachTube yields the TubeStats of all tubes, in the order of Tubes. The engine
// must not be changed meanwhile. The cost of TubeStats for each.
func (e *Engine) EachTube(now int64) iter.Seq[TubeStats] {
	return func(yield func(TubeStats) bool) {
		for _, t := range e.list {
			if !yield(e.tubeStats(now, t)) {
				return
			}
		}
	}
}

// OldestReady looks for the ready job of the named tube that was put first, and
// returns the instant of that, math.MaxInt64 if there is none. It looks at most
// jobs at a time, from *pos on, which is 0 at first, and returns the earliest
// instant among these and whether these were the last: who wants it of a long
// queue calls again, while others use the engine, and takes the earliest of
// all. A tube that has gone has no jobs.
func (e *Engine) OldestReady(tube string, pos *int, most int) (created int64, end bool) {
	created = math.MaxInt64
	t := e.byName[tube]
	if t == nil {
		return created, true
	}
	for ; *pos < t.ready.len() && most > 0; most-- {
		created = min(created, e.jobs.At(t.ready.at(*pos).slot).created)
		*pos++
	}
	return created, *pos >= t.ready.len()
}

// JobStats tell everything about a job but its body.
type JobStats struct {
	ID       uint64
	Tube     string
	State    State
	Pri      uint32
	Age      time.Duration // since the put
	Delay    time.Duration // as the last put or release said
	TTR      time.Duration
	TimeLeft time.Duration // until a delayed job is ready or a reservation ends; else 0

	Created int64   // instant of the put
	At      int64   // instant at which a delayed job is ready or a reservation ends; else 0
	Owner   *Client // that has reserved it; nil if none has
	Since   int64   // instant at which it did; else 0

	Reserves, Timeouts, Releases, Buries, Kicks uint32 // times

	Segment uint32 // of the journal, where its newest whole record is; 0 without a journal
}

// JobStats returns what there is to tell about the job with that id. O(1).
func (e *Engine) JobStats(now int64, id uint64) (JobStats, error) {
	slot := e.ids.get(id)
	if slot == 0 {
		return JobStats{}, ErrNotFound
	}
	j := e.jobAt(slot)
	return e.jobStats(now, slot, &j), nil
}

// jobStats is JobStats of the job in slot, cold or not, with that record.
func (e *Engine) jobStats(now int64, slot uint32, j *job) JobStats {
	s := JobStats{
		ID:    j.id,
		Tube:  e.tubes[j.tube].name,
		State: j.state,
		Pri:   j.pri,
		Age:   time.Duration(now - j.created),
		Delay: time.Duration(j.getDelay()),
		TTR:   time.Duration(j.getTTR()),

		Created: j.created,
		Segment: j.kept.Segment,
	}
	if j.work != 0 {
		w := e.works.At(j.work)
		s.Reserves, s.Timeouts, s.Releases, s.Buries, s.Kicks = w.reserves, w.timeouts, w.releases, w.buries, w.kicks
		if j.state == Reserved {
			s.At, s.Owner, s.Since = e.deadline(w), e.clients[w.owner], int64(w.since)
		}
	}
	if j.state == Delayed {
		s.At = e.readyAt(slot)
	}
	if s.At != 0 {
		s.TimeLeft = time.Duration(s.At - now)
	}
	return s
}

// Len returns the number of jobs.
func (e *Engine) Len() int { return e.jobs.Len() + e.far.Len() }

// BodyBytes returns the bytes of all bodies, those in the journal alone
// included.
func (e *Engine) BodyBytes() int64 { return int64(e.bodies.Total()) + e.storedBytes }

// Sum returns the sum over all jobs of what weight returns for their tubes.
// O(tubes).
func (e *Engine) Sum(weight func(tube string) int64) (sum int64) {
	for _, t := range e.list {
		n := 0
		for _, k := range t.jobs {
			n += k
		}
		sum += int64(n) * weight(t.name)
	}
	return sum
}

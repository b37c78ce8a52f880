package queue

import "spoked/wheel"

// A Record is what outlives a restart of a job: everything but who has
// reserved it until when. A reserved job is recorded as ready.
type Record struct {
	ID      uint64
	Tube    string
	State   State // Ready, Delayed or Buried
	Pri     uint32
	Created int64  // instant of the put
	Delay   int64  // ns, as the last put or release said
	TTR     int64  // ns
	At      int64  // if Delayed: the instant at which it is ready
	Burial  uint64 // if Buried: a number that grows with each burial

	Reserves, Timeouts, Releases, Buries, Kicks uint32

	Body   []byte // borrowed, without the trailing CR LF
	Stored uint32 // if not 0: the body has so many bytes, and is in the journal alone
	Place         // the journal's: where the newest whole record of it is
	Bare   bool   // restored: that has no checksum for who would read it back
}

// Size returns how many bytes the body has.
func (r *Record) Size() int { return len(r.Body) + int(r.Stored) }

// A Journal keeps what the engine is to know again after a restart. What it
// is told are effects: that a job is so from now on, whichever command brought
// that about. It is told nothing of reserves, touches, and what comes by
// itself with time. It must not call the engine back, nor keep a Record.
type Journal interface {
	// Room reports whether there is room to keep another job, with a body of
	// size bytes. If not, it is not put.
	Room(tube string, size int) bool
	// MayChange reports whether there is room to keep changes of jobs. If not,
	// they are not made, apart from the ends of jobs.
	MayChange() bool
	// Job records a job that was not there before, and returns where.
	Job(r *Record) Place
	// Change records a job's new State, Pri, Delay, At, Burial and counts.
	Change(r *Record)
	// Move records that a job is in another tube, r.Tube, and no longer in the
	// tube from, and all that Change does.
	Move(r *Record, from string)
	// End records that a job is no more.
	End(r *Record)
	// Pause records that the tube is paused until an instant, and how long the
	// pause was to be, in ns; or with a length of 0, that it is paused no more.
	Pause(tube string, until, length int64)
}

// SetJournal has all further effects recorded in j.
func (e *Engine) SetJournal(j Journal) { e.journal = j }

// Closing tells that the server stops: clients leave because of that from now
// on, and that tubes which are paused go with them is not recorded.
func (e *Engine) Closing() { e.closing = true }

// describe returns what is to be recorded of j in state s. It is valid until
// the next call.
func (e *Engine) describe(j *job, s State, at int64) *Record {
	e.record = Record{
		ID: j.id, Tube: e.tubes[j.tube].name, State: s, Pri: j.pri,
		Created: j.created, Delay: j.getDelay(), TTR: j.getTTR(), Place: j.kept,
	}
	r := &e.record
	if j.stored {
		r.Stored = j.body.Len
	} else {
		r.Body = e.bodies.At(j.body)
	}
	if s == Delayed {
		r.At = at
	}
	if j.work != 0 {
		w := e.works.At(j.work)
		r.Reserves, r.Timeouts, r.Releases, r.Buries, r.Kicks = w.reserves, w.timeouts, w.releases, w.buries, w.kicks
		if s == Buried {
			r.Burial = w.since
		}
	}
	return r
}

// describeNow returns what is to be recorded of the job in slot as it is, cold
// or not.
func (e *Engine) describeNow(slot uint32) *Record {
	if slot&coldBit != 0 {
		j := e.jobAt(slot)
		return e.describe(&j, Delayed, e.readyAt(slot))
	}
	j := e.jobs.At(slot)
	switch j.state {
	case Delayed:
		return e.describe(j, Delayed, e.readyAt(slot))
	case Reserved:
		return e.describe(j, Ready, 0)
	}
	return e.describe(j, j.state, 0)
}

// recordJob tells the journal of a job that has just been put; if it is
// delayed, until at.
func (e *Engine) recordJob(j *job, at int64) {
	if e.journal == nil {
		return
	}
	s := Ready
	if j.delay > 0 {
		s = Delayed
	}
	j.kept = e.journal.Job(e.describe(j, s, at))
}

// recordMove tells the journal that j is in another tube from now on, and no
// longer in that of this name. It is in state s there; if that is Delayed, until
// at.
func (e *Engine) recordMove(j *job, from string, s State, at int64) {
	if e.journal == nil {
		return
	}
	e.journal.Move(e.describe(j, s, at), from)
	if j.work != 0 {
		e.works.At(j.work).stale = false
	}
}

// recordChange tells the journal that j is in state s from now on; if that is
// Delayed, until at.
func (e *Engine) recordChange(j *job, s State, at int64) {
	if e.journal == nil {
		return
	}
	e.journal.Change(e.describe(j, s, at))
	if j.work != 0 {
		e.works.At(j.work).stale = false
	}
}

// mayChange reports whether a change of a job could be recorded.
func (e *Engine) mayChange() bool { return e.journal == nil || e.journal.MayChange() }

func (e *Engine) recordEnd(j *job) {
	if e.journal != nil {
		e.journal.End(e.describe(j, j.state, 0))
	}
}

func (e *Engine) recordPause(t *tube, until int64) {
	if e.journal != nil {
		e.journal.Pause(t.name, until, t.pause)
	}
}

// NextID returns the id that the next put will have.
func (e *Engine) NextID() uint64 { return e.nextID }

// Burials returns the number of the last burial.
func (e *Engine) Burials() uint64 { return e.burials }

// Describe returns what is to be recorded of a job as it is, and false if
// there is none with that id. The record is borrowed until the next call of a
// method of the engine. O(1).
func (e *Engine) Describe(id uint64) (*Record, bool) {
	slot := e.ids.get(id)
	if slot == 0 {
		return nil, false
	}
	return e.describeNow(slot), true
}

// Moved takes note of where the newest whole record of a job is. It is
// complete: nothing about the job is left untold. O(1).
func (e *Engine) Moved(id uint64, to Place) {
	slot := e.ids.get(id)
	if slot&coldBit != 0 {
		e.far.Value(wheel.Timer(slot &^ coldBit)).kept = to
		return
	}
	j := e.jobs.At(slot)
	j.kept, j.bare = to, false
	if j.work != 0 {
		e.works.At(j.work).stale = false
	}
}

// Jobs yields what is to be recorded of every job, by id. The records are
// borrowed until the next one. The engine must not be changed meanwhile, but
// by Moved. O(jobs log jobs).
func (e *Engine) Jobs() func(yield func(*Record) bool) {
	return func(yield func(*Record) bool) {
		e.ids.each(func(slot uint32) bool { return yield(e.describeNow(slot)) })
	}
}

// Untold yields the jobs of which the journal does not know all counts,
// because reserves and timeouts are not recorded as they happen; it takes
// them to be recorded.
func (e *Engine) Untold() func(yield func(*Record) bool) {
	return func(yield func(*Record) bool) {
		e.ids.each(func(slot uint32) bool {
			if slot&coldBit != 0 {
				return true
			}
			j := e.jobs.At(slot)
			if j.work == 0 || !e.works.At(j.work).stale {
				return true
			}
			e.works.At(j.work).stale = false
			return yield(e.describeNow(slot))
		})
	}
}

// A Pause is a tube that is paused.
type Pause struct {
	Tube   string
	Until  int64 // instant
	Length int64 // ns
}

// PauseOf returns the pause of the named tube, and false if it is not paused.
func (e *Engine) PauseOf(tube string) (Pause, bool) {
	t := e.byName[tube]
	if t == nil || t.pause == 0 {
		return Pause{}, false
	}
	return Pause{t.name, e.hub.At(t.pauseTimer), t.pause}, true
}

// Pauses yields all pauses, in the order in which the tubes are listed.
func (e *Engine) Pauses() func(yield func(Pause) bool) {
	return func(yield func(Pause) bool) {
		for _, t := range e.list {
			if t.pause > 0 && !yield(Pause{t.name, e.hub.At(t.pauseTimer), t.pause}) {
				return
			}
		}
	}
}

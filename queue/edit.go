package queue

import (
	"time"
)

// Move puts the job with that id into the named tube, which is made if there is
// none, in the same state, and with the same priority and deadline. Of those that
// are buried there it becomes the last. It returns ErrReserved if a client has
// reserved the job. O(log jobs).
func (e *Engine) Move(now int64, id uint64, tube []byte) error {
	slot, err := e.toEdit(id)
	if err != nil {
		return err
	}
	j := e.jobs.At(slot)
	from := e.tubes[j.tube]
	if from.name == string(tube) {
		return nil
	}
	if !e.mayChange() {
		return ErrOutOfMemory
	}
	state, at := j.state, int64(0)
	if state == Delayed {
		at = e.readyAt(slot)
	}
	e.detach(slot)
	j.tube = e.tubeOf(string(tube)).number
	if state == Buried {
		e.burials++
		e.works.At(j.work).since = e.burials
	}
	e.recordMove(j, from.name, state, at)
	if e.observer != nil {
		e.tell(JobMoved, now, j, state)
	}
	switch state {
	case Ready:
		e.makeReady(now, slot)
	case Delayed:
		e.makeDelayed(now, at, slot)
	case Buried:
		e.makeBuried(slot)
	}
	e.dropUnused(from)
	return nil
}

// A Change is what is to be another about a job; what is nil stays.
type Change struct {
	Pri   *uint32
	Delay *time.Duration // from now on
}

// Change changes the job with that id. With a delay, it is delayed from now on,
// whether it was ready or delayed; with a delay of 0, it is ready. It returns
// ErrReserved if a client has reserved the job, and ErrBuried if it is buried and
// c has a delay. O(log jobs).
func (e *Engine) Change(now int64, id uint64, c Change) error {
	slot, err := e.toEdit(id)
	if err != nil {
		return err
	}
	j := e.jobs.At(slot)
	if j.state == Buried && c.Delay != nil {
		return ErrBuried
	}
	if !e.mayChange() {
		return ErrOutOfMemory
	}
	state, at := j.state, int64(0)
	if state == Delayed {
		at = e.readyAt(slot)
	}
	if state == Ready || c.Delay != nil {
		e.detach(slot)
	}
	if c.Pri != nil {
		j.pri = *c.Pri
	}
	if c.Delay != nil {
		j.setDelay(int64(max(*c.Delay, 0)))
		state, at = stateAfter(j.getDelay()), now+j.getDelay()
	}
	e.recordChange(j, state, at)
	if e.observer != nil {
		e.tell(JobChanged, now, j, state)
	}
	switch {
	case state == Ready:
		e.makeReady(now, slot)
	case c.Delay != nil:
		e.makeDelayed(now, at, slot)
	}
	return nil
}

// toEdit returns the slot of the job with that id, which must not be reserved.
func (e *Engine) toEdit(id uint64) (slot uint32, err error) {
	slot = e.find(id)
	switch {
	case slot == 0:
		return 0, ErrNotFound
	case e.jobs.At(slot).state == Reserved:
		return 0, ErrReserved
	}
	return slot, nil
}

// Imported is a job that comes from elsewhere, with its past.
type Imported struct {
	Tube    string
	State   State // Ready, Delayed or Buried
	Pri     uint32
	Delay   time.Duration // as the last put or release said
	TTR     time.Duration // under a second counts as one second
	Created int64         // instant of the put
	At      int64         // if Delayed: the instant at which it is ready
	Body    []byte        // borrowed

	Reserves, Timeouts, Releases, Buries, Kicks uint32
}

// Import makes a job, with a new id, which it returns. It counts as put. A job
// whose delay is over is ready, and one that was put in the future, now. It returns
// ErrDraining and ErrOutOfMemory as a put does. O(log jobs).
func (e *Engine) Import(now int64, i *Imported) (id uint64, err error) {
	if e.draining {
		return 0, ErrDraining
	}
	size := uint32(len(i.Body))
	if !e.hasRoom(size) || e.journal != nil && !e.journal.Room(i.Tube, len(i.Body)) {
		return 0, ErrOutOfMemory
	}
	body, ok := e.bodies.Alloc(size)
	if !ok {
		return 0, ErrOutOfMemory
	}
	copy(e.bodies.At(body), i.Body)
	t := e.tubeOf(i.Tube)
	slot, j := e.jobs.New()
	*j = job{id: e.nextID, created: min(i.Created, now), body: body, pri: i.Pri, tube: t.number}
	e.nextID++
	j.setDelay(int64(max(i.Delay, 0)))
	j.setTTR(int64(max(i.TTR, time.Second)))
	state := i.State
	if state != Buried && (state != Delayed || i.At <= now) {
		state = Ready
	}
	e.importPast(j, i, state)
	e.enterNew(now, i.At, slot, t, state)
	return j.id, nil
}

// importPast gives j the past of what it is imported from.
func (e *Engine) importPast(j *job, i *Imported, s State) {
	if s != Buried && i.Reserves|i.Timeouts|i.Releases|i.Buries|i.Kicks == 0 {
		return
	}
	w := e.workOf(j)
	w.reserves, w.timeouts, w.releases, w.buries, w.kicks = i.Reserves, i.Timeouts, i.Releases, i.Buries, i.Kicks
	if s == Buried {
		e.burials++
		w.since = e.burials
	}
}

// enterNew enters a job that has been imported into t.
func (e *Engine) enterNew(now, at int64, slot uint32, t *tube, s State) {
	j := e.jobs.At(slot)
	e.ids.put(j.id, slot)
	t.total++
	e.stats.TotalJobs++
	e.putSinceTrim++
	if e.journal != nil {
		j.kept = e.journal.Job(e.describe(j, s, at))
	}
	if j.kept != (Place{}) && (e.stores() || s == Delayed && e.storesFar(at-now)) {
		e.store(j)
	}
	if e.observer != nil {
		e.tell(JobPut, now, j, s)
	}
	switch s {
	case Ready:
		e.makeReady(now, slot)
	case Delayed:
		if !e.freeze(now, at, slot) {
			e.makeDelayed(now, at, slot)
		}
	case Buried:
		e.makeBuried(slot)
	}
}

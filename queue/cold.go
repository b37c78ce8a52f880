package queue

import (
	"fmt"

	"spoked/internal/slab"
	"spoked/wheel"
)

// A job that is far from being ready is kept cold if its body can be left to
// the journal: nothing is asked of it but to wait. All there is to know about
// it is in its entry on a hub of its tube, the spokes of which hold no jobs but
// entries: 48 bytes, where a job that is not cold takes 88 and its body.
//
// It is thawed when it becomes ready, is kicked, or reserved by its id. That
// takes no look at the disk. The body stays where it is until it is sent to
// somebody.
type cold struct {
	id    [2]uint32 // lower and upper half: an entry has no room for padding
	kind  uint32    // in Engine.kinds
	kept  Place
	size  uint32 // of the body
	delay uint32 // seconds
}

func (c *cold) jobID() uint64 { return uint64(c.id[0]) | uint64(c.id[1])<<32 }

// coldBit tells a cold job in the table of ids: the rest is its wheel.Timer on
// the hub of its tube.
const coldBit = 1 << 31

// mostJobs is far from what a slot can tell from a cold job.
const mostJobs = 1 << 30

// coldAfter is from which delay on, in ns, a job is kept cold.
const coldAfter = 600 * 1_000_000_000

// kind is what many cold jobs have in common.
type kind struct {
	tube     uint32
	pri      uint32
	ttr      uint32
	ttrUnit  unit
	sharedBy int // cold jobs
}

// kindTable numbers kinds. There are not more of them than mostKinds: when
// nearly each job is of a kind of its own, sharing gains nothing.
type kindTable struct {
	kinds  []kind
	number map[kind]uint32 // with sharedBy 0
	free   []uint32
	last   uint32 // added to
}

const mostKinds = 1 << 16

// share returns the number of k, for one more job, and false if there are too
// many others. Amortised O(1).
func (t *kindTable) share(k kind) (number uint32, ok bool) {
	if int(t.last) < len(t.kinds) {
		l := &t.kinds[t.last]
		if k.sharedBy = l.sharedBy; *l == k && k.sharedBy > 0 {
			l.sharedBy++
			return t.last, true
		}
		k.sharedBy = 0
	}
	n, ok := t.number[k]
	switch {
	case ok:
	case len(t.free) > 0:
		n, t.free = t.free[len(t.free)-1], t.free[:len(t.free)-1]
		t.kinds[n] = k
	case len(t.kinds) < mostKinds:
		n = uint32(len(t.kinds))
		t.kinds = append(t.kinds, k)
	default:
		return 0, false
	}
	if !ok {
		if t.number == nil {
			t.number = map[kind]uint32{}
		}
		t.number[k] = n
	}
	t.kinds[n].sharedBy++
	t.last = n
	return n, true
}

// leave takes note that a job less is of a kind. O(1).
func (t *kindTable) leave(n uint32) {
	k := &t.kinds[n]
	if k.sharedBy--; k.sharedBy > 0 {
		return
	}
	delete(t.number, *k)
	t.free = append(t.free, n)
	if len(t.number) == 0 {
		*t = kindTable{} // let go of the room they took
	}
}

// freeze keeps the job in slot cold, which is in no state and would be ready
// at the instant at, and reports whether it did. The slot is free then.
func (e *Engine) freeze(now, at int64, slot uint32) bool {
	j := e.jobs.At(slot)
	if !e.paged() || at-now < coldAfter || j.work != 0 || j.kept == (Place{}) || j.bare ||
		j.delayUnit != seconds || at != j.created+j.getDelay() {
		return false
	}
	k, ok := e.kinds.share(kind{tube: j.tube, pri: j.pri, ttr: j.ttr, ttrUnit: j.ttrUnit})
	if !ok {
		return false
	}
	if !j.stored {
		e.store(j)
	}
	t := e.tubes[j.tube]
	if t.far == nil {
		t.far = wheel.NewHub(e.far, now)
	}
	timer := t.far.Add(at, cold{
		id: [2]uint32{uint32(j.id), uint32(j.id >> 32)}, kind: k, kept: j.kept, size: j.body.Len, delay: j.delay,
	})
	e.ids.set(j.id, coldBit|uint32(timer))
	e.count(t, Delayed)
	j.state = gone
	e.jobs.Free(slot)
	e.wakeFor(t)
	return true
}

// find returns the slot of the job with that id, or 0. A job that is cold is
// thawed. O(1).
func (e *Engine) find(id uint64) uint32 {
	slot := e.ids.get(id)
	if slot&coldBit == 0 {
		return slot
	}
	return e.thawed(wheel.Timer(slot &^ coldBit))
}

// thawed has the cold job be delayed like others, and returns its slot.
func (e *Engine) thawed(timer wheel.Timer) (slot uint32) {
	t := e.coldTube(timer)
	at := t.far.At(timer)
	slot = e.thaw(at, t.far.Remove(timer))
	e.jobs.At(slot).place = uint32(e.delayedHub(t, e.hub.Now()).Add(at, slot))
	e.wakeFor(t)
	return slot
}

// coldTube returns the tube of a cold job.
func (e *Engine) coldTube(timer wheel.Timer) *tube {
	return e.tubes[e.kinds.kinds[e.far.Value(timer).kind].tube]
}

// thaw makes a delayed job of what was on the hub of cold ones, due at at. It
// is not on a hub yet.
func (e *Engine) thaw(at int64, c cold) (slot uint32) {
	slot, j := e.jobs.New()
	*j = e.warm(at, &c)
	e.ids.set(j.id, slot)
	e.kinds.leave(c.kind)
	return slot
}

// warm returns the record of a cold job that is ready at at.
func (e *Engine) warm(at int64, c *cold) job {
	k := e.kinds.kinds[c.kind]
	return job{
		id: c.jobID(), created: at - unpack(c.delay, seconds),
		body: slab.Elsewhere(c.size), stored: c.size > 0, kept: c.kept,
		pri: k.pri, tube: k.tube, ttr: k.ttr, ttrUnit: k.ttrUnit,
		delay: c.delay, delayUnit: seconds, state: Delayed,
	}
}

// firstDelayed returns the slot of the delayed job of t that is ready first, or
// coldBit and its timer, and when that is; false if there is none. Of those that
// are ready at one instant, it is the one that has been delayed longest.
// Amortised O(1).
func (e *Engine) firstDelayed(t *tube) (slot uint32, at int64, ok bool) {
	if t.delayed != nil {
		slot, at, ok = t.delayed.First()
	}
	if t.far == nil || t.far.Len() == 0 {
		return slot, at, ok
	}
	if next, _ := t.far.Next(); ok && next > at {
		return slot, at, ok
	}
	timer, farAt, _ := t.far.FirstTimer()
	if ok && (farAt > at || farAt == at && e.jobs.At(slot).before(e.far.Value(timer))) {
		return slot, at, ok
	}
	return coldBit | uint32(timer), farAt, true
}

// before reports whether j has been delayed for longer than c. Both are ready
// at the same instant.
func (j *job) before(c *cold) bool {
	if a, b := j.getDelay(), unpack(c.delay, seconds); a != b {
		return a > b
	}
	return j.id < c.jobID()
}

// firstWarm is firstDelayed of a tube that has some, but thaws a cold one.
func (e *Engine) firstWarm(t *tube) (slot uint32) {
	slot, _, _ = e.firstDelayed(t)
	if slot&coldBit != 0 {
		slot = e.thawed(wheel.Timer(slot &^ coldBit))
	}
	return slot
}

// popDelayed takes the first delayed job of t off its hub if it is ready at
// limit. It counts as delayed still.
func (e *Engine) popDelayed(t *tube, limit int64) (slot uint32, ok bool) {
	if t.far != nil {
		if next, some := t.far.Next(); some && next <= limit {
			if first, at, _ := e.firstDelayed(t); first&coldBit != 0 {
				if at > limit {
					return 0, false
				}
				c, _, _ := t.far.PopDue(limit)
				return e.thaw(at, c), true
			}
		}
	}
	if t.delayed == nil {
		return 0, false
	}
	slot, _, ok = t.delayed.PopDue(limit)
	return slot, ok
}

// endCold deletes a cold job.
func (e *Engine) endCold(now int64, timer wheel.Timer) {
	j := e.jobAt(coldBit | uint32(timer))
	t := e.tubes[j.tube]
	t.deletes++
	e.stats.Deletes++
	e.recordEnd(&j)
	if e.observer != nil {
		e.tell(JobDeleted, now, &j, Delayed)
	}
	e.kinds.leave(t.far.Remove(timer).kind)
	e.leave(&j, t)
	e.freeBody(&j)
	e.ids.remove(j.id)
	e.wakeFor(t)
	e.dropUnused(t)
}

// idAt returns the id of the job behind an entry of the table of ids.
func (e *Engine) idAt(slot uint32) uint64 {
	if slot&coldBit == 0 {
		return e.jobs.At(slot).id
	}
	return e.far.Value(wheel.Timer(slot &^ coldBit)).jobID()
}

// jobAt returns a copy of the record behind an entry of the table of ids, cold
// or not.
func (e *Engine) jobAt(slot uint32) job {
	if slot&coldBit == 0 {
		return *e.jobs.At(slot)
	}
	timer := wheel.Timer(slot &^ coldBit)
	return e.warm(e.coldTube(timer).far.At(timer), e.far.Value(timer))
}

// readyAt returns when a delayed job is ready, cold or not.
func (e *Engine) readyAt(slot uint32) int64 {
	if slot&coldBit == 0 {
		j := e.jobs.At(slot)
		return e.tubes[j.tube].delayed.At(timerOf(j))
	}
	timer := wheel.Timer(slot &^ coldBit)
	return e.coldTube(timer).far.At(timer)
}

// checkCold is the part of Check about the cold jobs of t.
func (e *Engine) checkCold(t *tube) (n int, err error) {
	if t.far == nil {
		return 0, nil
	}
	if err := t.far.Check(); err != nil {
		return 0, err
	}
	for timer := range t.far.All() {
		c := e.far.Value(timer)
		k := e.kinds.kinds[c.kind]
		if e.tubes[k.tube] != t || e.ids.get(c.jobID()) != coldBit|uint32(timer) || k.sharedBy == 0 {
			return n, fmt.Errorf("cold job %d is not where it belongs", c.jobID())
		}
		n++
	}
	return n, nil
}

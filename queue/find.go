package queue

import (
	"bytes"
	"cmp"
	"slices"

	"spoked/wheel"
)

// A Query says which jobs are looked for. The zero Query is all.
type Query struct {
	Tube     string   // "" is any
	States   StateSet // 0 is all
	Contains []byte   // in the body; empty is any
	Until    uint64   // only jobs with an id below; 0 is no bound
}

// Found is a job that was found.
type Found struct {
	JobStats
	Job        Job  // the body is borrowed, or Stored
	Unsearched bool // the body is in the journal alone, and Contains could not be looked for
}

// The work of Find, in jobs that do not match.
const (
	workPage  = 32 // to go on to a page of ids
	workFound = 32 // to yield a job
	workBody  = 64 // bytes of a body that are searched
)

// Find calls yield with the jobs that q asks for with an id above after, in the
// order of their ids. It does about as much work as looking at so many jobs that do
// not match, one of which takes some 20 ns, and returns the id that it has come to,
// for the next call to go on from, and whether it has come to the end. A job found
// counts as 32 of them, and searching a body of n KiB as 16n. When yield returns
// false, Find returns that job's id.
//
// What it yields is borrowed until the next one. The engine must not be changed
// meanwhile. It looks at all jobs, unless it can tell that those it looks for are
// few among these, in a tube that has less than a thousand of them.
func (e *Engine) Find(now int64, q *Query, after uint64, work int, yield func(*Found) bool) (last uint64, end bool) {
	f := finder{e: e, q: q, now: now, yield: yield, work: work, last: after}
	if q.Tube != "" {
		if f.tube = e.byName[q.Tube]; f.tube == nil {
			return after, true
		}
	}
	until := e.nextID
	if q.Until > 0 {
		until = min(until, q.Until)
	}
	if f.tube != nil && f.fewer() {
		return f.last, f.pick(until)
	}
	return f.last, f.walk(until)
}

// finder is a Find under way.
type finder struct {
	e     *Engine
	q     *Query
	tube  *tube // or nil
	now   int64
	yield func(*Found) bool
	work  int    // left
	last  uint64 // id that it has come to
	found Found
}

// fewJobs is up to how many jobs are looked for where their tube and their owners
// have them, if they are less than one in fewAmong.
const (
	fewJobs  = 1024
	fewAmong = 4
)

// wants reports whether jobs in state s are looked for.
func (f *finder) wants(s State) bool { return f.q.States == 0 || f.q.States.Has(s) }

// fewer reports whether it is less work to pick than to walk. Reserved jobs are with
// their owners, so if there are any in the tube, all that are reserved count.
func (f *finder) fewer() bool {
	n := 0
	for s, jobs := range f.tube.jobs {
		switch {
		case !f.wants(State(s)):
		case State(s) != Reserved:
			n += jobs
		case jobs > 0:
			n += f.e.stats.Jobs[Reserved] + len(f.e.clients)
		}
	}
	return n <= fewJobs && n*fewAmong < f.e.Len()
}

// pick goes through the jobs of a tube that has few of those that are looked for, with
// ids behind f.last and below until, and reports whether it has come to the end.
func (f *finder) pick(until uint64) (end bool) {
	slots := f.slots()
	f.work -= len(slots) + workPage
	slices.SortFunc(slots, func(a, b uint32) int { return cmp.Compare(f.e.idAt(a), f.e.idAt(b)) })
	for _, slot := range slots {
		id := f.e.idAt(slot)
		if id <= f.last || id >= until {
			continue
		}
		f.last = id
		if !f.look(slot) {
			return false
		}
		if f.work <= 0 {
			return f.last >= until-1
		}
	}
	f.last = max(f.last, until-1)
	return true
}

// slots returns the jobs that pick goes through, in any order.
func (f *finder) slots() (slots []uint32) {
	e, t := f.e, f.tube
	if f.wants(Ready) {
		for i := range t.ready.len() {
			slots = append(slots, t.ready.at(i).slot)
		}
	}
	if f.wants(Buried) {
		for slot := t.buried.head; slot != 0; slot = e.workAt(slot).next {
			slots = append(slots, slot)
		}
	}
	if f.wants(Delayed) && t.delayed != nil {
		for timer := range t.delayed.All() {
			slots = append(slots, *e.waits.Value(timer))
		}
	}
	if f.wants(Delayed) && t.far != nil {
		for timer := range t.far.All() {
			slots = append(slots, coldBit|uint32(timer))
		}
	}
	if !f.wants(Reserved) || t.jobs[Reserved] == 0 {
		return slots
	}
	for _, c := range e.clients {
		if c == nil {
			continue
		}
		for slot := c.reserved.head; slot != 0; slot = e.workAt(slot).next {
			slots = append(slots, slot) // of other tubes, too: look tells
		}
	}
	return slots
}

// walk goes through the ids behind f.last and below until, and reports whether it
// has come to the end.
func (f *finder) walk(until uint64) (end bool) {
	ids := &f.e.ids
	for f.work > 0 {
		if f.last >= until-1 {
			return true
		}
		no, ok := ids.next((f.last+1)/idsPerPage, &f.work)
		if !ok && f.work > 0 {
			f.last = until - 1 // there is none
			return true
		}
		if first := no * idsPerPage; first > f.last {
			f.last = min(first, until) - 1
		}
		if !ok || f.last == until-1 {
			continue // no work is left to find the next page, or it is behind the end
		}
		f.work -= workPage
		for p, few := ids.page(no); f.last < min((no+1)*idsPerPage, until)-1; {
			f.last++
			slot := uint32(0)
			if p != nil {
				slot = p.slots[f.last%idsPerPage]
			}
			if slot == 0 && few {
				slot = ids.sparse[f.last]
				f.work--
			}
			if slot == 0 {
				continue
			}
			if f.work--; !f.look(slot) {
				return false
			}
			if f.work <= 0 {
				break
			}
		}
	}
	return f.last >= until-1
}

// look yields the job in slot if it is looked for, and reports whether the walk
// goes on.
func (f *finder) look(slot uint32) bool {
	e := f.e
	var t *tube
	state := Delayed
	if slot&coldBit != 0 {
		t = e.coldTube(wheel.Timer(slot &^ coldBit))
	} else {
		j := e.jobs.At(slot)
		t, state = e.tubes[j.tube], j.state
	}
	if f.tube != nil && t != f.tube || !f.wants(state) {
		return true
	}
	j := e.jobAt(slot)
	f.found.Job = e.viewOf(&j)
	f.found.Unsearched = false
	if n := len(f.q.Contains); n > int(j.body.Len) {
		return true
	} else if n > 0 {
		f.found.Unsearched = j.stored
		f.work -= len(f.found.Job.Body) / workBody
		if !j.stored && !bytes.Contains(f.found.Job.Body, f.q.Contains) {
			return true
		}
	}
	f.work -= workFound
	f.found.JobStats = e.jobStats(f.now, slot, &j)
	return f.yield(&f.found)
}

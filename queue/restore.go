package queue

import (
	"cmp"
	"maps"
	"slices"

	"spoked/internal/slab"
)

// A Restorer fills an engine that has no clients with what a journal has
// kept, record by record in the order in which they were made. Until Finish
// the engine must not be used otherwise.
type Restorer struct {
	engine *Engine
	now    int64
	pauses map[string]Pause
}

// Restore begins to fill e, which must be new. What was to happen by itself
// before the instant now has happened.
func (e *Engine) Restore(now int64) *Restorer {
	return &Restorer{engine: e, now: now, pauses: map[string]Pause{}}
}

// Job makes the job that r describes, or if there is one with its id, makes it
// so. The body is copied. After an error the engine is of no use. O(1).
func (s *Restorer) Job(r *Record) error {
	e := s.engine
	slot := e.find(r.ID)
	var j *job
	if slot != 0 {
		s.take(slot)
		j = e.jobs.At(slot)
		e.freeBody(j)
	} else {
		slot, j = e.jobs.New()
		e.ids.restore(r.ID, slot)
		s.Seen(r.ID)
	}
	t := e.tubeOf(r.Tube)
	*j = job{id: r.ID, created: r.Created, tube: t.number, kept: r.Place, bare: r.Bare, work: j.work}
	j.setTTR(r.TTR)
	if !e.pages.HasRoom() {
		return ErrOutOfMemory
	}
	e.trim(trimmedMore)
	if n := uint32(len(r.Body)); n > 0 && e.paged() && r.Place != (Place{}) && !r.Bare && (e.storesRestored() || r.State == Delayed && e.storesFar(r.At-s.now)) {
		j.body, j.stored = slab.Elsewhere(n), true
		e.storedBytes += int64(n)
	} else {
		body, ok := e.bodies.Alloc(n)
		if !ok {
			return ErrOutOfMemory
		}
		copy(e.bodies.At(body), r.Body)
		j.body = body
	}
	s.put(slot, t, r)
	return nil
}

// tubeOf returns the tube of that name, and makes it if there is none.
func (e *Engine) tubeOf(name string) *tube {
	if t := e.byName[name]; t != nil {
		return t
	}
	return e.makeTube([]byte(name))
}

// Change sets what can change of a job, and reports whether there is one. O(1).
func (s *Restorer) Change(r *Record) bool {
	e := s.engine
	slot := e.find(r.ID)
	s.Seen(r.ID)
	if slot == 0 {
		return false
	}
	s.take(slot)
	s.put(slot, e.tubes[e.jobs.At(slot).tube], r)
	return true
}

// Move is Change, and has the job be in the tube of r. O(1).
func (s *Restorer) Move(r *Record) bool {
	e := s.engine
	slot := e.find(r.ID)
	s.Seen(r.ID)
	if slot == 0 {
		return false
	}
	s.take(slot)
	t := e.tubeOf(r.Tube)
	e.jobs.At(slot).tube = t.number
	s.put(slot, t, r)
	return true
}

// End forgets a job, and reports whether there was one. O(1).
func (s *Restorer) End(id uint64) bool {
	e := s.engine
	slot := e.find(id)
	s.Seen(id)
	if slot == 0 {
		return false
	}
	s.take(slot)
	e.free(slot)
	return true
}

// Pause has a tube paused until an instant; with a length of 0, not paused.
func (s *Restorer) Pause(p Pause) {
	delete(s.pauses, p.Tube)
	if p.Length > 0 && p.Until > s.now {
		s.pauses[p.Tube] = p
	}
}

// Seen takes note that there was a job with that id.
func (s *Restorer) Seen(id uint64) { s.engine.nextID = max(s.engine.nextID, id+1) }

// SeenBurial takes note that there was a burial with that number.
func (s *Restorer) SeenBurial(n uint64) { s.engine.burials = max(s.engine.burials, n) }

// take takes the job in slot out of its state.
func (s *Restorer) take(slot uint32) {
	e := s.engine
	j := e.jobs.At(slot)
	t := e.tubes[j.tube]
	switch j.state {
	case Ready:
		t.ready.take(e.jobs, int(j.place))
	case Delayed:
		t.delayed.Remove(timerOf(j))
	}
	e.leave(j, t)
}

// put enters the job in slot into the state that r says, with what r says.
// Buried jobs are linked by Finish.
func (s *Restorer) put(slot uint32, t *tube, r *Record) {
	e := s.engine
	state := r.State
	if state == Delayed && r.At <= s.now {
		state = Ready
	}
	j := e.jobs.At(slot)
	j.pri = r.Pri
	j.setDelay(r.Delay)
	worked := r.Reserves|r.Timeouts|r.Releases|r.Buries|r.Kicks != 0
	if state == Delayed && !worked && e.freeze(s.now, r.At, slot) {
		return
	}
	e.enter(slot, state)
	switch state {
	case Ready:
		t.ready.add(e.jobs, readyItem{j.id, j.pri, slot})
	case Delayed:
		j.place = uint32(e.delayedHub(t, s.now).Add(r.At, slot))
	}
	if j.work != 0 || state == Buried || worked {
		w := e.workOf(j)
		w.reserves, w.timeouts, w.releases, w.buries, w.kicks = r.Reserves, r.Timeouts, r.Releases, r.Buries, r.Kicks
		w.since = r.Burial
		s.SeenBurial(r.Burial)
	}
}

// Finish orders what has been restored: the engine is ready for use. O(jobs),
// apart from sorting the buried ones.
func (s *Restorer) Finish() {
	e := s.engine
	e.ids.sweep()
	for _, name := range slices.Sorted(maps.Keys(s.pauses)) {
		p, t := s.pauses[name], e.tubeOf(name)
		t.pause = p.Length
		t.pauseTimer = e.hub.Add(p.Until, due{duePause, t.number})
		t.restored = true
	}
	buried := map[*tube][]uint32{}
	e.ids.each(func(slot uint32) bool {
		if slot&coldBit != 0 {
			return true
		}
		switch j := e.jobs.At(slot); j.state {
		case Buried:
			t := e.tubes[j.tube]
			buried[t] = append(buried[t], slot)
		case Ready:
			if j.pri < UrgentBelow {
				e.tubes[j.tube].urgent++
				e.stats.Urgent++
			}
		}
		return true
	})
	for t, slots := range buried {
		slices.SortStableFunc(slots, func(a, b uint32) int {
			return cmp.Compare(e.workAt(a).since, e.workAt(b).since)
		})
		for _, slot := range slots {
			e.leave(e.jobs.At(slot), t)
			e.makeBuried(slot)
		}
	}
	for _, t := range slices.Clone(e.list) {
		t.ready.order(e.jobs)
		e.wakeFor(t)
		e.dropUnused(t)
	}
}

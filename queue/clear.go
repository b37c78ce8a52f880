package queue

import "spoked/wheel"

// Clear deletes the jobs of the named tube that are in one of these states and
// were put before: those with an id below the next one. Reserved jobs go, too, if
// the set has that state; their owners find them gone. A job that changes its state
// or its tube meanwhile is deleted as it is when its turn comes, or not.
//
// As a Kick, Clear returns how many it has deleted if it is done at once. Else it
// goes on in Advance, in portions, and c, if it is not nil, is busy until it gets a
// Wake with Cleared and the Count; when c leaves, the clear goes on. It returns
// ErrNotFound if there is no such tube. O(jobs of the tube); if jobs of these states
// are left in it that were put later, or are hard to come by, it looks at the
// records of all the jobs of the engine, once: a million takes some milliseconds.
func (e *Engine) Clear(now int64, c *Client, name []byte, states StateSet) (n uint32, done bool, err error) {
	t := e.byName[string(name)]
	if t == nil {
		return 0, false, ErrNotFound
	}
	k := &clearing{tube: t, states: states, until: e.nextID}
	t.clears++
	if e.atOnce(now, k) {
		k.end(e, now)
		return k.cleared, true, nil
	}
	if k.client = c; c != nil {
		c.clear = k
	}
	e.later(k)
	return k.cleared, false, nil
}

// clearing is a clear under way. It keeps the tube.
//
// It goes in three phases. While it can, it takes jobs from where the tube has them
// first or last, which costs least. Where one stands in the way that is to stay, it
// goes through the entries of all cold jobs, and then through the records of all
// others: there each has a place that does not change, so that none is missed,
// whatever happens meanwhile. A cold job becomes one of the others, but not the
// reverse.
type clearing struct {
	client  *Client // that waits for it; nil if none does
	tube    *tube
	states  StateSet
	until   uint64 // the id of the first job that stays
	cleared uint32

	phase clearPhase
	timer wheel.Timer // of the cold job looked at last
	slot  uint32      // of the job looked at last
}

type clearPhase uint8

const (
	clearEnds clearPhase = iota
	clearCold
	clearSlots
)

// clearLooks is how many records are looked at in a step.
const clearLooks = 16

func (k *clearing) step(e *Engine, now int64) (done bool) {
	if k.left() == 0 {
		return true
	}
	switch k.phase {
	case clearEnds:
		if slot := k.next(e); slot != 0 {
			k.delete(e, now, slot)
		} else {
			k.phase = clearCold
		}
	case clearCold:
		if !k.states.Has(Delayed) || k.tube.far == nil || k.tube.far.Len() == 0 || k.stepCold(e, now) {
			k.phase = clearSlots
		}
	case clearSlots:
		return k.stepSlots(e, now)
	}
	return false
}

// left returns how many jobs the tube has in the states that are to be cleared.
func (k *clearing) left() (n int) {
	for s, jobs := range k.tube.jobs {
		if k.states.Has(State(s)) {
			n += jobs
		}
	}
	return n
}

// next returns the slot of a job that is at hand, perhaps a cold one's, or 0. The
// delayed jobs of a tube that has most of them all are left to the later phases: to
// bring them into order would take longer.
func (k *clearing) next(e *Engine) (slot uint32) {
	t := k.tube
	if k.states.Has(Ready) && t.ready.len() > 0 {
		for _, it := range [...]readyItem{*t.ready.at(t.ready.len() - 1), t.ready.top()} {
			if it.id < k.until {
				return it.slot
			}
		}
	}
	if slot = t.buried.head; k.states.Has(Buried) && slot != 0 && e.jobs.At(slot).id < k.until {
		return slot
	}
	if k.states.Has(Delayed) && t.jobs[Delayed] > 0 && t.jobs[Delayed] < e.Len()/8 {
		slot, _, _ = e.firstDelayed(t)
		if e.idAt(slot) < k.until {
			return slot
		}
	}
	return 0
}

// stepCold looks at a few cold jobs, and reports whether those were the last.
func (k *clearing) stepCold(e *Engine, now int64) (end bool) {
	for range clearLooks {
		if k.timer = e.far.Next(k.timer); k.timer == 0 {
			return true
		}
		slot := coldBit | uint32(k.timer)
		if c := e.far.Value(k.timer); c.jobID() < k.until && e.ids.get(c.jobID()) == slot && e.coldTube(k.timer) == k.tube {
			k.delete(e, now, slot)
			return false
		}
	}
	return false
}

// stepSlots looks at a few jobs that are not cold, and reports whether those were
// the last.
func (k *clearing) stepSlots(e *Engine, now int64) (end bool) {
	for range clearLooks {
		next := e.jobs.Next(k.slot)
		if next == 0 {
			return true
		}
		j := e.jobs.At(next)
		if j.state == gone || j.tube != k.tube.number || j.id >= k.until || !k.states.Has(j.state) {
			k.slot = next
			continue
		}
		if j.state == Reserved && e.toBeWoken(next) {
			return false // with the next portion, when its owner has got it
		}
		k.slot = next
		k.delete(e, now, next)
		return false
	}
	return false
}

// toBeWoken reports whether a client is yet to be told of the job in slot.
func (e *Engine) toBeWoken(slot uint32) bool {
	for i := range e.wakes {
		if e.wakes[i].outcome == Given && e.wakes[i].slot == slot {
			return true
		}
	}
	return false
}

// delete deletes the job in slot, cold or not.
func (k *clearing) delete(e *Engine, now int64, slot uint32) {
	if slot&coldBit != 0 {
		e.endCold(now, wheel.Timer(slot&^coldBit))
	} else {
		e.end(now, slot)
	}
	k.cleared++
}

func (k *clearing) end(e *Engine, _ int64) {
	if k.client != nil {
		k.client.clear = nil
		e.wakes = append(e.wakes, wake{client: k.client, outcome: Cleared, count: k.cleared})
	}
	k.tube.clears--
	e.dropUnused(k.tube)
}

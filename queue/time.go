package queue

import "math"

// Next returns an instant no later than the earliest at which something
// happens by itself, and false if nothing will. While there is Unfinished work
// that is an instant before all others. O(1).
func (e *Engine) Next() (at int64, ok bool) {
	if e.Unfinished() {
		return math.MinInt64, true
	}
	return e.hub.Next()
}

// Advance lets happen what is due at or before now: delayed jobs become
// ready, reservations end, pauses end, waiting clients time out, in the order
// of their instants. It goes on with long commands, too, to which it leaves
// half of its time. It stops after about limit steps and then reports that
// there is more; a limit keeps a million jobs due at once from holding up
// everybody. It must be called before the commands that are to see its effects.
func (e *Engine) Advance(now int64, limit int) (more bool) {
	e.budget = e.portions.turn
	share := limit
	if e.Unfinished() {
		share = (limit + 1) / 2
	}
	left := e.happen(now, share)
	e.goOn(now, max(limit-share+left, 1))
	next, ok := e.hub.Next()
	return ok && next <= now || e.Unfinished()
}

// happen lets happen what is due, up to about limit things, and returns how
// much of the limit is left.
func (e *Engine) happen(now int64, limit int) (left int) {
	for limit > 0 {
		d, at, ok := e.hub.PopDue(now)
		if !ok {
			return limit
		}
		limit--
		woken := len(e.wakes)
		switch d.kind {
		case dueReservation:
			e.reservationDue(now, at, d.what)
		case dueTimeout, dueLastCall:
			c := e.clients[d.what]
			c.timer = 0
			if next, ok := e.hub.Next(); d.kind == dueTimeout && ok && next <= at {
				c.timer = e.hub.Add(at, due{dueLastCall, d.what}) // a job may come at the last moment
			} else {
				e.wake(c, TimedOut, 0)
			}
		case duePause:
			t := e.tubes[d.what]
			t.pauseTimer = 0
			if !e.resume(now, t, 1+limit/wakeCost) {
				t.pauseTimer = e.hub.Add(at, d)
			}
		case dueDelayed:
			t := e.tubes[d.what]
			t.wake = 0
			limit -= e.delayedDue(now, t, limit+1)
		}
		limit -= wakeCost * (len(e.wakes) - woken)
	}
	return 0
}

// reservationDue begins the last second of a reservation, or ends it.
func (e *Engine) reservationDue(now, at int64, slot uint32) {
	w := e.works.At(e.jobs.At(slot).work)
	w.timer = 0
	if w.soon {
		w.timeouts++
		w.stale = true
		e.stats.Timeouts++
		e.tubes[e.jobs.At(slot).tube].timeouts++
		e.detach(slot)
		if e.observer != nil {
			e.tell(JobTimedOut, now, e.jobs.At(slot), Ready)
		}
		e.makeReady(now, slot)
		return
	}
	c := e.clients[w.owner]
	c.soon++
	w.soon = true
	w.timer = e.hub.Add(at+margin+1, due{dueReservation, slot})
	if c.waiting {
		e.wake(c, DeadlineSoon, 0)
	}
}

// delayedDue makes up to limit delayed jobs of t ready, as long as nothing
// else is due before, and returns how many. It stops when many clients have
// been woken.
func (e *Engine) delayedDue(now int64, t *tube, limit int) (n int) {
	for woken := len(e.wakes); n+wakeCost*(len(e.wakes)-woken) < limit; n++ {
		until := now
		if next, ok := e.hub.Next(); ok {
			until = min(until, next)
		}
		slot, ok := e.popDelayed(t, until)
		if !ok {
			break
		}
		e.leave(e.jobs.At(slot), t)
		if e.observer != nil {
			e.tell(JobReady, now, e.jobs.At(slot), Ready)
		}
		e.makeReady(now, slot)
	}
	e.wakeFor(t)
	return n
}

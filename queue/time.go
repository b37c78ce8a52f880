package queue

// Next returns an instant no later than the earliest at which something
// happens by itself, and false if nothing will. O(1).
func (e *Engine) Next() (at int64, ok bool) { return e.hub.Next() }

// Advance lets happen what is due at or before now: delayed jobs become
// ready, reservations end, pauses end, waiting clients time out, in the order
// of their instants. It stops after about limit of these and then reports
// that there is more; a limit keeps a million jobs due at once from holding
// up everybody. It must be called before the commands that are to see its
// effects.
func (e *Engine) Advance(now int64, limit int) (more bool) {
	for ; limit > 0; limit-- {
		d, at, ok := e.hub.PopDue(now)
		if !ok {
			return false
		}
		switch d.kind {
		case dueReservation:
			e.reservationDue(now, at, d.what)
		case dueTimeout, dueLastCall:
			c := e.clients[d.what]
			c.timer = 0
			if next, ok := e.hub.Next(); d.kind == dueTimeout && ok && next <= at {
				c.timer = e.hub.Add(at, due{dueLastCall, d.what}) // a job may come at the last moment
				continue
			}
			e.wake(c, TimedOut, 0)
		case duePause:
			t := e.tubes[d.what]
			t.pause, t.pauseTimer = 0, 0
			e.resume(now, t)
		case dueDelayed:
			t := e.tubes[d.what]
			t.wake = 0
			limit -= e.delayedDue(now, t, limit)
		}
	}
	next, ok := e.hub.Next()
	return ok && next <= now
}

// reservationDue begins the last second of a reservation, or ends it.
func (e *Engine) reservationDue(now, at int64, slot uint32) {
	w := e.works.At(e.jobs.At(slot).work)
	w.timer = 0
	if w.soon {
		w.timeouts++
		w.stale = true
		e.stats.Timeouts++
		e.makeReady(now, e.detach(slot))
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
// else is due before, and returns how many. Each counts against the limit of
// Advance.
func (e *Engine) delayedDue(now int64, t *tube, limit int) (n int) {
	for ; n < limit; n++ {
		until := now
		if next, ok := e.hub.Next(); ok {
			until = min(until, next)
		}
		slot, ok := e.popDelayed(t, until)
		if !ok {
			break
		}
		e.leave(e.jobs.At(slot), t)
		e.makeReady(now, slot)
	}
	e.wakeFor(t)
	return n
}

package queue

import (
	"time"

	"spoked/wheel"
)

// A job changes its state in two steps: detach takes it from where its old
// state keeps it, and one of the make functions puts it where the new one
// does. Between the two it is in no state.

// detach takes the job in slot from the heap, the hub, the list or the owner
// that has it.
func (e *Engine) detach(slot uint32) uint32 {
	j := e.jobs.At(slot)
	t := e.tubes[j.tube]
	switch j.state {
	case Ready:
		t.ready.remove(e.jobs, int(j.place))
		if j.pri < UrgentBelow {
			t.urgent--
			e.stats.Urgent--
		}
	case Delayed:
		t.delayed.Remove(timerOf(j))
		e.wakeFor(t)
	case Reserved:
		e.unreserve(j)
	case Buried:
		e.unbury(t, j)
	}
	e.leave(j, t)
	return slot
}

// leave counts the job as not being in its state any more.
func (e *Engine) leave(j *job, t *tube) {
	t.jobs[j.state]--
	e.stats.Jobs[j.state]--
}

// enter counts the job as being in state s of its tube.
func (e *Engine) enter(slot uint32, s State) (*job, *tube) {
	j := e.jobs.At(slot)
	t := e.tubes[j.tube]
	j.state = s
	e.count(t, s)
	return j, t
}

// count counts one more job of t in state s.
func (e *Engine) count(t *tube, s State) {
	t.jobs[s]++
	e.stats.Jobs[s]++
}

// makeReady enters a detached job into its tube's heap, and gives it to the
// client that has waited for it longest, if one has.
func (e *Engine) makeReady(now int64, slot uint32) {
	j, t := e.enter(slot, Ready)
	if j.pri < UrgentBelow {
		t.urgent++
		e.stats.Urgent++
	}
	t.ready.push(e.jobs, readyItem{j.id, j.pri, slot})
	if j.place == 0 { // otherwise the tube had something better to offer already
		e.offer(now, t)
	}
}

// makeDelayed has a detached job become ready at the instant at.
func (e *Engine) makeDelayed(now, at int64, slot uint32) {
	j, t := e.enter(slot, Delayed)
	j.place = uint32(e.delayedHub(t, now).Add(at, slot))
	e.wakeFor(t)
}

// makeBuried puts a detached job behind those buried in its tube before.
func (e *Engine) makeBuried(slot uint32) {
	j, t := e.enter(slot, Buried)
	w := e.works.At(j.work)
	w.prev, w.next = t.buried.tail, 0
	if w.prev == 0 {
		t.buried.head = slot
	} else {
		e.workAt(w.prev).next = slot
	}
	t.buried.tail = slot
}

// workAt returns the work record of the job in slot, which must have one.
func (e *Engine) workAt(slot uint32) *work { return e.works.At(e.jobs.At(slot).work) }

// timerOf returns the timer of a delayed job.
func timerOf(j *job) wheel.Timer { return wheel.Timer(j.place) }

func (e *Engine) unbury(t *tube, j *job) {
	w := e.works.At(j.work)
	if w.prev == 0 {
		t.buried.head = w.next
	} else {
		e.workAt(w.prev).next = w.next
	}
	if w.next == 0 {
		t.buried.tail = w.prev
	} else {
		e.workAt(w.next).prev = w.prev
	}
	w.prev, w.next = 0, 0
}

// makeReserved gives a detached job to c.
func (e *Engine) makeReserved(now int64, slot uint32, c *Client) {
	j, t := e.enter(slot, Reserved)
	w := e.workOf(j)
	w.reserves++
	w.stale = true
	w.since = uint64(now)
	t.reserves++
	e.stats.Reserves++
	e.linkReserved(slot, w, c)
	e.startTTR(now, slot, j.getTTR(), w, c)
	if e.times != nil && w.reserves == 1 {
		e.timesFor(t).Wait.Add(time.Duration(now - j.created - j.getDelay()))
	}
	if e.observer != nil {
		e.tell(JobReserved, now, j, Reserved)
	}
}

// linkReserved puts a job behind those that c has reserved before.
func (e *Engine) linkReserved(slot uint32, w *work, c *Client) {
	w.owner = c.number
	w.prev, w.next = c.reserved.tail, 0
	if c.reserved.tail == 0 {
		c.reserved.head = slot
	} else {
		e.workAt(c.reserved.tail).next = slot
	}
	c.reserved.tail = slot
	c.held++
}

func (e *Engine) unreserve(j *job) {
	w := e.works.At(j.work)
	c := e.clients[w.owner]
	e.stopTTR(w, c)
	e.unlinkReserved(w, c)
}

// unlinkReserved takes a job from those that c has reserved.
func (e *Engine) unlinkReserved(w *work, c *Client) {
	if w.prev == 0 {
		c.reserved.head = w.next
	} else {
		e.workAt(w.prev).next = w.next
	}
	if w.next == 0 {
		c.reserved.tail = w.prev
	} else {
		e.workAt(w.next).prev = w.prev
	}
	w.owner, w.prev, w.next = 0, 0, 0
	c.held--
}

// A reservation's timer goes off twice: when its last second begins, so that
// whether a client is to be warned need not be searched for among its jobs,
// and 1 ns after the deadline: beanstalkd 1.13 returns a job when its
// deadline has passed, not when it is reached.

func (e *Engine) startTTR(now int64, slot uint32, ttr int64, w *work, c *Client) {
	deadline := now + ttr
	w.soon = ttr <= margin
	if w.soon {
		c.soon++
		w.timer = e.hub.Add(deadline+1, due{dueReservation, slot})
		return
	}
	w.timer = e.hub.Add(deadline-margin, due{dueReservation, slot})
}

func (e *Engine) stopTTR(w *work, c *Client) {
	if w.timer != 0 {
		e.hub.Remove(w.timer)
		w.timer = 0
	}
	if w.soon {
		w.soon = false
		c.soon--
	}
}

// deadline returns when a reservation ends.
func (e *Engine) deadline(w *work) int64 {
	if w.soon {
		return e.hub.At(w.timer) - 1
	}
	return e.hub.At(w.timer) + margin
}

// destroy ends a detached job.
func (e *Engine) destroy(slot uint32) {
	t := e.tubes[e.jobs.At(slot).tube]
	e.free(slot)
	e.dropUnused(t)
}

// free gives back what a detached job has.
func (e *Engine) free(slot uint32) {
	j := e.jobs.At(slot)
	e.ids.remove(j.id)
	e.freeBody(j)
	if j.work != 0 {
		e.works.Free(j.work)
	}
	j.state = gone
	e.jobs.Free(slot)
}

// offer gives the jobs that t can give to the clients that wait for them.
// It must be called whenever t offers a job that it did not offer before.
func (e *Engine) offer(now int64, t *tube) {
	for t.offers() {
		c := t.oldestWaiting()
		if c == nil {
			return
		}
		e.wake(c, Given, e.give(now, t, c))
	}
}

// give reserves the first ready job of t for c.
func (e *Engine) give(now int64, t *tube, c *Client) uint32 {
	slot := e.detach(t.ready.top().slot)
	e.makeReserved(now, slot, c)
	return slot
}

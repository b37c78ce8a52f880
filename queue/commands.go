package queue

import (
	"math"
	"time"

	"spoked/internal/slab"
)

// A Draft is a put whose body is still arriving. It has its id, and keeps its
// tube, but nobody sees it yet. The zero Draft is none.
type Draft struct {
	id      uint64
	created int64
	delay   int64
	ttr     int64
	body    slab.Ref
	pri     uint32
	tube    *tube
}

// Begin starts the put of a job with a body of size bytes into the tube that
// c uses. A ttr under a second counts as one second. The id is taken here:
// beanstalkd 1.13 takes it when the command line arrives, and a put that
// fails later leaves a gap. Insert or Abandon must follow.
//
// If there is no memory for the job, Begin returns ErrOutOfMemory and no
// draft; as in beanstalkd, no id is taken then.
func (e *Engine) Begin(now int64, c *Client, pri uint32, delay, ttr time.Duration, size uint32) (Draft, error) {
	if !c.producer && !c.hidden {
		c.producer = true
		e.stats.Producers++
	}
	if !e.hasRoom(size) {
		return Draft{}, ErrOutOfMemory
	}
	body, ok := e.bodies.Alloc(size)
	if !ok {
		return Draft{}, ErrOutOfMemory
	}
	c.used.drafts++
	d := Draft{
		id:      e.nextID,
		created: now,
		delay:   int64(Round(delay)),
		ttr:     int64(Round(max(ttr, time.Second))),
		body:    body,
		pri:     pri,
		tube:    c.used,
	}
	e.nextID++
	return d, nil
}

// Body returns the room for d's body, to be filled by the caller before
// Insert. It is valid until then.
func (e *Engine) Body(d *Draft) []byte { return e.bodies.At(d.body) }

// Insert makes a job of d and returns its id, or abandons d and returns
// ErrDraining or ErrOutOfMemory.
func (e *Engine) Insert(now int64, d *Draft) (id uint64, err error) {
	if e.draining {
		e.Abandon(d)
		return 0, ErrDraining
	}
	if e.journal != nil && !e.journal.Room(d.tube.name, int(d.body.Len)) {
		e.Abandon(d)
		return 0, ErrOutOfMemory
	}
	slot, j := e.jobs.New()
	*j = job{id: d.id, created: d.created, body: d.body, pri: d.pri, tube: d.tube.number}
	j.setDelay(d.delay)
	j.setTTR(d.ttr)
	e.ids.put(j.id, slot)
	d.tube.drafts--
	d.tube.total++
	e.stats.TotalJobs++
	e.putSinceTrim++
	id = d.id
	e.recordJob(j, now+d.delay)
	if j.kept != (Place{}) && (e.stores() || e.storesFar(d.delay)) {
		e.store(j)
	}
	if e.observer != nil {
		e.tell(JobPut, now, j, stateAfter(d.delay))
	}
	switch {
	case d.delay == 0:
		e.makeReady(now, slot)
	case !e.freeze(now, now+d.delay, slot):
		e.makeDelayed(now, now+d.delay, slot)
	}
	*d = Draft{}
	return id, nil
}

// Abandon gives d up.
func (e *Engine) Abandon(d *Draft) {
	e.bodies.Free(d.body)
	d.tube.drafts--
	e.dropUnused(d.tube)
	*d = Draft{}
}

// Forever is the timeout of a reserve that waits until there is a job.
const Forever = time.Duration(-1)

// Reserve gives c the first job of the tubes it watches. If there is none it
// returns DeadlineSoon if a job that c holds is in its last second, TimedOut
// if timeout is 0, and else Waiting: a Wake will follow, and c must issue no
// command before it. Amortised O(log jobs + log tubes watched). If much has
// happened to many tubes since it was called last, Reserve returns Waiting
// until that has been looked at in portions.
func (e *Engine) Reserve(now int64, c *Client, timeout time.Duration) (Job, Outcome) {
	e.countWorker(c)
	c.forever, c.deadline, c.since = timeout < 0, now+int64(timeout), now
	l := e.watchListOf(c)
	if l.preparing || !l.settled() && !e.atOnce(now, preparing{l}) {
		e.pend(c, l)
		return Job{}, Waiting
	}
	slot, o := e.reserve(now, c)
	if o != Given {
		return Job{}, o
	}
	return e.view(slot), Given
}

// reserve is Reserve for a client whose list is settled, and which waits no
// longer than it says.
func (e *Engine) reserve(now int64, c *Client) (slot uint32, o Outcome) {
	if t := c.watches.first(); t != nil {
		return e.give(now, t, c), Given
	}
	switch {
	case c.soon > 0:
		return 0, DeadlineSoon
	case c.forever:
	case c.deadline <= now:
		return 0, TimedOut
	default:
		c.timer = e.hub.Add(c.deadline, due{dueTimeout, c.number})
	}
	e.startWaiting(c, c.watches)
	return 0, Waiting
}

// StopWaiting ends the waiting of c, which is TimedOut if it was waiting. A
// reserve that is still under way gets a job, or ends with TimedOut.
func (e *Engine) StopWaiting(c *Client) {
	if c.waiting {
		e.wake(c, TimedOut, 0)
	}
	c.forever, c.deadline = false, math.MinInt64
}

// ReserveJob gives c the job with that id in whatever tube and state it is,
// unless it is reserved. O(log jobs).
func (e *Engine) ReserveJob(now int64, c *Client, id uint64) (Job, error) {
	slot := e.find(id)
	if slot == 0 || e.jobs.At(slot).state == Reserved {
		return Job{}, ErrNotFound
	}
	if e.jobs.At(slot).state != Ready && !e.mayChange() {
		return Job{}, ErrOutOfMemory
	}
	e.countWorker(c)
	j := e.jobs.At(e.detach(slot))
	if j.state != Ready { // it will not be buried or delayed again when it is let go
		e.recordChange(j, Ready, 0)
	}
	e.makeReserved(now, slot, c)
	return e.view(slot), nil
}

func (e *Engine) countWorker(c *Client) {
	if !c.worker && !c.hidden {
		c.worker = true
		e.stats.Workers++
	}
}

// reservedBy returns the slot of the job with that id if c has reserved it,
// and 0 otherwise.
func (e *Engine) reservedBy(c *Client, id uint64) uint32 {
	slot := e.ids.get(id)
	if slot == 0 || slot&coldBit != 0 {
		return 0
	}
	j := e.jobs.At(slot)
	if j.state != Reserved || e.works.At(j.work).owner != c.number {
		return 0
	}
	return slot
}

// Delete ends the job with that id, which must not be reserved by another
// client than c. O(log jobs).
func (e *Engine) Delete(now int64, c *Client, id uint64) error {
	slot := e.find(id)
	if slot == 0 || e.jobs.At(slot).state == Reserved && e.reservedBy(c, id) == 0 {
		return ErrNotFound
	}
	j := e.jobs.At(slot)
	if e.times != nil && j.state == Reserved {
		e.timesFor(e.tubes[j.tube]).Run.Add(time.Duration(now - int64(e.works.At(j.work).since)))
	}
	e.end(now, slot)
	return nil
}

// end deletes the job in slot, in whatever state it is.
func (e *Engine) end(now int64, slot uint32) {
	j := e.jobs.At(slot)
	e.tubes[j.tube].deletes++
	e.stats.Deletes++
	e.recordEnd(j)
	if e.observer != nil {
		e.tell(JobDeleted, now, j, j.state)
	}
	e.destroy(e.detach(slot))
}

// Release returns a job that c has reserved to its tube, with a new priority
// and after a delay. If the journal has no room for that, the job stays
// reserved, as with all that changes jobs. O(log jobs).
func (e *Engine) Release(now int64, c *Client, id uint64, pri uint32, delay time.Duration) error {
	slot := e.reservedBy(c, id)
	if slot == 0 {
		return ErrNotFound
	}
	if !e.mayChange() {
		return ErrOutOfMemory
	}
	j := e.jobs.At(e.detach(slot))
	j.pri = pri
	delay = Round(delay)
	j.setDelay(int64(delay))
	e.works.At(j.work).releases++
	if e.observer != nil {
		e.tell(JobReleased, now, j, stateAfter(int64(delay)))
	}
	if delay > 0 {
		e.recordChange(j, Delayed, now+int64(delay))
		e.makeDelayed(now, now+int64(delay), slot)
	} else {
		e.recordChange(j, Ready, 0)
		e.makeReady(now, slot)
	}
	return nil
}

// Bury sets a job that c has reserved aside, with a new priority, until it is
// kicked. O(1).
func (e *Engine) Bury(c *Client, id uint64, pri uint32) error {
	slot := e.reservedBy(c, id)
	if slot == 0 {
		return ErrNotFound
	}
	if !e.mayChange() {
		return ErrOutOfMemory
	}
	j := e.jobs.At(e.detach(slot))
	j.pri = pri
	w := e.works.At(j.work)
	w.buries++
	e.burials++
	w.since = e.burials
	e.recordChange(j, Buried, 0)
	if e.observer != nil {
		e.tell(JobBuried, e.hub.Now(), j, Buried)
	}
	e.makeBuried(slot)
	return nil
}

// Touch starts the TTR of a job that c has reserved anew. O(1).
func (e *Engine) Touch(now int64, c *Client, id uint64) error {
	slot := e.reservedBy(c, id)
	if slot == 0 {
		return ErrNotFound
	}
	j := e.jobs.At(slot)
	w := e.works.At(j.work)
	e.stopTTR(w, c)
	e.startTTR(now, slot, j.getTTR(), w, c)
	if e.observer != nil {
		e.tell(JobTouched, now, j, Reserved)
	}
	return nil
}

// Kick makes up to n buried jobs of the tube that c uses ready, in the order
// in which they were buried, or if there are none, up to n delayed ones, in
// the order of their deadlines. It returns how many. O(log jobs) for each.
//
// If they are many, it returns before it is done: then it goes on in Advance, a
// Wake will follow, and c must issue no command before it.
func (e *Engine) Kick(now int64, c *Client, n uint32) (kicked uint32, done bool) {
	t := c.used
	k := &e.kicking
	*k = kicking{client: c, tube: t, from: Delayed, until: e.burials}
	if t.buried.head != 0 {
		k.from = Buried
	}
	if k.left = uint32(min(uint64(n), uint64(t.jobs[k.from]))); k.left == 0 || e.atOnce(now, k) {
		return k.kicked, true
	}
	c.kick = new(*k)
	t.kicks++
	e.later(c.kick)
	return k.kicked, false
}

// KickJob makes the job with that id ready if it is buried or delayed.
// O(log jobs).
func (e *Engine) KickJob(now int64, id uint64) error {
	slot := e.find(id)
	if slot == 0 {
		return ErrNotFound
	}
	if s := e.jobs.At(slot).state; s != Buried && s != Delayed {
		return ErrNotFound
	}
	if !e.mayChange() {
		return ErrOutOfMemory
	}
	e.kick(now, slot)
	return nil
}

func (e *Engine) kick(now int64, slot uint32) {
	j := e.jobs.At(e.detach(slot))
	e.workOf(j).kicks++
	e.recordChange(j, Ready, 0)
	if e.observer != nil {
		e.tell(JobKicked, now, j, Ready)
	}
	e.makeReady(now, slot)
}

// Peek returns the job with that id in whatever tube and state it is. O(1).
func (e *Engine) Peek(id uint64) (Job, error) {
	return e.found(e.ids.get(id))
}

// PeekReady returns the job of the tube that c uses that would be reserved
// first if the tube is not paused. O(1).
func (e *Engine) PeekReady(c *Client) (Job, error) {
	if c.used.ready.len() == 0 {
		return Job{}, ErrNotFound
	}
	return e.found(c.used.ready.top().slot)
}

// PeekDelayed returns the delayed job of the tube that c uses that will be
// ready first. Amortised O(1).
func (e *Engine) PeekDelayed(c *Client) (Job, error) {
	if c.used.jobs[Delayed] == 0 {
		return Job{}, ErrNotFound
	}
	slot, _, _ := e.firstDelayed(c.used)
	return e.found(slot)
}

// PeekBuried returns the job of the tube that c uses that was buried first.
// O(1).
func (e *Engine) PeekBuried(c *Client) (Job, error) {
	return e.found(c.used.buried.head)
}

func (e *Engine) found(slot uint32) (Job, error) {
	if slot == 0 {
		return Job{}, ErrNotFound
	}
	j := e.jobAt(slot)
	return e.viewOf(&j), nil
}

// Pause keeps the jobs of the named tube from being reserved, except by their
// ids, until delay has passed. It replaces the pause before; a delay of 0
// ends it. O(1).
func (e *Engine) Pause(now int64, name []byte, delay time.Duration) error {
	t := e.byName[string(name)]
	if t == nil {
		return ErrNotFound
	}
	if !e.mayChange() {
		return ErrOutOfMemory
	}
	t.pauses++
	if t.pauseTimer != 0 {
		e.hub.Remove(t.pauseTimer)
		t.pauseTimer = 0
	}
	t.pause = int64(delay)
	e.recordPause(t, now+t.pause)
	if delay > 0 {
		t.pauseTimer = e.hub.Add(now+int64(delay), due{duePause, t.number})
		if e.observer != nil {
			e.tellTube(TubePaused, now, t, delay)
		}
		return nil
	}
	woken := len(e.wakes)
	if !e.resume(now, t, e.portions.free+max(0, e.budget)/wakeCost) {
		t.pause = 1
		t.pauseTimer = e.hub.Add(now, due{duePause, t.number})
	}
	e.budget -= wakeCost * (len(e.wakes) - woken)
	return nil
}

// resume ends the pause of t, and reports whether it has. First it gives the jobs
// of t to the clients that wait for them, to as many as limit says: before anybody
// else is served, all are.
func (e *Engine) resume(now int64, t *tube, limit int) (done bool) {
	for ; t.ready.len() > 0; limit-- {
		c := t.oldestWaiting()
		if c == nil {
			break
		}
		if limit <= 0 {
			return false
		}
		e.wake(c, Given, e.give(now, t, c))
	}
	t.pause = 0
	if e.observer != nil {
		e.tellTube(TubeResumed, now, t, 0)
	}
	if t.restored {
		t.restored = false
		e.dropUnused(t)
	}
	return true
}

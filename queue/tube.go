package queue

import (
	"slices"

	"spoked/wheel"
)

// tube is a named queue. It exists while it is used, watched, or holds a job
// in any state; "default" always does.
type tube struct {
	name   string
	number uint32 // in Engine.tubes; jobs refer to their tube by it
	listed int    // index in Engine.list
	hash   watchHash

	ready   readyHeap
	delayed *wheel.Hub[uint32] // job slots by deadline; nil until the first delayed job
	far     *wheel.Hub[cold]   // delayed jobs that are cold; nil until the first
	wake    wheel.Timer        // on the engine's hub, for the first delayed job
	buried  struct{ head, tail uint32 }

	jobs     [NumStates]int
	urgent   int // ready jobs with a priority below UrgentBelow
	drafts   int // puts of which the body is still arriving
	using    int // clients
	watching int // clients
	kicks    int // under way
	clears   int // under way

	total              uint64 // jobs put
	deletes            uint64 // jobs deleted by command
	reserves, timeouts uint64
	pauses             uint64

	pause      int64       // ns; 0 if not paused
	pauseTimer wheel.Timer // when it ends
	restored   bool        // kept for its pause, until it is used or watched or that ends

	times *Times // nil if none are kept of it

	// Who waits for its jobs; see watch.go.
	solo  *watchList // of the clients that watch this tube alone; nil until there is one
	subs  []*subscription
	armed armedHeap
}

// manyTubes is how many of them leave tables worth dropping behind.
const manyTubes = 1024

// offers reports whether the tube has a job to give.
func (t *tube) offers() bool { return t.ready.len() > 0 && t.pause == 0 }

// unused reports whether nothing keeps the tube.
func (t *tube) unused() bool {
	return t.using == 0 && t.watching == 0 && t.drafts == 0 && t.kicks == 0 && t.clears == 0 && !t.restored && t.jobs == [NumStates]int{}
}

// makeTube returns the tube of that name, and makes it if there is none.
func (e *Engine) makeTube(name []byte) *tube {
	if t := e.byName[string(name)]; t != nil {
		t.restored = false // who wants it keeps it from now on
		return t
	}
	t := &tube{
		name:   string(name),
		listed: len(e.list),
		hash:   watchHash{e.random(), e.random()},
	}
	t.ready.pages = e.pages
	if n := len(e.freeTubes); n > 0 {
		t.number = e.freeTubes[n-1]
		e.freeTubes = e.freeTubes[:n-1]
		e.tubes[t.number] = t
	} else {
		t.number = uint32(len(e.tubes))
		e.tubes = append(e.tubes, t)
	}
	e.list = append(e.list, t)
	e.byName[t.name] = t
	if e.observer != nil {
		e.tellTube(TubeMade, e.hub.Now(), t, 0)
	}
	return t
}

// dropUnused drops t if nothing keeps it any more. Its counters and its pause go
// with it. The last tube of the list takes its place there, as in beanstalkd.
func (e *Engine) dropUnused(t *tube) {
	if t == e.defaultTube || !t.unused() {
		return
	}
	if t.pauseTimer != 0 {
		e.hub.Remove(t.pauseTimer)
		t.pause = 0
		if !e.closing {
			e.recordPause(t, 0)
		}
	}
	if t.delayed != nil {
		t.delayed.Close()
	}
	if t.far != nil {
		t.far.Close()
	}
	if e.observer != nil {
		e.tellTube(TubeGone, e.hub.Now(), t, 0)
	}
	e.forgetTimesOf(t)
	last := len(e.list) - 1
	e.list[t.listed] = e.list[last]
	e.list[t.listed].listed = t.listed
	e.list[last] = nil
	e.list = e.list[:last]
	delete(e.byName, t.name)
	e.tubes[t.number] = nil
	e.freeTubes = append(e.freeTubes, t.number)
	if len(e.list) == 1 && cap(e.list) > manyTubes || len(e.list) <= manyTubes && cap(e.list) > 8*manyTubes {
		e.shrinkTables()
	}
}

// nextDelayed returns an instant no later than the earliest at which a delayed
// job of t is ready, and false if there is none. O(1).
func (t *tube) nextDelayed() (at int64, ok bool) {
	if t.delayed != nil {
		at, ok = t.delayed.Next()
	}
	if t.far != nil {
		if far, some := t.far.Next(); some && (!ok || far < at) {
			return far, true
		}
	}
	return at, ok
}

// delayedHub returns the hub of the delayed jobs of t that are not cold.
func (e *Engine) delayedHub(t *tube, now int64) *wheel.Hub[uint32] {
	if t.delayed == nil {
		t.delayed = wheel.NewHub(e.waits, now)
	}
	return t.delayed
}

// shrinkTables lets go of the room that many tubes took. O(tubes there were), of
// which it looks at no more than numbers.
func (e *Engine) shrinkTables() {
	e.list = slices.Clone(e.list)
	e.byName = make(map[string]*tube, len(e.list))
	last := uint32(0)
	for _, t := range e.list {
		e.byName[t.name] = t
		last = max(last, t.number)
	}
	e.tubes = slices.Clone(e.tubes[:last+1])
	free := []uint32(nil)
	for _, n := range e.freeTubes {
		if n <= last {
			free = append(free, n)
		}
	}
	e.freeTubes = free
}

// wakeFor has the engine's hub look at t when its first delayed job may be
// due. A wake that is too early is harmless, and left as it is.
func (e *Engine) wakeFor(t *tube) {
	at, ok := t.nextDelayed()
	if t.wake != 0 {
		if ok && e.hub.At(t.wake) <= at {
			return
		}
		e.hub.Remove(t.wake)
		t.wake = 0
	}
	if ok {
		t.wake = e.hub.Add(at, due{dueDelayed, t.number})
	}
}

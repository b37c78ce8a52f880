package queue

import (
	"cmp"
	"fmt"
	"slices"
)

// Check reports the first broken invariant it finds: every count, list, heap
// and timer is compared with what the jobs, tubes and clients say. It is for
// tests: it visits everything.
func (e *Engine) Check() error {
	if err := e.hub.Check(); err != nil {
		return err
	}
	var sum Stats
	timers, drafts := 0, 0
	for i, t := range e.list {
		if err := e.checkTube(t, i); err != nil {
			return fmt.Errorf("queue: tube %q: %w", t.name, err)
		}
		for s, n := range t.jobs {
			sum.Jobs[s] += n
		}
		sum.Urgent += t.urgent
		drafts += t.drafts
		if t.pauseTimer != 0 {
			timers++
		}
		if t.wake != 0 {
			timers++
		}
	}
	kicks, clears, err := e.checkTasks()
	if err != nil {
		return err
	}
	using, watching := map[*tube]int{}, map[*tube]int{}
	lists := map[*watchList]int{}
	for number, c := range e.clients {
		if c == nil {
			continue
		}
		if err := e.checkClient(c, number); err != nil {
			return fmt.Errorf("queue: client %d: %w", number, err)
		}
		if !c.attached {
			sum.Connections++
		}
		if c.waiting {
			sum.Waiting++
		}
		if c.producer {
			sum.Producers++
		}
		if c.worker {
			sum.Workers++
		}
		if c.timer != 0 {
			timers++
		}
		using[c.used]++
		busy := c.pending && slices.Contains(c.watches.pending, c) || c.kick != nil && c.kick.client == c ||
			c.clear != nil && c.clear.client == c
		if c.Busy() && (!busy || c.waiting || !e.Unfinished()) {
			return fmt.Errorf("queue: client %d waits for what nobody does", c.number)
		}
		for _, t := range c.watched {
			watching[t]++
		}
		if c.watches != nil {
			lists[c.watches]++
		}
	}
	for _, t := range e.list {
		if t.kicks != kicks[t] || t.clears != clears[t] {
			return fmt.Errorf("queue: tube %q counts %d kicks and %d clears under way, has %d and %d", t.name, t.kicks, t.clears, kicks[t], clears[t])
		}
		if t.using != using[t] || t.watching != watching[t] {
			return fmt.Errorf("queue: tube %q counts %d users and %d watchers, has %d and %d", t.name, t.using, t.watching, using[t], watching[t])
		}
	}
	if err := cmp.Or(e.checkLists(lists), e.checkTimes()); err != nil {
		return err
	}
	jobs := 0
	for s, n := range sum.Jobs {
		jobs += n
		if n != e.stats.Jobs[s] {
			return fmt.Errorf("queue: %d jobs counted as %v, %d in tubes", e.stats.Jobs[s], State(s), n)
		}
	}
	switch {
	case sum.Urgent != e.stats.Urgent, sum.Connections != e.stats.Connections, sum.Waiting != e.stats.Waiting,
		sum.Producers != e.stats.Producers, sum.Workers != e.stats.Workers:
		return fmt.Errorf("queue: counted %+v, found %+v", e.stats, sum)
	case jobs != e.Len():
		return fmt.Errorf("queue: %d jobs in tubes, %d in the slab, and %d cold", jobs, e.jobs.Len(), e.far.Len())
	case len(e.byName) != len(e.list):
		return fmt.Errorf("queue: %d tubes listed, %d by name", len(e.list), len(e.byName))
	case timers+sum.Jobs[Reserved] != e.hub.Len():
		return fmt.Errorf("queue: %d timers accounted for, %d on the hub", timers+sum.Jobs[Reserved], e.hub.Len())
	case e.stats.Jobs == [NumStates]int{} && drafts == 0 && e.BodyBytes() != 0:
		return fmt.Errorf("queue: %d bytes of bodies without jobs", e.BodyBytes())
	case jobs == 0 && e.works.Len() != 0:
		return fmt.Errorf("queue: %d work records without jobs", e.works.Len())
	}
	return nil
}

// checkTimes looks at which tubes have times.
func (e *Engine) checkTimes() error {
	n := 0
	for _, t := range e.list {
		if t.times != nil {
			n++
		}
	}
	if e.times == nil && n > 0 || e.times != nil && n+e.times.left != e.times.most {
		return fmt.Errorf("queue: the times of %d tubes are kept, which is not as many as are counted", n)
	}
	return nil
}

// checkLists looks at the watch lists, of each of which so many clients know.
func (e *Engine) checkLists(lists map[*watchList]int) error {
	for l, n := range lists {
		if err := l.check(e); err != nil {
			return err
		}
		if l.clients != n {
			return fmt.Errorf("queue: a watch list counts %d clients, has %d", l.clients, n)
		}
	}
	for _, l := range e.lists {
		if lists[l] == 0 {
			return fmt.Errorf("queue: a watch list of %d tubes has no client", len(l.subs))
		}
	}
	return nil
}

// checkTasks looks at what is under way, and returns the kicks and the clears of
// each tube.
func (e *Engine) checkTasks() (kicks, clears map[*tube]int, err error) {
	kicks, clears = map[*tube]int{}, map[*tube]int{}
	for _, t := range e.tasks {
		switch t := t.(type) {
		case *kicking:
			kicks[t.tube]++
			if e.byName[t.tube.name] != t.tube {
				return nil, nil, fmt.Errorf("queue: tube %q is gone while it is kicked", t.tube.name)
			}
		case *clearing:
			clears[t.tube]++
			if e.byName[t.tube.name] != t.tube {
				return nil, nil, fmt.Errorf("queue: tube %q is gone while it is cleared", t.tube.name)
			}
		case leaving:
			if c := t.client; e.clients[c.number] != c || c.Waiting() || c.watches != nil {
				return nil, nil, fmt.Errorf("queue: client %d waits, and has left", c.number)
			}
		case dissolving:
			if l := t.list; !l.gone || l.clients+l.waiting+l.pend() > 0 || e.lists[l.hash] == l {
				return nil, nil, fmt.Errorf("queue: a list with %d clients is being dissolved", l.clients)
			}
			if err := t.list.check(e); err != nil {
				return nil, nil, err
			}
		case preparing:
			if l := t.list; !l.preparing || !l.gone && e.lists[l.hash] != l {
				return nil, nil, fmt.Errorf("queue: a list of %d tubes is prepared for nobody", len(l.subs))
			}
		}
	}
	return kicks, clears, nil
}

func (e *Engine) checkTube(t *tube, listed int) error {
	switch {
	case t.listed != listed || e.tubes[t.number] != t || e.byName[t.name] != t:
		return fmt.Errorf("is not where it is listed")
	case t != e.defaultTube && t.unused():
		return fmt.Errorf("is kept by nothing")
	case t.ready.len() != t.jobs[Ready]:
		return fmt.Errorf("counts %d ready jobs, heap has %d", t.jobs[Ready], t.ready.len())
	case (t.pause > 0) != (t.pauseTimer != 0):
		return fmt.Errorf("is paused for %d without a timer, or the reverse", t.pause)
	}
	urgent := 0
	for i := range t.ready.len() {
		it := *t.ready.at(i)
		j := e.jobs.At(it.slot)
		if j.state != Ready || int(j.place) != i || j.id != it.id || j.pri != it.pri || e.ids.get(j.id) != it.slot || e.tubes[j.tube] != t {
			return fmt.Errorf("ready job %d: record and heap differ", it.id)
		}
		if i > 0 && it.less(*t.ready.at((i - 1) / 4)) {
			return fmt.Errorf("ready job %d is above its parent in order", it.id)
		}
		if j.pri < UrgentBelow {
			urgent++
		}
	}
	if urgent != t.urgent {
		return fmt.Errorf("counts %d urgent jobs, has %d", t.urgent, urgent)
	}
	if n := t.waitingClients(); n > 0 && t.offers() {
		return fmt.Errorf("offers a job while %d clients wait", n)
	}
	if err := e.checkBuried(t); err != nil {
		return err
	}
	return e.checkDelayed(t)
}

func (e *Engine) checkBuried(t *tube) error {
	n, prev := 0, uint32(0)
	for slot := t.buried.head; slot != 0; n++ {
		j := e.jobs.At(slot)
		if j.state != Buried || e.works.At(j.work).prev != prev || e.ids.get(j.id) != slot || e.tubes[j.tube] != t {
			return fmt.Errorf("buried job %d is linked wrongly", j.id)
		}
		prev, slot = slot, e.works.At(j.work).next
	}
	if n != t.jobs[Buried] || prev != t.buried.tail {
		return fmt.Errorf("counts %d buried jobs, has %d", t.jobs[Buried], n)
	}
	return nil
}

func (e *Engine) checkDelayed(t *tube) error {
	if t.delayed == nil && t.far == nil {
		if t.jobs[Delayed] != 0 || t.wake != 0 {
			return fmt.Errorf("counts %d delayed jobs, has no hub", t.jobs[Delayed])
		}
		return nil
	}
	n, err := e.checkCold(t)
	if err != nil {
		return err
	}
	if t.delayed != nil {
		if err := t.delayed.Check(); err != nil {
			return err
		}
		n += t.delayed.Len()
	}
	if n != t.jobs[Delayed] {
		return fmt.Errorf("counts %d delayed jobs, hubs have %d", t.jobs[Delayed], n)
	}
	slot, at, ok := e.firstDelayed(t)
	if !ok {
		return nil
	}
	if j := e.jobAt(slot); j.state != Delayed || e.readyAt(slot) != at {
		return fmt.Errorf("delayed job %d: record and hub differ", j.id)
	}
	if t.wake == 0 || e.hub.At(t.wake) > at {
		return fmt.Errorf("sleeps past its first delayed job")
	}
	return nil
}

func (e *Engine) checkClient(c *Client, number int) error {
	switch {
	case int(c.number) != number:
		return fmt.Errorf("is number %d", c.number)
	case c.waiting && c.watches == nil:
		return fmt.Errorf("waits for nothing")
	case c.waiting && c.soon > 0:
		return fmt.Errorf("waits in the last second of a job it holds")
	case !c.waiting && c.timer != 0:
		return fmt.Errorf("has a timeout but does not wait")
	}
	var hash watchHash
	for i, t := range c.watched {
		hash.add(t.hash)
		if c.find(t) != i {
			return fmt.Errorf("does not find tube %q", t.name)
		}
	}
	if hash != c.hash {
		return fmt.Errorf("has the wrong hash of its tubes")
	}
	held, soon, prev := 0, 0, uint32(0)
	for slot := c.reserved.head; slot != 0; held++ {
		j := e.jobs.At(slot)
		w := e.works.At(j.work)
		if j.state != Reserved || w.owner != c.number || w.prev != prev || w.timer == 0 {
			return fmt.Errorf("reserved job %d is linked wrongly", j.id)
		}
		if w.soon {
			soon++
		}
		prev, slot = slot, w.next
	}
	if held != c.held {
		return fmt.Errorf("counts %d jobs that it holds, has %d", c.held, held)
	}
	if soon != c.soon || prev != c.reserved.tail {
		return fmt.Errorf("counts %d jobs in their last second, has %d", c.soon, soon)
	}
	return nil
}

func (l *watchList) check(e *Engine) error {
	n := 0
	for c := l.head; c != nil; c = c.next {
		if !c.waiting || c.watches != l || c.prev != nil && c.prev.arrived >= c.arrived {
			return fmt.Errorf("queue: client %d waits on the wrong list, or out of order", c.number)
		}
		n++
	}
	if n != l.waiting {
		return fmt.Errorf("queue: a watch list counts %d waiting clients, has %d", l.waiting, n)
	}
	if l.waiting > 0 && len(l.unarmed) > 0 {
		return fmt.Errorf("queue: a watch list with waiting clients has unarmed subscriptions")
	}
	if l.pend() > 0 && !l.preparing {
		return fmt.Errorf("queue: %d clients wait for a watch list that nobody prepares", l.pend())
	}
	unarmed := 0
	for i, s := range l.subs {
		if l.gone {
			if s.at != i || s.tube.subs[s.pos] != s || s.armed >= 0 && s.tube.armed[s.armed] != s {
				return fmt.Errorf("queue: a subscription to %q, of a list that is dissolved, is not in its place", s.tube.name)
			}
			continue
		}
		if s.at != i || s.tube.subs[s.pos] != s || s.best >= 0 && l.best[s.best] != s || s.armed >= 0 && s.tube.armed[s.armed] != s {
			return fmt.Errorf("queue: a subscription to %q is not in its place", s.tube.name)
		}
		if (s.armed < 0) != (s.unarmed >= 0) || s.armed < 0 && l.unarmed[s.unarmed] != s {
			return fmt.Errorf("queue: a subscription to %q is neither armed nor unarmed, or both", s.tube.name)
		}
		if s.armed < 0 {
			unarmed++
			continue
		}
		if s.tube.offers() && (s.best < 0 || s.tube.ready.top().less(s.top)) {
			return fmt.Errorf("queue: a watch list does not know of the first job of %q", s.tube.name)
		}
		if l.head != nil && s.notBefore > l.head.arrived {
			return fmt.Errorf("queue: %q takes the wait for its jobs to be shorter than it is", s.tube.name)
		}
	}
	if unarmed != len(l.unarmed) {
		return fmt.Errorf("queue: %d subscriptions unarmed, %d listed", unarmed, len(l.unarmed))
	}
	return nil
}

// pend returns how many clients have a reserve pending on l.
func (l *watchList) pend() (n int) {
	for _, c := range l.pending {
		if c.pending {
			n++
		}
	}
	return n
}

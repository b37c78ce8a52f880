package queue

// Some commands are long: a kick of a million jobs, the end of a client that
// holds a hundred thousand, a reserve that is the first from so many tubes. Done
// at once they would hold up everybody else. So each is a task of many steps, none
// of which takes longer than a few microseconds, and all that anybody sees between
// two steps could have come of short commands: as if a client had kicked its jobs
// one by one, and released and ignored them before it left.
//
// A task that is short is done at once, by the command. Of a long one the command
// does a portion, and Advance the rest, in turn with the other tasks and with what
// is due. A client that waits for its task to be done gets a Wake then.

// A task is what is left to be done of a long command.
type task interface {
	// step does a little, and reports whether nothing is left.
	step(e *Engine, now int64) (done bool)
	// end is called after the last step, if that was not in the command itself.
	end(e *Engine, now int64)
}

// portions says how many steps are taken at a time.
type portions struct {
	free  int // of each task in any case
	turn  int // of all tasks, beyond that, in the commands between two calls of Advance
	slice int // of a task before the next one has its turn
}

// usualPortions are some hundred microseconds of work, and a few.
func usualPortions() portions { return portions{free: 16, turn: 1024, slice: 64} }

// wakeCost is as how many steps a client counts that is woken: it has to be
// answered, which takes a system call.
const wakeCost = 16

// returnCost is as how many steps it counts that 64 KiB go back to the system, which
// takes a system call, too. The last jobs of a clear may leave a page each. It is
// looked at after returnSlice steps.
const (
	returnCost  = 16
	returnSlice = 64
)

// returned returns as how many steps that counts what has gone back to the system
// since so many bytes were in use.
func (e *Engine) returned(before int64) (steps int) {
	return int(max(0, before-e.Memory()) >> 16 * returnCost)
}

// atOnce takes the first steps of t, and reports whether those were all.
func (e *Engine) atOnce(now int64, t task) (done bool) {
	memory := int64(0)
	for n := 0; n < e.portions.free || e.budget > 0; n++ {
		if n%returnSlice == e.portions.free {
			e.budget -= e.returned(memory)
			memory = e.Memory()
		}
		woken := len(e.wakes)
		done := t.step(e, now)
		if n >= e.portions.free {
			e.budget--
		}
		e.budget -= wakeCost * (len(e.wakes) - woken)
		if done {
			return true
		}
	}
	return false
}

// later has Advance take the other steps of t, and end it.
func (e *Engine) later(t task) { e.tasks = append(e.tasks, t) }

// begin takes the first steps of t, and leaves the others to Advance.
func (e *Engine) begin(now int64, t task) {
	if e.atOnce(now, t) {
		t.end(e, now)
	} else {
		e.later(t)
	}
}

// goOn takes about limit steps of the tasks that were left.
func (e *Engine) goOn(now int64, limit int) {
	for limit > 0 && len(e.tasks) > 0 {
		t := e.tasks[0]
		e.tasks[0] = nil
		e.tasks = e.tasks[1:]
		done, memory := false, e.Memory()
		for n := 0; n < e.portions.slice && limit > 0 && !done; n++ {
			woken := len(e.wakes)
			done = t.step(e, now)
			limit -= 1 + wakeCost*(len(e.wakes)-woken)
		}
		limit -= e.returned(memory)
		if done {
			t.end(e, now)
		} else {
			e.later(t)
		}
	}
	if len(e.tasks) == 0 {
		e.tasks = nil
	}
}

// Unfinished reports whether anything is left of commands that Advance is to
// do, which does not wait for a time.
func (e *Engine) Unfinished() bool { return len(e.tasks) > 0 }

// kicking is a kick under way. It keeps the tube.
type kicking struct {
	client *Client // that waits for it; nil once it has gone
	tube   *tube
	from   State  // Buried or Delayed
	until  uint64 // the burial of the last job to be kicked, if from is Buried
	left   uint32
	kicked uint32
}

func (k *kicking) step(e *Engine, now int64) bool {
	slot := k.next(e)
	if slot == 0 || !e.mayChange() {
		return true
	}
	e.kick(now, slot)
	k.kicked++
	k.left--
	return k.left == 0
}

// next returns the slot of the job to be kicked next, or 0.
func (k *kicking) next(e *Engine) (slot uint32) {
	t := k.tube
	switch {
	case k.left == 0 || t.jobs[k.from] == 0:
		return 0
	case k.from == Delayed:
		return e.firstWarm(t)
	case e.workAt(t.buried.head).since > k.until: // it was buried after the kick
		return 0
	}
	return t.buried.head
}

func (k *kicking) end(e *Engine, _ int64) {
	if k.client != nil {
		k.client.kick = nil
		e.wakes = append(e.wakes, wake{client: k.client, outcome: Kicked, count: k.kicked})
	}
	k.tube.kicks--
	e.dropUnused(k.tube)
}

// leaving is the end of a client.
type leaving struct{ client *Client }

func (l leaving) step(e *Engine, now int64) bool {
	c := l.client
	switch {
	case c.reserved.head != 0:
		slot := e.detach(c.reserved.head)
		if e.observer != nil {
			e.tell(JobReturned, now, e.jobs.At(slot), Ready)
		}
		e.makeReady(now, slot)
	case len(c.watched) > 0:
		t := c.watched[0] // in beanstalkd's order, which shows in Tubes: the first, then from the last
		c.remove(0)
		t.watching--
		e.dropUnused(t)
	default:
		return true
	}
	return false
}

func (l leaving) end(e *Engine, _ int64) {
	c := l.client
	c.used.using--
	e.dropUnused(c.used)
	if c.producer {
		e.stats.Producers--
	}
	if c.worker {
		e.stats.Workers--
	}
	if !c.attached {
		e.stats.Connections--
	}
	e.clients[c.number] = nil
	e.freeClients = append(e.freeClients, c.number)
}

package queue_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"spoked/queue"
)

// edits are the steps that beanstalkd's protocol does not have.
var edits = []oper{
	{3, (*sim).attach},
	{8, (*sim).hand},
	{1, (*sim).clear},
	{12, (*sim).move},
	{12, (*sim).change},
	{8, (*sim).importJob},
	{8, (*sim).find},
	{1, (*sim).toggleDrain},
	{40, (*sim).put},
	{15, (*sim).reserve},
	{5, (*sim).bury},
}

func (s *sim) attach() {
	if len(s.clients) == s.p.clients {
		return
	}
	s.names++
	s.enroll(&simClient{s.engine.Attach(), s.model.attach(s.names)})
}

func (s *sim) hand() {
	c, id := s.held()
	d := pick(s.r, s.clients)
	if j := pick(s.r, s.model.jobs); j != nil && j.owner != nil && s.r.IntN(3) > 0 {
		id = j.ID
		c = s.clients[slices.IndexFunc(s.clients, func(c *simClient) bool { return c.model == j.owner })]
	}
	s.did("%v hand %d to %v", c, id, d)
	same(s, "Hand", s.engine.Hand(s.model.now, c.engine, d.engine, id), s.model.hand(c.model, d.model, id))
}

func (s *sim) states() queue.StateSet {
	if s.r.IntN(3) == 0 {
		return queue.AllStates
	}
	return queue.StateSet(s.r.IntN(int(queue.AllStates) + 1))
}

func (s *sim) clear() {
	c, tube, states := s.client(), s.tube(), s.states()
	s.did("%v clear %s of %b", c, tube, states)
	if s.r.IntN(4) == 0 { // for nobody
		_, _, err := s.engine.Clear(s.model.now, nil, []byte(tube), states)
		s.finish(nil)
		_, wantErr := s.model.clear(tube, states)
		same(s, "Clear", err, wantErr)
		return
	}
	got, done, err := s.engine.Clear(s.model.now, c.engine, []byte(tube), states)
	same(s, "Busy", c.engine.Busy(), !done && err == nil)
	if c.engine.Busy() {
		w := s.finish(c)
		same(s, "outcome of a clear", w.outcome, queue.Cleared)
		got = w.count
	}
	want, wantErr := s.model.clear(tube, states)
	same(s, "Clear", err, wantErr)
	same(s, "Clear", got, want)
}

func (s *sim) move() {
	id, tube := s.id(), s.tube()
	s.did("move %d to %s", id, tube)
	same(s, "Move", s.engine.Move(s.model.now, id, []byte(tube)), s.model.move(id, tube))
}

func (s *sim) change() {
	id := s.id()
	var c queue.Change
	if s.r.IntN(3) > 0 {
		c.Pri = new(s.pri())
	}
	if s.r.IntN(3) > 0 {
		c.Delay = new(s.delay())
	}
	s.did("change %d: pri %v, delay %v", id, c.Pri != nil, c.Delay != nil)
	same(s, "Change", s.engine.Change(s.model.now, id, c), s.model.change(id, c))
}

func (s *sim) importJob() {
	if jobs := s.model.jobs; len(jobs) >= s.p.jobs {
		s.drop(s.client(), pick(s.r, jobs))
	}
	now := s.model.now
	i := &queue.Imported{
		Tube: s.tube(), State: queue.State(s.r.IntN(int(queue.NumStates))), Pri: s.pri(), Delay: s.delay(), TTR: s.ttr(),
		Created: now + s.r.Int64N(int64(time.Hour)) - int64(time.Minute)*50, At: now + int64(s.duration()),
		Body: []byte(strings.Repeat("i", s.r.IntN(40))),
	}
	if s.r.IntN(2) == 0 {
		i.Reserves, i.Timeouts, i.Releases, i.Buries, i.Kicks = s.r.Uint32N(9), s.r.Uint32N(3), s.r.Uint32N(3), s.r.Uint32N(3), s.r.Uint32N(3)
	}
	s.did("import %+v", *i)
	id, err := s.engine.Import(now, i)
	if l := s.p.limits; err == queue.ErrOutOfMemory && l.Memory > 0 && s.engine.Memory() > l.Memory/2 {
		s.refused++
		return
	}
	want, wantErr := s.model.importJob(i)
	same(s, "Import", err, wantErr)
	same(s, "Import", id, want)
}

func (s *sim) find() {
	q := &queue.Query{States: s.states()}
	if s.r.IntN(3) > 0 {
		q.Tube = s.tube()
	}
	if s.r.IntN(3) == 0 {
		q.Contains = []byte(strings.Repeat(string(rune('a'+s.r.IntN(26))), s.r.IntN(3)))
	}
	if s.r.IntN(3) == 0 {
		q.Until = s.r.Uint64N(s.model.lastID + 3)
	}
	after := uint64(0)
	if s.r.IntN(3) == 0 {
		after = []uint64{s.r.Uint64N(s.model.lastID + 3), math.MaxUint64}[s.r.IntN(2)]
	}
	s.did("find %+v after %d", *q, after)
	stored := func(id uint64) bool { j, _ := s.engine.Peek(id); return j.Stored > 0 }
	want := s.model.query(q, after, stored)
	stop := s.r.IntN(4) == 0
	for work, end := s.r.IntN(2000), false; !end; {
		before := after
		after, end = s.engine.Find(s.model.now, q, after, 1+s.r.IntN(1+work), func(f *queue.Found) bool {
			if len(want) == 0 {
				s.failed("Find: got job %d, which nobody looks for", f.ID)
			}
			j := want[0]
			want = want[1:]
			same(s, "Found", f.JobStats, s.model.jobStats(j))
			same(s, "Found.Job", s.seen(f.Job), viewOf(j))
			same(s, "Unsearched", f.Unsearched, len(q.Contains) > 0 && stored(j.ID))
			return !stop
		})
		if !end && after <= before {
			s.failed("Find: got to %d from %d", after, before)
		}
	}
	same(s, "jobs not found", len(want), 0)
}

func (s *sim) toggleDrain() {
	s.model.draining = !s.model.draining
	s.did("drain: %v", s.model.draining)
	if s.model.draining {
		s.engine.Drain()
	} else {
		s.engine.Undrain()
	}
	same(s, "Draining", s.engine.Draining(), s.model.draining)
	if s.model.draining && s.r.IntN(10) > 0 { // not for long
		s.put()
		s.importJob()
		s.toggleDrain()
	}
}

// heard is what an observer knows from nothing but events.
type heard struct {
	jobs  map[uint64]queue.Event // the last of each
	tubes map[string]bool        // whether it is paused
	wrong error                  // the first event that made no sense
}

func newHeard() *heard {
	return &heard{jobs: map[uint64]queue.Event{}, tubes: map[string]bool{"default": false}}
}

// Observe takes note of an event.
func (h *heard) Observe(ev queue.Event) {
	before, there := h.jobs[ev.ID]
	_, tube := h.tubes[ev.Tube]
	ok := tube
	from := func(states ...queue.State) bool {
		return there && before.Tube == ev.Tube && slices.Contains(states, before.State)
	}
	switch ev.Kind {
	case queue.JobPut:
		ok = ok && !there
	case queue.JobReserved:
		ok = ok && from(queue.Ready, queue.Delayed, queue.Buried)
	case queue.JobReleased, queue.JobBuried, queue.JobTimedOut, queue.JobReturned, queue.JobTouched:
		ok = ok && from(queue.Reserved)
	case queue.JobKicked:
		ok = ok && from(queue.Delayed, queue.Buried)
	case queue.JobReady:
		ok = ok && from(queue.Delayed)
	case queue.JobMoved:
		ok = ok && there && before.Tube != ev.Tube && before.State == ev.State
	case queue.JobChanged:
		ok = ok && from(queue.Ready, queue.Delayed, queue.Buried)
	case queue.JobDeleted:
		ok = ok && from(ev.State)
	case queue.TubeMade:
		ok = !tube
		h.tubes[ev.Tube] = false
	case queue.TubeGone:
		delete(h.tubes, ev.Tube)
	case queue.TubePaused, queue.TubeResumed:
		h.tubes[ev.Tube] = ev.Kind == queue.TubePaused
	}
	switch {
	case ev.Kind == queue.JobDeleted:
		delete(h.jobs, ev.ID)
	case ev.Kind < queue.TubeMade:
		h.jobs[ev.ID] = ev
	}
	if !ok && h.wrong == nil {
		h.wrong = fmt.Errorf("%v %+v; before: %+v", ev.Kind, ev, before)
	}
}

// checkHeard compares what has been heard with the model.
func (s *sim) checkHeard() {
	if s.heard == nil {
		return
	}
	if s.heard.wrong != nil {
		s.failed("event: %v", s.heard.wrong)
	}
	same(s, "jobs heard of", len(s.heard.jobs), len(s.model.jobs))
	for _, j := range s.model.jobs {
		ev := s.heard.jobs[j.ID]
		ev.Kind, ev.At = 0, 0
		want := queue.Event{ID: j.ID, Tube: j.Tube, State: j.State, Pri: j.Pri, Delay: j.Delay, TTR: j.TTR}
		same(s, "the last event of a job", ev, want)
	}
	same(s, "tubes heard of", len(s.heard.tubes), len(s.model.tubes))
	for _, t := range s.model.tubes {
		paused, there := s.heard.tubes[t.name]
		same(s, "tube heard of", there, true)
		same(s, "paused, as heard", paused, t.pause > 0)
	}
}

package queue_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"spoked/queue"
)

// TestRestoreSimulation drives the engine and the model as TestSimulation
// does, and restores another engine from the journal now and then. That is
// compared with a model of what must be left, and takes the place of the
// first, or does not.
//
//	go test ./queue -run TestRestoreSimulation -seeds 1000
//	go test ./queue -run TestRestoreSimulation/pauses -seed 17 -steps 100000
func TestRestoreSimulation(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			first, last := *simSeed, *simSeed
			if first == 0 {
				first, last = 1, max(1, *simSeeds/2)
			}
			for seed := first; seed <= last; seed++ {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					t.Parallel()
					newRestoreSim(t, p, seed).run(seed, *simSteps/3)
				})
			}
		})
	}
}

// restoreSim is a simulation with a journal. There are two logs: the whole,
// and the plain one, which is without what a cleaner wrote.
type restoreSim struct {
	sim
	known   [2]map[uint64]known // by job: what is known from the plain log, and the whole
	lastID  uint64              // recorded
	burial  map[uint64]uint64   // by job: the number of its last burial
	burials uint64
	kept    []*modelTube // restored, and kept for their pause
	told    int          // times
}

// known is what is known of a job from a log, where it is not what is true.
type known struct {
	reserves, timeouts uint32
	place              queue.Place
	order              int // of its last record, among all
}

const (
	plain = iota
	whole
)

func newRestoreSim(t testing.TB, p profile, seed uint64) *restoreSim {
	s := &restoreSim{
		sim:    sim{t: t, r: rand.New(rand.NewPCG(seed, 1)), p: p, engine: queue.New(start), model: newModel(start), journal: &journal{}},
		known:  [2]map[uint64]known{{}, {}},
		burial: map[uint64]uint64{},
	}
	s.engine.SetLimits(p.limits)
	s.engine.SetJournal(s.journal)
	return s
}

func (s *restoreSim) run(seed uint64, steps int) {
	opers := append(slices.Clone(usual), s.p.more...)
	sum := 0
	for _, o := range opers {
		sum += o.weight
	}
	for step := range steps {
		s.on = fmt.Sprintf("%s, seed %d, step %d", s.p.name, seed, step)
		s.pass()
		before, heard := s.counts(), len(s.journal.log)
		n := s.r.IntN(sum)
		for _, o := range opers {
			if n -= o.weight; n < 0 {
				o.do(&s.sim)
				break
			}
		}
		s.learn(before, s.journal.log[heard:])
		s.settle()
		s.compare()
		for range s.r.IntN(3) {
			s.clean()
		}
		switch s.r.IntN(100) {
		case 0:
			s.snapshot()
		case 1, 2, 3:
			s.tellUntold()
			s.restore()
		case 4, 5, 6:
			s.restore()
		}
	}
}

// pass lets time pass before a command.
func (s *restoreSim) pass() {
	now := s.model.now + 1 + s.r.Int64N(1e6)
	if s.r.IntN(s.p.jump) == 0 {
		if at, happen := s.model.next(); happen != nil && s.r.IntN(3) > 0 {
			now = max(now, at+s.r.Int64N(3)-1)
		} else {
			now += int64(s.duration())
		}
	}
	if now > end {
		return
	}
	s.model.advance(now)
	for s.engine.Advance(now, 10) {
		s.collect()
	}
	s.did("advance")
	s.settle()
}

// settle drops from the model the tubes of which the pause is over, and lets
// those be as they are that somebody wants.
func (s *restoreSim) settle() {
	s.collect()
	slices.SortFunc(s.kept, func(a, b *modelTube) int { return cmp.Compare(a.resume, b.resume) })
	s.kept = slices.DeleteFunc(s.kept, func(t *modelTube) bool {
		for _, c := range s.model.clients {
			if c.used == t || slices.Contains(c.watched, t) {
				t.drafts--
				return true
			}
		}
		if t.pause > 0 {
			return false
		}
		t.drafts--
		s.model.drop(t)
		return true
	})
}

// counts returns what is true of all jobs.
func (s *restoreSim) counts() map[uint64]known {
	all := map[uint64]known{}
	for _, j := range s.model.jobs {
		all[j.ID] = known{reserves: j.Reserves, timeouts: j.Timeouts}
	}
	return all
}

// learn takes note of what a step has added to both logs. What is told is
// what was true before the step: who reserves a job during it does so after it
// is recorded.
func (s *restoreSim) learn(before map[uint64]known, log []entry) {
	for _, k := range log {
		id := k.job.ID
		switch k.kind {
		case "job":
			s.lastID = max(s.lastID, id)
			s.learnBurial(&k.job)
			s.tell(id, known{k.job.Reserves, k.job.Timeouts, k.job.Place, 0}, plain, whole)
		case "change", "move":
			s.learnBurial(&k.job)
			s.tell(id, before[id], plain, whole)
		case "end":
			delete(s.known[plain], id)
			delete(s.known[whole], id)
		}
	}
}

// learnBurial takes note of the number of a burial, which must be the next if it is
// new.
func (s *restoreSim) learnBurial(r *queue.Record) {
	if r.State == queue.Buried && r.Burial != s.burial[r.ID] {
		s.burials++
		s.burial[r.ID] = s.burials
		same(&s.sim, "Burial", r.Burial, s.burials)
	}
}

// tell takes note of what is known of a job. If no place is given, it is
// the one known before.
func (s *restoreSim) tell(id uint64, k known, logs ...int) {
	s.told++
	for _, log := range logs {
		l := k
		l.order = s.told
		if l.place == (queue.Place{}) {
			l.place = s.known[log][id].place
		}
		s.known[log][id] = l
	}
}

// clean writes a job as it is into the whole log, as a cleaner does.
func (s *restoreSim) clean() {
	j := pick(s.r, s.model.jobs)
	if j == nil {
		return
	}
	s.did("clean %d", j.ID)
	r, ok := s.engine.Describe(j.ID)
	same(&s.sim, "Describe", ok, true)
	s.move(r, whole)
	s.journal.log[len(s.journal.log)-1].cleaner = true
}

// move writes a job as it is into a segment of its own. Jobs that are put are
// all in segment 0.
func (s *restoreSim) move(r *queue.Record, logs ...int) {
	s.journal.segment = uint32(s.told) + 1
	to := s.journal.Job(r)
	s.journal.segment = 0
	s.engine.Moved(r.ID, to)
	j := s.model.job(r.ID)
	j.Segment = to.Segment
	s.tell(r.ID, known{reserves: j.Reserves, timeouts: j.Timeouts, place: to}, logs...)
}

// snapshot begins both logs anew.
func (s *restoreSim) snapshot() {
	s.did("snapshot")
	e := s.engine
	s.lastID = e.NextID() - 1
	same(&s.sim, "NextID", s.lastID, s.model.lastID)
	s.journal.log = []entry{{kind: "seen", id: s.lastID, burial: e.Burials()}}
	for r := range e.Jobs() {
		s.move(r, plain, whole)
	}
	for name := range e.Tubes() {
		if p, ok := e.PauseOf(name); ok {
			s.journal.Pause(p.Tube, p.Until, p.Length)
		}
	}
}

// tellUntold has the counts recorded that are not.
func (s *restoreSim) tellUntold() {
	s.did("tell the untold")
	untold := map[uint64]bool{}
	for id, c := range s.counts() {
		if k := s.known[whole][id]; k.reserves != c.reserves || k.timeouts != c.timeouts {
			untold[id] = true
		}
		if untold[id] {
			s.tell(id, c, plain, whole)
		}
	}
	for r := range s.engine.Untold() {
		if !untold[r.ID] {
			s.failed("Untold: got job %d, want only %v", r.ID, untold)
		}
		delete(untold, r.ID)
		s.journal.Change(r)
	}
	if len(untold) > 0 {
		s.failed("Untold: got none of %v", untold)
	}
}

// restore restores engines from both logs, at once or after a while, and
// compares each with what must be left. It may go on with that of the whole
// log.
func (s *restoreSim) restore() {
	now := s.model.now
	if later := now + int64(s.duration()); s.r.IntN(3) == 0 && later < end {
		now = later
	}
	s.did("restore at %d", now)
	for log := range s.known {
		l := s.restored(now, log)
		l.checkRecords(s, s.known[log])
		l.compare()
		l.useUp()
	}
	if s.r.IntN(2) > 0 {
		return
	}
	l := s.restored(now, whole)
	l.engine.SetJournal(s.journal)
	s.did("go on with what was restored")
	s.engine, s.model, s.kept = l.engine, l.model, l.kept
	s.clients, s.drafts, s.wakes = nil, nil, nil
}

// restored returns a simulation of an engine restored from a log. The model
// is what must be left of that of s.
func (s *restoreSim) restored(now int64, log int) *restoreSim {
	e := s.journal.replay(s.t, now, log == whole, s.p.limits)
	m := newModel(s.model.now)
	m.lastID = s.lastID
	for _, j := range s.model.jobs {
		left := *j
		left.tube, left.owner = m.tube(j.Tube), nil
		if j.State == queue.Reserved {
			left.State = queue.Ready
		}
		k := s.known[log][j.ID]
		left.Reserves, left.Timeouts, left.Segment = k.reserves, k.timeouts, k.place.Segment
		m.jobs = append(m.jobs, &left)
	}
	delayed := func(j *modelJob) bool { return j.State == queue.Delayed }
	first := slices.DeleteFunc(slices.Clone(m.jobs), func(j *modelJob) bool { return !delayed(j) })
	slices.SortFunc(first, func(a, b *modelJob) int { // which matters for those due at the same instant
		return cmp.Compare(s.known[log][a.ID].order, s.known[log][b.ID].order)
	})
	m.jobs = append(first, slices.DeleteFunc(m.jobs, delayed)...)
	for _, t := range s.model.tubes {
		if t.pause > 0 {
			left := m.tube(t.name)
			left.pause, left.resume = t.pause, t.resume
		}
	}
	m.advance(now)
	l := &restoreSim{sim: sim{t: s.t, r: s.r, p: s.p, on: s.on, engine: e, model: m, journal: s.journal, log: s.log}}
	for _, t := range slices.Clone(m.tubes) {
		if t.pause > 0 {
			t.drafts++ // which keeps it
			l.kept = append(l.kept, t)
		} else {
			m.drop(t)
		}
	}
	var tubes []*modelTube
	for name := range e.Tubes() { // in whatever order
		t := m.find(name)
		if t == nil {
			s.failed("tube %q is restored, but nothing keeps it", name)
		}
		tubes = append(tubes, t)
	}
	same(&s.sim, "tubes restored", len(tubes), len(m.tubes))
	m.tubes = tubes
	return l
}

// checkRecords compares the records of a restored engine with the model and
// with what is known by the simulation s.
func (l *restoreSim) checkRecords(s *restoreSim, known map[uint64]known) {
	same(&l.sim, "NextID", l.engine.NextID(), s.lastID+1)
	same(&l.sim, "Burials", l.engine.Burials(), s.burials)
	jobs := slices.Clone(l.model.jobs)
	slices.SortFunc(jobs, func(a, b *modelJob) int { return cmp.Compare(a.ID, b.ID) })
	for r := range l.engine.Jobs() {
		if len(jobs) == 0 || r.ID != jobs[0].ID {
			l.failed("Jobs: got job %d, which is not there or out of order", r.ID)
		}
		j := jobs[0]
		jobs = jobs[1:]
		want := queue.Record{
			ID: j.ID, Tube: j.Tube, State: j.State, Pri: j.Pri, Created: j.created, Delay: int64(j.Delay), TTR: int64(j.TTR),
			Reserves: j.Reserves, Timeouts: j.Timeouts, Releases: j.Releases, Buries: j.Buries, Kicks: j.Kicks,
			Body: []byte(j.body), Place: known[j.ID].place,
		}
		switch j.State {
		case queue.Delayed:
			want.At = j.deadline
		case queue.Buried:
			want.Burial = s.burial[j.ID]
		}
		got := copyOf(r)
		if got.Stored > 0 {
			got.Body, got.Stored = []byte(l.journal.bodyAt(l.t, got.Place, got.ID, got.Stored)), 0
		}
		wantRecord(l.t, l.on, got, want)
	}
	same(&l.sim, "jobs not restored", len(jobs), 0)
	for _, t := range l.model.tubes {
		p, ok := l.engine.PauseOf(t.name)
		same(&l.sim, "PauseOf", ok, t.pause > 0)
		if ok {
			same(&l.sim, "PauseOf", p, queue.Pause{Tube: t.name, Until: t.resume, Length: int64(t.pause)})
		}
	}
}

// useUp takes everything out of a restored engine, in the order in which it
// comes: buried jobs, delayed ones, ready ones.
func (l *restoreSim) useUp() {
	c := l.join()
	for _, t := range slices.Clone(l.model.tubes) {
		l.engine.Use(c.engine, []byte(t.name))
		l.model.use(c.model, t.name)
		l.settle()
		for n := uint32(1); n > 0; {
			l.peeked("PeekBuried", l.model.first(t, queue.Buried))(l.engine.PeekBuried(c.engine))
			l.peeked("PeekDelayed", l.model.first(t, queue.Delayed))(l.engine.PeekDelayed(c.engine))
			n = kicked(l.engine.Kick(l.model.now, c.engine, 1))
			same(&l.sim, "Kick", n, l.model.kick(c.model, 1))
		}
		l.pauseFor(t, 0)
		l.watchTube(c, t.name)
	}
	l.compare()
	for len(l.model.jobs) > 0 {
		j, outcome := l.engine.Reserve(l.model.now, c.engine, 0)
		want, wantOutcome := l.model.reserve(c.model, 0)
		same(&l.sim, "Reserve", outcome, wantOutcome)
		same(&l.sim, "Reserve", l.seen(j), want)
		same(&l.sim, "Delete", l.engine.Delete(l.model.now, c.engine, j.ID), l.model.delete(c.model, j.ID))
	}
	l.leave(c)
	l.compare()
}

func (l *restoreSim) pauseFor(t *modelTube, d time.Duration) {
	same(&l.sim, "Pause", l.engine.Pause(l.model.now, []byte(t.name), d), l.model.pauseTube(t.name, d))
}

// What a restart leaves of pauses.

func TestPauseOutlivesARestart(t *testing.T) {
	s := newKeptStage(t)
	s.watch("worker", "a", "b", "c")
	s.put("b", 0, 0, minute)
	for _, tube := range []string{"a", "b", "default"} {
		s.engine.Pause(s.now, []byte(tube), minute)
	}
	s.engine.Pause(s.now, []byte("c"), 10*time.Second)

	s.restart(20 * time.Second)
	s.wantList("tubes", sorted(s.engine), "a", "b", "default")
	for _, tube := range []string{"a", "b", "default"} {
		s.want("Pause", s.tube(tube).Pause, minute)
		s.want("PauseLeft", s.tube(tube).PauseLeft, 40*time.Second)
		s.want("Pauses", s.tube(tube).Pauses, uint64(0))
	}

	s.restart(20 * time.Second)
	s.watch("worker", "b")
	s.want("Reserve", s.reserve("worker", minute), "waiting")
	s.after(20*time.Second - 1)
	s.wantList("tubes while paused", sorted(s.engine), "a", "b", "default")
	s.want("Wake", s.after(1), "worker: job 1")
	s.wantList("tubes", sorted(s.engine), "b", "default")
	s.want("Pause", s.tube("default").Pause, time.Duration(0))
	s.want("Check", s.engine.Check(), nil)

	s.restart(0)
	s.wantList("tubes", sorted(s.engine), "b", "default")
	s.want("Pause", s.tube("b").Pause, time.Duration(0))
}

func sorted(e *queue.Engine) []string { return slices.Sorted(e.Tubes()) }

// A tube that is kept for its pause is like any other once it is used or
// watched.
func TestKeptTubeThatIsWanted(t *testing.T) {
	for _, tt := range []struct {
		name        string
		want, leave func(*keptStage)
	}{
		{"used", func(s *keptStage) { s.engine.Use(s.client("ann"), []byte("a")) },
			func(s *keptStage) { s.engine.Use(s.client("ann"), []byte("default")) }},
		{"watched", func(s *keptStage) { s.engine.Watch(s.client("ann"), []byte("a")) },
			func(s *keptStage) { s.engine.Ignore(s.client("ann"), []byte("a")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newKeptStage(t)
			s.watch("worker", "a")
			s.engine.Pause(s.now, []byte("a"), minute)
			s.journal.news()

			s.restart(0)
			tt.want(s)
			s.want("Pause", s.tube("a").Pause, minute)
			s.after(2 * minute)
			s.wantList("tubes after the pause", sorted(s.engine), "a", "default")
			tt.leave(s)
			s.wantList("tubes", sorted(s.engine), "default")

			s.restart(-2 * minute)
			tt.want(s)
			tt.leave(s)
			s.wantList("tubes", sorted(s.engine), "default")
			s.want("recorded", s.journal.news(), "pause a 0s")
			s.restart(0)
			s.wantList("tubes", sorted(s.engine), "default")
		})
	}
}

// A kept tube with jobs outlives them, until its pause is over.
func TestKeptTubeOutlivesItsJobs(t *testing.T) {
	s := newKeptStage(t)
	s.put("a", 0, 0, minute)
	s.engine.Pause(s.now, []byte("a"), minute)
	s.restart(0)
	s.engine.Delete(s.now, s.client("worker"), 1)
	s.wantList("tubes", sorted(s.engine), "a", "default")
	s.engine.Pause(s.now, []byte("a"), time.Hour)
	s.after(2 * minute)
	s.wantList("tubes", sorted(s.engine), "a", "default")
	s.restart(0)
	s.want("PauseLeft", s.tube("a").PauseLeft, time.Hour-2*minute)
	s.after(time.Hour)
	s.wantList("tubes", sorted(s.engine), "default")
}

func TestPauseEndedByCommandFreesItsTube(t *testing.T) {
	s := newKeptStage(t)
	s.watch("worker", "a")
	s.engine.Pause(s.now, []byte("a"), minute)
	s.restart(0)
	s.want("Pause", s.engine.Pause(s.now, []byte("a"), 0), nil)
	s.after(time.Hour)
	s.wantList("tubes", sorted(s.engine), "default")
}

// What a restart leaves of jobs.

// Buried jobs stay in the order in which they were buried, whatever their
// ids, and those buried later go behind them.
func TestBuriedOrderOutlivesRestarts(t *testing.T) {
	s := newKeptStage(t)
	for i := range 6 {
		s.put([]string{"a", "b"}[i%2], 0, 0, minute)
	}
	bury := func(id uint64) {
		s.engine.ReserveJob(s.now, s.client("worker"), id)
		s.engine.Bury(s.client("worker"), id, 0)
	}
	for _, id := range []uint64{5, 2, 1, 6} {
		bury(id)
	}
	s.restart(0)
	bury(4)
	s.engine.KickJob(s.now, 5)
	bury(5)
	bury(3)
	s.want("Burials", s.engine.Burials(), uint64(7))
	s.restart(0)
	for _, want := range []struct {
		tube string
		ids  []uint64
	}{{"a", []uint64{1, 5, 3}}, {"b", []uint64{2, 6, 4}}} {
		c := s.client(want.tube)
		s.engine.Use(c, []byte(want.tube))
		for _, id := range want.ids {
			j, err := s.engine.PeekBuried(c)
			s.want("PeekBuried", err, nil)
			s.want("PeekBuried", j.ID, id)
			s.want("Kick", kicked(s.engine.Kick(s.now, c, 1)), uint32(1))
			s.want("state", s.job(id).State, queue.Ready)
		}
	}
}

// The number of a burial is not given again, even if no job that is left has
// it, as long as the journal has.
func TestBurialsAreSeen(t *testing.T) {
	e := queue.New(start)
	s := e.Restore(start)
	s.SeenBurial(17)
	s.SeenBurial(3)
	s.Finish()
	if got, want := e.Burials(), uint64(17); got != want {
		t.Errorf("Burials: got %d, want %d", got, want)
	}
}

func TestDelaysGoOnDuringARestart(t *testing.T) {
	s := newKeptStage(t)
	s.put("a", 5, 10*time.Second, minute)
	s.put("a", 3, 20*time.Second, minute)
	s.put("a", 4, 30*time.Second, minute)
	s.restart(20 * time.Second)
	s.want("state of one overdue", s.job(1).State, queue.Ready)
	s.want("Delay", s.job(1).Delay, 10*time.Second)
	s.want("state of one due now", s.job(2).State, queue.Ready)
	s.want("urgent", s.engine.Stats().Urgent, 2)
	s.want("urgent", s.tube("a").Urgent, 2)
	s.want("TimeLeft", s.job(3).TimeLeft, 10*time.Second)
	s.watch("worker", "a")
	for _, want := range []string{"job 2", "job 1", "waiting"} {
		s.want("Reserve", s.reserve("worker", minute), want)
	}
	s.want("Wake", s.after(10*time.Second), "worker: job 3")
}

// TestRestorerOfAny tells a Restorer of jobs that are not there, or that it
// has been told of already, in another tube and with another body.
func TestRestorerOfAny(t *testing.T) {
	e := queue.New(start)
	s := e.Restore(start)
	is := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	next := func(want uint64) { t.Helper(); is("NextID", e.NextID(), want) }
	next(1)
	is("Change of none", s.Change(&queue.Record{ID: 7}), false)
	next(8)
	is("End of none", s.End(9), false)
	next(10)
	s.Seen(12)
	s.Seen(3)
	next(13)
	states := []queue.Record{
		{State: queue.Ready},
		{State: queue.Delayed, At: start + 1},
		{State: queue.Delayed, At: start},
		{State: queue.Buried, Burial: 3},
	}
	record := func(i, version int) queue.Record {
		r := states[(i+version*(i/4))%len(states)]
		r.ID, r.Pri, r.TTR, r.Segment = uint64(i+1), uint32(1020+i%8), 1e9, uint32(version)
		r.Tube = fmt.Sprint("t", (i+version)%5)
		r.Body = bytes.Repeat([]byte{byte(i)}, i*version%300)
		return r
	}
	const jobs, versions = 200, 4
	for version := range versions {
		for i := range jobs {
			r := record(i, version)
			is("Job", s.Job(&r), nil)
		}
	}
	next(jobs + 1)
	s.Finish()
	is("Check", e.Check(), nil)
	n := 0
	for r := range e.Jobs() {
		want := record(n, versions-1)
		if want.At == start {
			want.State, want.At = queue.Ready, 0
		}
		want.Body = append([]byte{}, want.Body...)
		wantRecord(t, "Jobs", copyOf(r), want)
		n++
	}
	is("jobs", n, jobs)
	c := e.Connect()
	for id := range uint64(jobs) {
		is("Delete", e.Delete(start, c, id+1), nil)
	}
	is("Check", e.Check(), nil)
	is("tubes", len(slices.Collect(e.Tubes())), 1)
}

// TestRestoreAcrossPages has more jobs in one tube than a page of its heap
// takes, most of which leave it again before the end.
func TestRestoreAcrossPages(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	e := queue.New(start)
	s := e.Restore(start)
	const n = 10_000
	for _, i := range r.Perm(n) {
		if err := s.Job(&queue.Record{ID: uint64(i + 1), Tube: "a", Pri: r.Uint32N(50), TTR: 1e9}); err != nil {
			t.Fatal(err)
		}
	}
	left := map[uint64]uint32{}
	for i := range uint64(n) {
		switch r.IntN(3) {
		case 0:
			s.End(i + 1)
		case 1:
			left[i+1] = r.Uint32N(2000)
			s.Change(&queue.Record{ID: i + 1, Pri: left[i+1]})
		case 2:
			left[i+1] = r.Uint32N(2000)
			s.Change(&queue.Record{ID: i + 1, State: queue.Delayed, At: start + int64(1+r.IntN(5)), Pri: left[i+1]})
		}
	}
	s.Finish()
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	for e.Advance(start+5, 1000) {
	}
	c := e.Connect()
	e.Watch(c, []byte("a"))
	lastPri, lastID := uint32(0), uint64(0)
	for len(left) > 0 {
		j, outcome := e.Reserve(start+5, c, 0)
		pri, ok := left[j.ID]
		if outcome != queue.Given || !ok || pri < lastPri || pri == lastPri && j.ID < lastID {
			t.Fatalf("Reserve: got %v, job %d of pri %d after job %d of pri %d", outcome, j.ID, pri, lastID, lastPri)
		}
		lastPri, lastID = pri, j.ID
		delete(left, j.ID)
		e.Delete(start+5, c, j.ID)
	}
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}

// BenchmarkRestore says what a job costs to restore, by its kind.
func BenchmarkRestore(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 100)
	record := func(r queue.Record) queue.Record {
		r.Tube, r.Pri, r.Created, r.TTR, r.Body, r.Segment = "default", 1024, start, int64(minute), body, 1
		return r
	}
	worked := queue.Record{Reserves: 1, Releases: 1}
	for _, bm := range []struct {
		name   string
		job    queue.Record
		change *queue.Record // if not nil, after each job
	}{
		{name: "ready", job: record(queue.Record{})},
		{name: "delayed", job: record(queue.Record{State: queue.Delayed})},
		{name: "buried", job: record(queue.Record{State: queue.Buried, Reserves: 1, Buries: 1})},
		{name: "released", job: record(queue.Record{}), change: &worked},
	} {
		b.Run(bm.name, func(b *testing.B) {
			r, random := bm.job, rand.New(rand.NewPCG(1, 2))
			delays := make([]int64, 1<<16)
			for i := range delays {
				delays[i] = 1 + random.Int64N(int64(time.Hour))
			}
			e := queue.New(start)
			s := e.Restore(start)
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				r.ID++
				switch r.State {
				case queue.Delayed:
					r.At = start + delays[i%len(delays)]
				case queue.Buried:
					r.Burial++
				}
				if err := s.Job(&r); err != nil {
					b.Fatal(err)
				}
				if bm.change != nil {
					bm.change.ID, bm.change.Pri = r.ID, r.Pri
					s.Change(bm.change)
				}
			}
			s.Finish()
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/job")
			if n := e.Stats().Jobs; n[bm.job.State] != b.N {
				b.Fatalf("got %v jobs, want %d", n, b.N)
			}
		})
	}
}

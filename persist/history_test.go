package persist_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"spoked/persist"
	"spoked/queue"
)

// An effect is what the journal was told, or what cleaning has copied.
type effect struct {
	kind  byte // job, change, move, end, pause
	job   queue.Record
	pause queue.Pause
}

// kept is what effects have brought about.
type kept struct {
	jobs    map[uint64]queue.Record
	pauses  map[string]queue.Pause
	lastID  uint64
	burials uint64
}

func (k *kept) clone() *kept {
	return &kept{maps.Clone(k.jobs), maps.Clone(k.pauses), k.lastID, k.burials}
}

// apply is the rule of what effects mean. It returns the id of the job that
// has changed.
func (k *kept) apply(e *effect) (id uint64) {
	id = e.job.ID
	k.lastID = max(k.lastID, id)
	k.burials = max(k.burials, e.job.Burial)
	switch e.kind {
	case 'j':
		k.jobs[id] = e.job
	case 'c', 'm':
		whole, j := k.jobs[id], e.job
		j.Created, j.TTR = whole.Created, whole.TTR
		if e.kind == 'c' {
			j.Tube = whole.Tube
		}
		j.Body, j.Stored, j.Place = whole.Body, 0, whole.Place
		k.jobs[id] = j
	case 'e':
		delete(k.jobs, id)
	case 'p':
		delete(k.pauses, e.pause.Tube)
		if e.pause.Length > 0 {
			k.pauses[e.pause.Tube] = e.pause
		}
	}
	return id
}

// at is what is left of r after time has passed.
func at(now int64, r queue.Record) queue.Record {
	if r.State == queue.Delayed && r.At <= now {
		r.State, r.At = queue.Ready, 0
	}
	return r
}

func sameRecord(a, b queue.Record) bool {
	bodies := bytes.Equal(a.Body, b.Body)
	a.Body, b.Body = nil, nil
	return bodies && fmt.Sprint(a) == fmt.Sprint(b)
}

func showRecord(r queue.Record) string {
	n := len(r.Body)
	r.Body = r.Body[:min(n, 8)]
	return fmt.Sprintf("%+v (%d bytes)", r, n)
}

func recordOf(r *queue.Record) queue.Record {
	c := *r
	c.Body = slices.Clone(r.Body)
	return c
}

// tee is a journal that the simulation listens to.
type tee struct {
	*persist.Journal
	hear func(effect)
}

func (t *tee) Job(r *queue.Record) queue.Place {
	e := effect{kind: 'j', job: recordOf(r)}
	e.job.Place = t.Journal.Job(r)
	t.hear(e)
	return e.job.Place
}

func (t *tee) Change(r *queue.Record) {
	t.hear(effect{kind: 'c', job: recordOf(r)})
	t.Journal.Change(r)
}

func (t *tee) Move(r *queue.Record, from string) {
	t.hear(effect{kind: 'm', job: recordOf(r)})
	t.Journal.Move(r, from)
}

func (t *tee) End(r *queue.Record) {
	t.hear(effect{kind: 'e', job: queue.Record{ID: r.ID}})
	t.Journal.End(r)
}

func (t *tee) Pause(tube string, until, length int64) {
	t.hear(effect{kind: 'p', pause: queue.Pause{Tube: tube, Until: until, Length: length}})
	t.Journal.Pause(tube, until, length)
}

// fsLoader is a Loader that reads when it is asked.
type fsLoader struct {
	fs  persist.FS
	dir string
}

func (l fsLoader) Expect([]uint64)       {}
func (l fsLoader) Done(*persist.Segment) {}
func (l fsLoader) Load(number uint64) (*persist.Segment, error) {
	data, err := l.fs.ReadFile(l.dir+"/"+persist.SegmentName(number), nil)
	if err != nil {
		return nil, err
	}
	return persist.ReadSegment(number, data)
}

// recoverFrom does what a server does when it starts, up to Open.
func recoverFrom(fs persist.FS, dir string, now int64) (*persist.Recovery, error) {
	return recoverUnder(fs, dir, now, queue.Limits{})
}

// recoverUnder is recoverFrom for an engine with limits.
func recoverUnder(fs persist.FS, dir string, now int64, l queue.Limits) (*persist.Recovery, error) {
	files, err := fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	return persist.Recover(files, fsLoader{fs, dir}, func() *queue.Engine {
		e := queue.New(now)
		e.SetLimits(l)
		return e
	}, now)
}

// match finds the effect from lo to hi after which the state was that of e,
// forgets what came later, and returns its number.
func (s *crashSim) match(e *queue.Engine, lo, hi int) int {
	if err := e.Check(); err != nil {
		s.failf("Check: %v", err)
	}
	got := map[uint64]queue.Record{}
	for r := range e.Jobs() {
		got[r.ID] = s.wholeRecord(r)
	}
	state := s.first.clone()
	for i := s.done; i < lo; i++ {
		state.apply(&s.effects[i-s.done])
	}
	wrong := map[uint64]bool{}
	look := func(id uint64) {
		g, ok := got[id]
		w, want := state.jobs[id]
		if ok == want && (!ok || sameRecord(g, at(s.now, w))) {
			delete(wrong, id)
		} else {
			wrong[id] = true
		}
	}
	for id := range got {
		look(id)
	}
	for id := range state.jobs {
		look(id)
	}
	var best map[uint64]bool
	bestAt, why := 0, ""
	for k := lo; ; k++ {
		if len(wrong) == 0 {
			if why = s.wrongBeside(e, state); why == "" {
				s.current = state
				s.effects = s.effects[:k-s.done]
				return k
			}
		}
		if best == nil || len(wrong) < len(best) {
			best, bestAt = maps.Clone(wrong), k
		}
		if k == hi {
			break
		}
		if id := state.apply(&s.effects[k-s.done]); id != 0 {
			look(id)
		}
	}
	state = s.first.clone()
	for i := s.done; i < bestAt; i++ {
		state.apply(&s.effects[i-s.done])
	}
	diff := ""
	for _, id := range slices.Sorted(maps.Keys(best)) {
		g, ok := got[id]
		w, want := state.jobs[id]
		diff += fmt.Sprintf("\n\tjob %d: got %v %s,\n\t\twant %v %s", id, ok, showRecord(g), want, showRecord(at(s.now, w)))
	}
	s.failf("what is recovered is no state from effect %d to %d; the nearest is that of %d: %s%s\nfiles: %s", lo, hi, bestAt, why, diff, s.listing())
	return 0
}

// wrongBeside returns what is wrong with e, besides jobs.
func (s *crashSim) wrongBeside(e *queue.Engine, k *kept) string {
	if got, want := e.NextID(), k.lastID+1; got < want {
		return fmt.Sprintf("NextID: got %d, want %d at least", got, want)
	}
	if got, want := e.Burials(), k.burials; got < want {
		return fmt.Sprintf("Burials: got %d, want %d at least", got, want)
	}
	n := 0
	for name := range e.Tubes() {
		p, ok := e.PauseOf(name)
		if want := k.pauses[name]; ok && p != want {
			return fmt.Sprintf("pause of %s: got %v, want %v", name, p, want)
		}
		if ok {
			n++
		}
	}
	for _, p := range k.pauses {
		if p.Until > s.now {
			n--
		}
	}
	if n != 0 {
		return fmt.Sprintf("pauses: got %d too many", n)
	}
	first := map[string]queue.Record{}
	for _, j := range k.jobs {
		if f, ok := first[j.Tube]; j.State == queue.Buried && (!ok || j.Burial < f.Burial) {
			first[j.Tube] = j
		}
	}
	for tube, want := range first {
		c := e.Connect()
		e.Use(c, []byte(tube))
		if got, err := e.PeekBuried(c); err != nil || got.ID != want.ID {
			return fmt.Sprintf("first buried of %s: got %d, %v, want %d", tube, got.ID, err, want.ID)
		}
		e.Disconnect(s.now, c)
	}
	return ""
}

// TestEveryOperation has a crash, and an error, at every operation of a short
// history.
func TestEveryOperation(t *testing.T) {
	for _, mode := range []persist.Sync{persist.SyncAlways, persist.SyncLater, persist.SyncNever} {
		total := map[string]int{}
		for n := 0; ; n++ {
			came := false
			for _, x := range []fault{{}, {part: 0.5}, {crash: true}, {crash: true, part: 0.7}} {
				s := newCrashSim(t, 7, total)
				s.mix.segment, s.mix.big, s.mix.jobs, s.only = 4096, false, 15, &mode
				s.mix.limits = []queue.Limits{{Bodies: queue.InJournal}, {}}
				s.start()
				in := n
				s.fs.inject = func(o op, name string) *fault {
					in--
					if in != -1 || x.part > 0 && o != opWrite {
						return nil
					}
					came = true
					s.count("%v", o)
					return &x
				}
				var err error
				for turn := 0; turn < 60 && err == nil; turn++ {
					err = s.turn()
				}
				s.fs.inject = nil
				s.r = rand.New(rand.NewPCG(uint64(n), 3))
				s.end(err)
				if t.Failed() {
					t.Fatalf("mode %d, fault at operation %d: %+v", mode, n, x)
				}
			}
			if !came {
				break
			}
		}
		t.Logf("mode %d: %v", mode, total)
	}
}

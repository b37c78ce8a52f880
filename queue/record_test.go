package queue_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spoked/queue"
)

// A journal keeps all that it is told, for it to be replayed.
type journal struct {
	log     []entry
	heard   int      // entries that news has told
	segment uint32   // of jobs
	full    bool     // there is no room for jobs
	stuck   bool     // nor for changes
	asked   []string // what there was to be room for

	bodies map[queue.Place]keptBody // of all whole records
}

// keptBody is the body of a job in a journal.
type keptBody struct {
	id   uint64
	body string
}

// entry is a record of a log.
type entry struct {
	kind    string       // job, change, move, end, pause or seen
	from    string       // move: the tube it was in
	job     queue.Record // if it is about one
	pause   queue.Pause
	id      uint64 // seen: the last there was
	burial  uint64 // seen: the last there was
	cleaner bool   // it tells nothing new
}

func (j *journal) Room(tube string, size int) bool {
	j.asked = append(j.asked, fmt.Sprintf("%s %d", tube, size))
	return !j.full
}

func (j *journal) MayChange() bool { return !j.stuck }

func (j *journal) Job(r *queue.Record) queue.Place {
	body := string(r.Body)
	if r.Stored > 0 { // as who copies a job must do
		body = j.bodies[r.Place].body
	}
	p := queue.Place{Segment: j.segment, Offset: uint32(len(j.bodies)) + 1}
	if j.bodies == nil {
		j.bodies = map[queue.Place]keptBody{}
	}
	j.bodies[p] = keptBody{r.ID, body}
	k := j.add("job", r)
	k.job.Place, k.job.Body, k.job.Stored = p, []byte(body), 0
	return p
}

// bodyAt returns the body of the job id that is at a place.
func (j *journal) bodyAt(t testing.TB, p queue.Place, id uint64, size uint32) string {
	t.Helper()
	k, ok := j.bodies[p]
	if !ok || k.id != id || len(k.body) != int(size) {
		t.Fatalf("at %v is the body of job %d, of %d bytes, %v; want job %d, %d bytes", p, k.id, len(k.body), ok, id, size)
	}
	return k.body
}

func (j *journal) Change(r *queue.Record) { j.add("change", r) }

func (j *journal) Move(r *queue.Record, from string) {
	j.add("move", r).from = from
}

func (j *journal) End(r *queue.Record) { j.add("end", r) }

func (j *journal) Pause(tube string, until, length int64) {
	j.log = append(j.log, entry{kind: "pause", pause: queue.Pause{Tube: tube, Until: until, Length: length}})
}

func (j *journal) add(kind string, r *queue.Record) *entry {
	j.log = append(j.log, entry{kind: kind, job: copyOf(r)})
	return &j.log[len(j.log)-1]
}

// copyOf returns a record that is not borrowed.
func copyOf(r *queue.Record) queue.Record {
	c := *r
	c.Body = append([]byte{}, r.Body...)
	return c
}

// news tells what was recorded since the last call, such as "job 1 ready,
// end 1".
func (j *journal) news() string {
	var all []string
	for _, k := range j.log[j.heard:] {
		switch k.kind {
		case "pause":
			all = append(all, fmt.Sprintf("pause %s %v", k.pause.Tube, time.Duration(k.pause.Length)))
		case "move":
			all = append(all, fmt.Sprint("move ", k.job.ID, " ", k.job.State, " ", k.from, "->", k.job.Tube))
		case "end":
			all = append(all, fmt.Sprint("end ", k.job.ID))
		default:
			all = append(all, fmt.Sprint(k.kind, " ", k.job.ID, " ", k.job.State))
		}
	}
	j.heard = len(j.log)
	return strings.Join(all, ", ")
}

// last returns the job of the last entry.
func (j *journal) last() queue.Record { return j.log[len(j.log)-1].job }

// replay fills a new engine at an instant, with or without what a cleaner
// wrote, from no more than what must be kept of each entry.
func (j *journal) replay(t testing.TB, now int64, cleaner bool, limits queue.Limits) *queue.Engine {
	t.Helper()
	e := queue.New(now)
	e.SetLimits(limits)
	s := e.Restore(now)
	live := map[uint64]bool{}
	for _, k := range j.log {
		r := copyOf(&k.job)
		switch {
		case k.cleaner && !cleaner:
		case k.kind == "job":
			if err := s.Job(&r); err != nil {
				t.Fatalf("Restorer.Job: %v", err)
			}
			live[r.ID] = true
			clear(r.Body)
		case k.kind == "change":
			r.Tube, r.Created, r.TTR, r.Body, r.Stored, r.Place = "", 0, 0, nil, 0, queue.Place{}
			if got, want := s.Change(&r), live[r.ID]; got != want {
				t.Fatalf("Restorer.Change of job %d: got %v, want %v", r.ID, got, want)
			}
		case k.kind == "move":
			r.Created, r.TTR, r.Body, r.Stored, r.Place = 0, 0, nil, 0, queue.Place{}
			if got, want := s.Move(&r), live[r.ID]; got != want {
				t.Fatalf("Restorer.Move of job %d: got %v, want %v", r.ID, got, want)
			}
		case k.kind == "end":
			if got, want := s.End(r.ID), live[r.ID]; got != want {
				t.Fatalf("Restorer.End of job %d: got %v, want %v", r.ID, got, want)
			}
			delete(live, r.ID)
		case k.kind == "pause":
			s.Pause(k.pause)
		case k.kind == "seen":
			s.Seen(k.id)
			s.SeenBurial(k.burial)
		}
	}
	s.Finish()
	return e
}

// wantRecord fails the test unless got is want.
func wantRecord(t testing.TB, what string, got, want queue.Record) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

// keptStage is a stage with a journal.
type keptStage struct {
	*stage
	journal *journal
}

func newKeptStage(t *testing.T) *keptStage {
	s := &keptStage{newStage(t), &journal{segment: 1}}
	s.engine.SetJournal(s.journal)
	return s
}

// putBody is put for a job with a body, which is not delayed.
func (s *keptStage) putBody(tube, body string) (id uint64, err error) {
	c := s.client(tube)
	s.engine.Use(c, []byte(tube))
	d, _ := s.engine.Begin(s.now, c, 0, 0, minute, uint32(len(body)))
	copy(s.engine.Body(&d), body)
	return s.engine.Insert(s.now, &d)
}

// restart goes on with an engine restored from the journal, after a while.
func (s *keptStage) restart(after time.Duration) {
	s.t.Helper()
	s.now += int64(after)
	s.engine = s.journal.replay(s.t, s.now, true, queue.Limits{})
	s.engine.SetJournal(s.journal)
	clear(s.clients)
	s.want("Check", s.engine.Check(), nil)
}

// TestWhatIsRecorded has a step done to job 1, of tube "a" and a ttr of 10 s,
// in each state that it makes a difference for.
func TestWhatIsRecorded(t *testing.T) {
	reserve := func(s *keptStage) { s.reserve("worker", 0) }
	reserveJob := func(s *keptStage) { s.engine.ReserveJob(s.now, s.client("worker"), 1) }
	bury := func(s *keptStage) { reserve(s); s.engine.Bury(s.client("worker"), 1, 5) }
	release := func(delay time.Duration) func(*keptStage) {
		return func(s *keptStage) { s.engine.Release(s.now, s.client("worker"), 1, 5, delay) }
	}
	delete := func(s *keptStage) { s.engine.Delete(s.now, s.client("worker"), 1) }
	kick := func(s *keptStage) { s.engine.Kick(s.now, s.client("a"), 10) }
	kickJob := func(s *keptStage) { s.engine.KickJob(s.now, 1) }
	pass := func(s *keptStage) { s.after(11 * time.Second) }
	move := func(to string) func(*keptStage) { return func(s *keptStage) { s.engine.Move(s.now, 1, []byte(to)) } }
	change := func(c queue.Change) func(*keptStage) { return func(s *keptStage) { s.engine.Change(s.now, 1, c) } }
	pause := func(delay time.Duration) func(*keptStage) {
		return func(s *keptStage) { s.engine.Pause(s.now, []byte("a"), delay) }
	}
	tests := []struct {
		name  string
		delay time.Duration // of the put
		first []func(*keptStage)
		do    func(*keptStage)
		want  string
	}{
		{"put", 0, nil, func(s *keptStage) { s.put("a", 0, 0, minute) }, "job 2 ready"},
		{"put with a delay", 0, nil, func(s *keptStage) { s.put("a", 0, 1, minute) }, "job 2 delayed"},
		{"put to a client that waits", 0, []func(*keptStage){reserve, reserve}, func(s *keptStage) { s.reserve("worker", minute); s.put("a", 0, 0, minute) }, "job 2 ready"},
		{"put that is abandoned", 0, nil, func(s *keptStage) {
			d, _ := s.engine.Begin(s.now, s.client("a"), 0, 0, 0, 0)
			s.engine.Abandon(&d)
		}, ""},
		{"put that is refused", 0, nil, func(s *keptStage) { s.engine.Drain(); s.putBody("a", "") }, ""},
		{"reserve", 0, nil, reserve, ""},
		{"reserve-job, ready", 0, nil, reserveJob, ""},
		{"reserve-job, delayed", minute, nil, reserveJob, "change 1 ready"},
		{"reserve-job, buried", 0, []func(*keptStage){bury}, reserveJob, "change 1 ready"},
		{"reserve-job, reserved", 0, []func(*keptStage){reserve}, reserveJob, ""},
		{"touch", 0, []func(*keptStage){reserve}, func(s *keptStage) { s.engine.Touch(s.now, s.client("worker"), 1) }, ""},
		{"release", 0, []func(*keptStage){reserve}, release(0), "change 1 ready"},
		{"release with a delay", 0, []func(*keptStage){reserve}, release(1), "change 1 delayed"},
		{"release, not reserved", 0, nil, release(1), ""},
		{"bury", 0, []func(*keptStage){reserve}, func(s *keptStage) { s.engine.Bury(s.client("worker"), 1, 5) }, "change 1 buried"},
		{"bury, not reserved", 0, nil, func(s *keptStage) { s.engine.Bury(s.client("worker"), 1, 5) }, ""},
		{"kick, buried", 0, []func(*keptStage){bury}, kick, "change 1 ready"},
		{"kick, delayed", minute, nil, kick, "change 1 ready"},
		{"kick, several", 0, []func(*keptStage){bury, func(s *keptStage) { s.put("a", 0, 0, minute) }, func(s *keptStage) {
			reserve(s)
			s.engine.Bury(s.client("worker"), 2, 5)
		}}, kick, "change 1 ready, change 2 ready"},
		{"kick, ready", 0, nil, kick, ""},
		{"kick-job, buried", 0, []func(*keptStage){bury}, kickJob, "change 1 ready"},
		{"kick-job, delayed", minute, nil, kickJob, "change 1 ready"},
		{"kick-job, ready", 0, nil, kickJob, ""},
		{"delete, ready", 0, nil, delete, "end 1"},
		{"delete, delayed", minute, nil, delete, "end 1"},
		{"delete, buried", 0, []func(*keptStage){bury}, delete, "end 1"},
		{"delete, reserved", 0, []func(*keptStage){reserve}, delete, "end 1"},
		{"delete, there is none", 0, []func(*keptStage){delete}, delete, ""},
		{"move, ready", 0, nil, move("b"), "move 1 ready a->b"},
		{"move, delayed", minute, nil, move("b"), "move 1 delayed a->b"},
		{"move, buried", 0, []func(*keptStage){bury}, move("b"), "move 1 buried a->b"},
		{"move to a client that waits", 0, nil, func(s *keptStage) {
			s.watch("other", "b")
			s.reserve("other", minute)
			move("b")(s)
		}, "move 1 ready a->b"},
		{"move to where it is", 0, nil, move("a"), ""},
		{"move, reserved", 0, []func(*keptStage){reserve}, move("b"), ""},
		{"change the priority, ready", 0, nil, change(queue.Change{Pri: new(uint32(7))}), "change 1 ready"},
		{"change the priority, delayed", minute, nil, change(queue.Change{Pri: new(uint32(7))}), "change 1 delayed"},
		{"change the priority, buried", 0, []func(*keptStage){bury}, change(queue.Change{Pri: new(uint32(7))}), "change 1 buried"},
		{"change the delay", 0, nil, change(queue.Change{Delay: new(minute)}), "change 1 delayed"},
		{"change the delay to none", minute, nil, change(queue.Change{Delay: new(time.Duration(0))}), "change 1 ready"},
		{"change the delay, buried", 0, []func(*keptStage){bury}, change(queue.Change{Delay: new(minute)}), ""},
		{"change, reserved", 0, []func(*keptStage){reserve}, change(queue.Change{Pri: new(uint32(7))}), ""},
		{"import", 0, nil, func(s *keptStage) { s.engine.Import(s.now, &queue.Imported{Tube: "b", State: queue.Buried}) }, "job 2 buried"},
		{"import that is refused", 0, nil, func(s *keptStage) {
			s.engine.Drain()
			s.engine.Import(s.now, &queue.Imported{Tube: "b"})
		}, ""},
		{"clear", 0, []func(*keptStage){reserve, func(s *keptStage) { s.put("a", 0, 0, minute) }}, func(s *keptStage) {
			s.engine.Clear(s.now, nil, []byte("a"), queue.States(queue.Ready))
		}, "end 2"},
		{"clear, reserved", 0, []func(*keptStage){reserve}, func(s *keptStage) {
			s.engine.Clear(s.now, nil, []byte("a"), queue.AllStates)
		}, "end 1"},
		{"hand", 0, []func(*keptStage){reserve}, func(s *keptStage) {
			s.want("Hand", s.engine.Hand(s.now, s.client("worker"), s.client("other"), 1), nil)
		}, ""},
		{"a reservation ends", 0, []func(*keptStage){reserve}, pass, ""},
		{"a delay ends", time.Second, nil, pass, ""},
		{"the client that has it leaves", 0, []func(*keptStage){reserve}, func(s *keptStage) { s.engine.Disconnect(s.now, s.client("worker")) }, ""},
		{"pause", 0, nil, pause(minute), "pause a 1m0s"},
		{"pause, paused", 0, []func(*keptStage){pause(minute)}, pause(time.Second), "pause a 1s"},
		{"pause ends by command", 0, []func(*keptStage){pause(minute)}, pause(0), "pause a 0s"},
		{"pause ends", 0, []func(*keptStage){pause(time.Second)}, pass, ""},
		{"pause, there is no tube", 0, nil, func(s *keptStage) { s.engine.Pause(s.now, []byte("b"), minute) }, ""},
		{"a paused tube is dropped with its job", 0, []func(*keptStage){pause(minute), func(s *keptStage) {
			s.engine.Ignore(s.client("worker"), []byte("a"))
			s.engine.Use(s.client("a"), []byte("default"))
		}}, delete, "end 1, pause a 0s"},
		{"a paused tube is dropped by ignore", 0, []func(*keptStage){pause(minute), delete, func(s *keptStage) {
			s.engine.Use(s.client("a"), []byte("default"))
		}}, func(s *keptStage) { s.engine.Ignore(s.client("worker"), []byte("a")) }, "pause a 0s"},
		{"a tube is dropped that was paused", 0, []func(*keptStage){pause(time.Second), pass, delete, func(s *keptStage) {
			s.engine.Use(s.client("a"), []byte("default"))
		}}, func(s *keptStage) { s.engine.Ignore(s.client("worker"), []byte("a")) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newKeptStage(t)
			s.watch("worker", "default", "a")
			s.put("a", 5, tt.delay, 10*time.Second)
			for _, do := range tt.first {
				do(s)
			}
			s.journal.news()
			tt.do(s)
			s.wakes()
			s.want("recorded", s.journal.news(), tt.want)
			s.want("Check", s.engine.Check(), nil)
		})
	}
}

// TestRecord follows two jobs and looks at all there is in each record.
func TestRecord(t *testing.T) {
	s := newKeptStage(t)
	c := s.client("a")
	s.engine.Use(c, []byte("a"))
	s.watch("a", "a")
	d, _ := s.engine.Begin(s.now, c, 7, 3*time.Second, 9*time.Second, 5)
	copy(s.engine.Body(&d), "hello")
	created := s.now
	s.after(time.Second) // until the body is there
	s.engine.Insert(s.now, &d)
	want := queue.Record{
		ID: 1, Tube: "a", State: queue.Delayed, Pri: 7, Created: created,
		Delay: int64(3 * time.Second), TTR: int64(9 * time.Second), At: s.now + int64(3*time.Second),
		Body: []byte("hello"), Place: queue.Place{Segment: 1, Offset: 1},
	}
	is := func(what string) {
		t.Helper()
		wantRecord(t, what, s.journal.last(), want)
		got, ok := s.engine.Describe(1)
		if !ok {
			t.Fatalf("Describe after %s: there is no job", what)
		}
		wantRecord(t, "Describe after "+what, copyOf(got), want)
	}
	is("put")

	s.after(time.Minute)
	s.want("Reserve", s.reserve("a", 0), "job 1")
	s.after(time.Minute) // it runs out
	s.want("Reserve", s.reserve("a", 0), "job 1")
	want.Reserves, want.Timeouts = 2, 1
	s.engine.Release(s.now, c, 1, 8, 2*time.Second)
	want.Releases, want.Pri, want.Delay, want.At = 1, 8, int64(2*time.Second), s.now+int64(2*time.Second)
	is("release with a delay")

	s.engine.KickJob(s.now, 1)
	want.State, want.Kicks, want.At = queue.Ready, 1, 0
	is("kick-job")

	s.put("a", 1<<30, 0, minute) // job 2, which is buried first
	s.engine.ReserveJob(s.now, c, 2)
	s.engine.Bury(c, 2, 1)
	s.want("Reserve", s.reserve("a", 0), "job 1")
	s.engine.Bury(c, 1, 9)
	want.State, want.Reserves, want.Buries, want.Pri, want.Burial = queue.Buried, 3, 1, 9, 2
	is("bury")
	s.want("Burials", s.engine.Burials(), uint64(2))

	s.engine.ReserveJob(s.now, c, 1)
	want.State, want.Burial = queue.Ready, 0
	wantRecord(t, "reserve-job", s.journal.last(), want)
	want.Reserves++
	got, _ := s.engine.Describe(1)
	wantRecord(t, "Describe while reserved", copyOf(got), want)

	s.engine.Release(s.now, c, 1, 10, 0)
	want.Releases, want.Pri, want.Delay = 2, 10, 0
	is("release")

	s.engine.Delete(s.now, c, 1)
	wantRecord(t, "delete", s.journal.last(), want)
	if r, ok := s.engine.Describe(1); ok {
		t.Errorf("Describe after delete: got %+v, want none", r)
	}
	s.want("NextID", s.engine.NextID(), uint64(3))
}

func TestPauseRecord(t *testing.T) {
	s := newKeptStage(t)
	s.put("a", 0, 0, minute)
	for _, length := range []time.Duration{minute, time.Hour, 0} {
		s.engine.Pause(s.now, []byte("a"), length)
		k := s.journal.log[len(s.journal.log)-1]
		s.want("pause", k.pause, queue.Pause{Tube: "a", Until: s.now + int64(length), Length: int64(length)})
		got, ok := s.engine.PauseOf("a")
		s.want("PauseOf", ok, length > 0)
		if ok {
			s.want("PauseOf", got, k.pause)
		}
		s.after(time.Second)
	}
	_, ok := s.engine.PauseOf("b")
	s.want("PauseOf a tube that is not there", ok, false)
}

func TestNoRoom(t *testing.T) {
	s := newKeptStage(t)
	s.journal.full = true
	id, err := s.putBody("a", "hello")
	s.want("Insert", err, queue.ErrOutOfMemory)
	s.want("id", id, uint64(0))
	s.wantList("asked for room", s.journal.asked, "a 5")
	s.want("recorded", s.journal.news(), "")
	s.want("jobs put", s.engine.Stats().TotalJobs, uint64(0))
	_, err = s.engine.Peek(1)
	s.want("Peek", err, queue.ErrNotFound)
	s.engine.Use(s.client("a"), []byte("default"))
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default")
	s.want("Check", s.engine.Check(), nil)

	s.journal.full = false
	id, err = s.putBody("a", "hello")
	s.want("Insert", err, nil)
	s.want("id, after a gap", id, uint64(2))
	s.want("recorded", s.journal.news(), "job 2 ready")
}

// A tube that only a draft keeps is dropped when there is no room for it.
func TestNoRoomDropsTheTube(t *testing.T) {
	s := newKeptStage(t)
	s.journal.full = true
	c := s.client("a")
	s.engine.Use(c, []byte("a"))
	d, _ := s.engine.Begin(s.now, c, 0, 0, minute, 0)
	s.engine.Disconnect(s.now, c)
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default", "a")
	_, err := s.engine.Insert(s.now, &d)
	s.want("Insert", err, queue.ErrOutOfMemory)
	s.wantList("tubes", slices.Collect(s.engine.Tubes()), "default")
}

// TestUntold is about the counts that are not recorded as they happen.
func TestUntold(t *testing.T) {
	s := newKeptStage(t)
	untold := func(want string) {
		t.Helper()
		var all []string
		for r := range s.engine.Untold() {
			all = append(all, fmt.Sprintf("%d: %d reserves, %d timeouts", r.ID, r.Reserves, r.Timeouts))
		}
		s.want("Untold", strings.Join(all, ", "), want)
	}
	for range 3 {
		s.put("default", 5, 0, 2*time.Second)
	}
	untold("")
	s.reserve("worker", 0)
	s.reserve("worker", 0)
	untold("1: 1 reserves, 0 timeouts, 2: 1 reserves, 0 timeouts")
	untold("")
	s.after(minute)
	s.engine.ReserveJob(s.now, s.client("worker"), 3)
	untold("1: 1 reserves, 1 timeouts, 2: 1 reserves, 1 timeouts, 3: 1 reserves, 0 timeouts")
	s.reserve("worker", 0)
	s.engine.Release(s.now, s.client("worker"), 1, 5, 0) // that is recorded
	untold("")
	s.reserve("worker", 0)
	s.engine.Moved(1, queue.Place{Segment: 17}) // so is that
	r, _ := s.engine.Describe(1)
	s.want("segment", r.Segment, uint32(17))
	untold("")
	s.engine.Moved(3, queue.Place{Segment: 18}) // not worked on since
	r, _ = s.engine.Describe(3)
	s.want("segment", r.Segment, uint32(18))
	s.engine.Bury(s.client("worker"), 3, 0)
	s.want("segment in a change", s.journal.last().Segment, uint32(18))
	s.reserve("worker", 0)
	for range s.engine.Untold() {
		break
	}
	untold("")
}

// Jobs go by id, wherever their ids are kept: there are some in pages and
// some left of dissolved ones.
func TestJobsGoByID(t *testing.T) {
	s := newStage(t)
	c := s.client("a")
	var want []uint64
	for id := uint64(1); id <= 10_000; id++ {
		s.put("a", 0, 0, minute)
		if id%1000 == 0 || id > 6000 && id < 7500 {
			want = append(want, id)
		}
	}
	for id := uint64(1); id <= 10_000; id++ {
		if !slices.Contains(want, id) {
			s.engine.Delete(s.now, c, id)
		}
	}
	var got []uint64
	for r := range s.engine.Jobs() {
		got = append(got, r.ID)
		s.engine.Moved(r.ID, queue.Place{Segment: uint32(len(got))})
	}
	if !slices.Equal(got, want) {
		t.Fatalf("Jobs: got %v, want %v", got, want)
	}
	n := uint32(0)
	for r := range s.engine.Jobs() {
		n++
		s.want("segment", r.Segment, n)
		if n == 7 {
			break
		}
	}
	s.want("jobs until the break", n, uint32(7))
}

// Without room for changes, none is made, and nothing else is lost by that;
// jobs can be deleted.
func TestNoRoomForChanges(t *testing.T) {
	s := newKeptStage(t)
	c := s.client("default")
	var ids []uint64
	for range 5 {
		id, err := s.putBody("default", "x")
		s.want("Insert", err, nil)
		ids = append(ids, id)
	}
	held, buried := ids[0], ids[1]
	for _, id := range []uint64{held, buried} {
		if _, err := s.engine.ReserveJob(s.now, c, id); err != nil {
			t.Fatal(err)
		}
	}
	s.want("Bury", s.engine.Bury(c, buried, 0), nil)
	s.journal.stuck = true
	recorded := len(s.journal.log)
	s.want("Release", s.engine.Release(s.now, c, held, 0, 0), queue.ErrOutOfMemory)
	s.want("Bury", s.engine.Bury(c, held, 0), queue.ErrOutOfMemory)
	s.want("KickJob", s.engine.KickJob(s.now, buried), queue.ErrOutOfMemory)
	s.want("Kick", kicked(s.engine.Kick(s.now, c, 10)), uint32(0))
	s.want("Pause", s.engine.Pause(s.now, []byte("default"), minute), queue.ErrOutOfMemory)
	_, err := s.engine.ReserveJob(s.now, c, buried)
	s.want("ReserveJob", err, queue.ErrOutOfMemory)
	s.want("recorded", len(s.journal.log), recorded)
	s.want("reserved", s.engine.Stats().Jobs[queue.Reserved], 1)
	s.want("buried", s.engine.Stats().Jobs[queue.Buried], 1)
	_, err = s.engine.ReserveJob(s.now, c, ids[2]) // which is not recorded
	s.want("ReserveJob", err, nil)
	for _, id := range ids[:3] {
		s.want("Delete", s.engine.Delete(s.now, c, id), nil)
	}
	s.journal.stuck = false
	s.want("Pause", s.engine.Pause(s.now, []byte("default"), minute), nil)
}

// A tube that is paused goes with the last client when the server stops, but
// its pause is not over.
func TestClosingKeepsPauses(t *testing.T) {
	s := newKeptStage(t)
	c := s.client("c")
	s.engine.Watch(c, []byte("a"))
	s.want("Pause", s.engine.Pause(s.now, []byte("a"), minute), nil)
	recorded := len(s.journal.log)
	s.engine.Closing()
	s.engine.Disconnect(s.now, c)
	s.want("recorded", len(s.journal.log), recorded)
}
